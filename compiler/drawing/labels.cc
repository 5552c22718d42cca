#include "compiler/drawing/labels.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "ir/escape.h"
#include "ir/notes.h"
#include "ir/op.h"
#include "ir/text.h"

namespace weir {
namespace {

constexpr std::size_t kLongest = 32;
constexpr std::string_view kEllipsis = "\xE2\x80\xA6";

std::string attribute_text(const Attribute& attribute) {
  const auto* tensor = std::get_if<std::shared_ptr<const Tensor>>(&attribute);
  if (tensor == nullptr) return to_string(attribute);
  return fmt::format("{} {}", to_string((*tensor)->type()), (*tensor)->to_string(4, 1));
}

}  // namespace

Labels::Labels(const Graph& graph) : graph_(graph), numbers_(graph.value_count()) {
  std::uint32_t next = 0;
  for (std::uint32_t i = 0; i < numbers_.size(); ++i)
    if (graph.value(ValueId{i}).name.empty()) numbers_[i] = next++;
}

std::string Labels::full_name(ValueId id) const {
  const std::string& name = graph_.value(id).name;
  return name.empty() ? fmt::format("%{}", numbers_[id.index]) : value_name(name);
}

std::string Labels::name(ValueId id) const {
  const std::string& name = graph_.value(id).name;
  return name.empty() ? fmt::format("%{}", numbers_[id.index]) : "%" + shortened(name);
}

std::string Labels::number(ValueId id) const {
  const Node& node = graph_.node(graph_.value(id).producer);
  std::shared_ptr<const Tensor> data = node.op->data(node.attributes);
  std::int64_t count = data->element_count();
  for (std::int64_t i = 1; i < count; ++i)
    if (!(data->bits(i) == data->bits(0))) return "";
  return count == 0 ? "" : scalar::to_string(data->dtype(), data->bits(0));
}

std::vector<std::string> Labels::attributes(const Node& node) const {
  std::vector<std::string> lines;
  for (const AttributeSpec& spec : node.op->attributes) {
    const Attribute* value = node.attributes.find(spec.name);
    if (value == nullptr || (spec.default_value && same(*value, *spec.default_value))) continue;
    lines.push_back(shortened(fmt::format("{} = {}", spec.name, attribute_text(*value))));
  }
  return lines;
}

std::string Labels::statement(NodeId id) const {
  std::string place = graph_.node(id).location.to_string();
  std::string text = print(graph_, id, {.types = true, .elide = true});
  return place.empty() ? text : text + "\n" + place;
}

std::string shortened(std::string_view text) {
  std::string shown = printable(text);
  std::vector<std::size_t> starts;  // of the characters
  for (std::size_t i = 0; i < shown.size(); i += utf8_length(shown, i)) starts.push_back(i);
  if (starts.size() <= kLongest) return shown;
  std::size_t half = kLongest / 2;
  return shown.substr(0, starts[half]).append(kEllipsis) +
         shown.substr(starts[starts.size() - half + 1]);
}

Picture::Flow flow_of(const Location& location) {
  // The gradient of a gradient flows forwards again.
  std::string_view note = location.note;
  bool backward = false;
  while (note.starts_with(kGradientOf)) {
    backward = !backward;
    note.remove_prefix(std::min(note.size(), kGradientOf.size() + 1));
  }
  return backward ? Picture::Flow::backward : Picture::Flow::forward;
}

std::string operand_role(const Node& node, std::size_t operand) {
  const std::vector<OperandSpec>& specs = node.op->operands;
  if (node.operands.size() < 2 || operand >= specs.size() ||
      specs[operand].presence == OperandSpec::Presence::variadic)
    return "";
  return specs[operand].name;
}

std::string loops_text(const Kernel& kernel, const KernelCall& call) {
  // Calls of one kernel may give its symbols other sizes than its text has.
  std::vector<std::string> symbols = kernel_symbols(kernel);
  for (std::size_t i = 0; i < symbols.size(); ++i)
    if (call.dims[i] != Dim::symbol(symbols[i])) return "";
  std::vector<std::string> extents;
  for (const Dim& extent : kernel.rows) extents.push_back(extent.to_string());
  return extents.empty() ? "" : fmt::format("for {}", fmt::join(extents, ", "));
}

}  // namespace weir
