// The printer of the text form. A value without a name is printed as the number of such values
// before it: %0, %1, ... A name of digits alone is put in quotes, so the two never clash.

#include <iterator>

#include <fmt/format.h>

#include "ir/escape.h"
#include "ir/notes.h"
#include "ir/op.h"
#include "ir/text.h"

namespace weir {
namespace {

constexpr std::int64_t kElisionLimit = 64;

class Printer {
 public:
  Printer(const Graph& graph, const PrintOptions& options) : graph_(graph), options_(options) {
    numbers_.resize(graph.value_count());
    std::uint32_t next = 0;
    for (std::uint32_t i = 0; i < numbers_.size(); ++i)
      if (graph.value(ValueId{i}).name.empty()) numbers_[i] = next++;
  }

  std::string print_graph() {
    text_ = "graph " + graph_name(graph_.name()) + "(";
    separated(graph_.inputs(), [this](ValueId id) { declare(id); });
    text_ += ") -> (";
    separated(graph_.outputs(), [this](const Graph::Output& output) {
      text_ += to_string(graph_.type(output.value));
    });
    text_ += ") {\n";
    for (ValueId id : graph_.params()) {
      text_ += "  param ";
      declare(id);
      if (const Initializer* declared = graph_.initializer(id)) {
        text_ += " = " + declared->name;
        attributes(find_initializer(declared->name).attributes, declared->attributes);
      }
      comment({}, graph_.value(id).location);
      text_ += "\n";
    }
    for (const Node& node : graph_.nodes()) {
      begin_section(marks_of(node.location.note));
      text_ += "  ";
      statement(node);
      comment(node.results, node.location);
      text_ += "\n";
    }
    text_ += "  return";
    if (!graph_.outputs().empty()) text_ += " ";
    std::size_t index = 0;
    separated(graph_.outputs(), [&](const Graph::Output& output) { return_item(output, index++); });
    text_ += "\n}\n";
    return std::move(text_);
  }

  std::string print_node(const Node& node) {
    statement(node);
    comment(node.results, node.location);
    return std::move(text_);
  }

 private:
  template <class Range, class Function>
  void separated(const Range& items, Function print_item) {
    bool first = true;
    for (const auto& item : items) {
      if (!first) text_ += ", ";
      first = false;
      print_item(item);
    }
  }

  // "gradient:", where nodes of another section follow.
  void begin_section(std::string_view marks) {
    if (marks == marks_) return;
    marks_ = marks;
    std::string_view name = marks.substr(0, marks.size() - (marks.empty() ? 0 : kMarkEnd.size()));
    text_ += marks.empty() ? kForward : name;
    text_ += ":\n";
  }

  void name(ValueId id) {
    const Value& value = graph_.value(id);
    if (value.name.empty()) {
      fmt::format_to(std::back_inserter(text_), "%{}", numbers_[id.index]);
    } else {
      text_ += value_name(value.name);
    }
  }

  void declare(ValueId id) {
    name(id);
    text_ += ": ";
    text_ += to_string(graph_.type(id));
  }

  void statement(const Node& node) {
    separated(node.results, [this](ValueId id) { name(id); });
    text_ += " = ";
    text_ += node.op->name;
    text_ += "(";
    separated(node.operands, [this](ValueId id) { name(id); });
    text_ += ")";
    attributes(node.op->attributes, node.attributes);
  }

  // Those that have not their defaults.
  void attributes(std::span<const AttributeSpec> declared, const Attributes& values) {
    bool first = true;
    for (const AttributeSpec& spec : declared) {
      const Attribute* value = values.find(spec.name);
      if (!value || (spec.default_value && same(*value, *spec.default_value))) continue;
      text_ += first ? " {" : ", ";
      first = false;
      text_ += spec.name;
      text_ += " = ";
      attribute(*value);
    }
    if (!first) text_ += "}";
  }

  void attribute(const Attribute& value) {
    if (const auto* tensor = std::get_if<std::shared_ptr<const Tensor>>(&value)) {
      text_ += to_string((*tensor)->dtype(), (*tensor)->sizes());
      text_ += " ";
      bool empty = (*tensor)->element_count() == 0;
      text_ += empty ? "[]" : (*tensor)->to_string(options_.elide ? kElisionLimit : INT64_MAX);
    } else {
      text_ += to_string(value);
    }
  }

  // The name of an output is left out when it is the one that the parser gives.
  void return_item(const Graph::Output& output, std::size_t index) {
    name(output.value);
    std::string given = graph_.value(output.value).name;
    if (output.updates.valid()) {
      text_ += " updates ";
      name(output.updates);
      given = graph_.value(output.updates).name;
    }
    if (given.empty()) given = fmt::format("output{}", index);
    if (output.name != given) text_ += " as " + in_quotes(output.name);
  }

  void comment(std::span<const ValueId> results, const Location& location) {
    std::string place = options_.locations ? location.to_string() : "";
    bool types = options_.types && !results.empty();
    if (types || !place.empty()) text_ += "  // ";
    if (types) separated(results, [this](ValueId id) { text_ += to_string(graph_.type(id)); });
    if (types && !place.empty()) text_ += "  ";
    text_ += place;
  }

  const Graph& graph_;
  const PrintOptions& options_;
  std::vector<std::uint32_t> numbers_;  // of values without a name
  std::string_view marks_;              // of the section
  std::string text_;
};

}  // namespace

std::string print(const Graph& graph, const PrintOptions& options) {
  return Printer(graph, options).print_graph();
}

std::string print(const Graph& graph, NodeId node, const PrintOptions& options) {
  return Printer(graph, options).print_node(graph.node(node));
}

}  // namespace weir
