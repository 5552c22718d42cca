#include "compiler/frontend/onnx/export_nodes.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "compiler/frontend/file.h"
#include "compiler/frontend/onnx/element_type.h"
#include "compiler/frontend/onnx/tensor_proto.h"
#include "ir/escape.h"

namespace weir {
namespace {

// Constants of more elements are not looked for among those that are there.
constexpr std::int64_t kLargestShared = 64;

struct AttributeWriter {
  onnx::AttributeProto& out;

  void operator()(std::int64_t value) const {
    out.set_type(onnx::AttributeProto::INT);
    out.set_i(value);
  }
  void operator()(bool value) const { (*this)(std::int64_t{value}); }
  void operator()(DType type) const { (*this)(std::int64_t{onnx_format::onnx_type_of(type)}); }
  void operator()(double value) const {
    out.set_type(onnx::AttributeProto::FLOAT);
    out.set_f(static_cast<float>(value));
  }
  void operator()(const std::vector<std::int64_t>& values) const {
    out.set_type(onnx::AttributeProto::INTS);
    for (std::int64_t value : values) out.add_ints(value);
  }
  void operator()(const std::string& text) const {
    out.set_type(onnx::AttributeProto::STRING);
    out.set_s(text);
  }
  void operator()(const std::shared_ptr<const Tensor>& tensor) const {
    out.set_type(onnx::AttributeProto::TENSOR);
    *out.mutable_t() = onnx_format::proto_of(*tensor, "");
  }
  // ONNX has dimensions as inputs alone.
  void operator()(const Shape& shape) const { WEIR_CHECK(false, to_string(shape)); }
};

onnx::NodeProto make_node(std::string_view type, const std::vector<OnnxValue>& inputs,
                          const Attributes& attributes) {
  onnx::NodeProto node;
  node.set_op_type(std::string(type));
  for (const OnnxValue& input : inputs) node.add_input(input);
  for (const auto& [name, value] : attributes) {
    onnx::AttributeProto& attribute = *node.add_attribute();
    attribute.set_name(name);
    std::visit(AttributeWriter{attribute}, value);
  }
  return node;
}

bool is_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    std::size_t length = utf8_length(text, i);
    if (length == 0) return false;
    i += length;
  }
  return true;
}

// A dimension as slope * symbol + offset.
struct Linear {
  Dim slope, offset;
};

// Nothing if the dimension is not linear in the symbol.
std::optional<Linear> linear_in(const Dim& dim, const std::string& symbol) {
  Linear result;
  if (degree_in(dim, symbol).value_or(2) > 1) return std::nullopt;
  for (const Dim::Term& term : dim.terms()) {
    Dim product(term.coefficient);
    bool has_symbol = false;
    for (const Dim::Factor& factor : term.factors) {
      bool is_symbol = factor.quotient() == nullptr && factor.text() == symbol;
      has_symbol = has_symbol || is_symbol;
      if (!is_symbol) product = product * Dim::of(factor);
    }
    Dim& part = has_symbol ? result.slope : result.offset;
    part = part + product;
  }
  return result;
}

}  // namespace

OnnxNodeWriter::OnnxNodeWriter(const Graph& graph, onnx::GraphProto& out) : out_(out) {
  for (ValueId id : graph.inputs())
    inputs_.emplace_back(graph.value(id).name, graph.type(id).shape);
  find_symbols();
}

// As symbols are bound at a call: plain ones first, then dimensions with one unknown symbol, until
// nothing more is learned.
void OnnxNodeWriter::find_symbols() {
  for (bool plain : {true, false}) {
    for (bool learned = true; learned;) {
      learned = false;
      for (const auto& [input, shape] : inputs_)
        for (const Dim& dim : shape) {
          if (plain && !dim.as_symbol()) continue;
          std::vector<std::string> unknown;
          dim.collect_symbols(unknown);
          std::erase_if(unknown, [&](const std::string& name) { return linear_.contains(name); });
          if (unknown.size() != 1 || !linear_in(dim, unknown.front())) continue;
          linear_.emplace(unknown.front(), dim);
          learned = true;
        }
    }
  }
}

bool OnnxNodeWriter::reserve(const std::string& name) {
  if (!is_utf8(name))
    throw Error(fmt::format("the name {} is not UTF-8, which ONNX requires", in_quotes(name)));
  return names_.insert(name).second;
}

std::string OnnxNodeWriter::unique_name(const std::string& wanted) {
  if (reserve(wanted)) return wanted;
  for (int& suffix = next_suffix_[wanted];;) {
    std::string candidate = fmt::format("{}_{}", wanted, ++suffix);
    if (reserve(candidate)) return candidate;
  }
}

void OnnxNodeWriter::begin(std::string documentation) {
  documentation_ = std::move(documentation);
  pending_.clear();
  provisional_.clear();
}

std::vector<OnnxValue> OnnxNodeWriter::add_all(std::string_view type, std::vector<OnnxValue> inputs,
                                               const Attributes& attributes, std::size_t results) {
  onnx::NodeProto& node = pending_.emplace_back(make_node(type, inputs, attributes));
  node.set_doc_string(documentation_);
  std::vector<OnnxValue> values;
  for (std::size_t i = 0; i < results; ++i) {
    // No name of a graph begins like this: it is not UTF-8.
    values.push_back(fmt::format("\xFF{}", provisional_.size()));
    provisional_.insert(values.back());
    node.add_output(values.back());
  }
  return values;
}

void OnnxNodeWriter::finish(std::vector<OnnxValue> results, const std::vector<std::string>& names) {
  WEIR_CHECK(results.size() == names.size(), documentation_);
  std::unordered_map<std::string, std::string> final_names;
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (is_provisional(results[i]) && final_names.emplace(results[i], names[i]).second) continue;
    OnnxValue copy = add("Identity", {results[i]});
    final_names.emplace(copy, names[i]);
  }
  int parts = 0;
  auto rename = [&](std::string& name) {
    if (!is_provisional(name)) return;
    auto [found, is_new] = final_names.emplace(name, std::string());
    if (is_new) found->second = unique_name(fmt::format("{}.{}", names.front(), parts++));
    name = found->second;
  };
  for (onnx::NodeProto& node : pending_) {
    for (std::string& input : *node.mutable_input()) rename(input);
    for (std::string& output : *node.mutable_output()) rename(output);
    node.set_name(node.output(0));
    *out_.add_node() = std::move(node);
  }
  begin({});
}

OnnxValue OnnxNodeWriter::add_shared(std::string_view type, std::vector<OnnxValue> inputs,
                                     const Attributes& attributes, const std::string& name) {
  onnx::NodeProto node = make_node(type, inputs, attributes);
  OnnxValue value = unique_name(name);
  node.set_name(value);
  node.add_output(value);
  *out_.add_node() = std::move(node);
  return value;
}

OnnxValue OnnxNodeWriter::constant(const Tensor& value) {
  auto add_constant = [&] {
    return add_shared("Constant", {}, {{"value", std::make_shared<const Tensor>(value)}},
                      "constant");
  };
  if (value.element_count() > kLargestShared) return add_constant();
  std::string key = to_string(value.dtype(), value.sizes());
  key += bytes_of(value);
  OnnxValue& shared = shared_[key];
  if (shared.empty()) shared = add_constant();
  return shared;
}

OnnxValue OnnxNodeWriter::solve(const std::string& symbol) {
  auto found = linear_.find(symbol);
  if (found == linear_.end())
    throw Error(
        fmt::format("the size of symbol {} is needed, and it does not follow from the sizes "
                    "of the inputs: no dimension of theirs is linear in it",
                    symbol));
  Linear linear = linear_in(found->second, symbol).value();
  OnnxValue value = size(found->second);
  if (linear.offset != Dim(0)) value = add_shared("Sub", {value, size(linear.offset)}, {}, "size");
  if (linear.slope != Dim(1)) value = add_shared("Div", {value, size(linear.slope)}, {}, "size");
  return value;
}

OnnxValue OnnxNodeWriter::read(const Dim& dim) {
  for (const auto& [input, shape] : inputs_) {
    auto found = std::find(shape.begin(), shape.end(), dim);
    if (found == shape.end()) continue;
    std::int64_t axis = found - shape.begin();
    return add_shared("Shape", {input}, {{"start", axis}, {"end", axis + 1}}, "size");
  }
  return {};
}

OnnxValue OnnxNodeWriter::product(const Dim::Term& term) {
  OnnxValue value;
  for (const Dim::Factor& each : term.factors) {
    OnnxValue factor = size(Dim::of(each));
    value = value.empty() ? factor : add_shared("Mul", {value, factor}, {}, "size");
  }
  if (value.empty()) return size(Dim(term.coefficient));
  if (term.coefficient == 1) return value;
  return add_shared("Mul", {value, size(Dim(term.coefficient))}, {}, "size");
}

OnnxValue OnnxNodeWriter::size(const Dim& dim) {
  if (dim.is_constant()) return integers(std::array{dim.value()});
  std::string key = "size " + dim.to_string();
  if (auto found = shared_.find(key); found != shared_.end()) return found->second;
  OnnxValue value = read(dim);
  if (value.empty()) {
    if (std::optional<std::string> symbol = dim.as_symbol()) {
      value = solve(*symbol);
    } else if (const Dim::Quotient* quotient = dim.as_quotient()) {
      // Neither is negative, so ONNX's Div rounds down.
      value =
          add_shared("Div", {size(quotient->dividend), size(Dim(quotient->divisor))}, {}, "size");
    } else {
      for (const Dim::Term& term : dim.terms()) {
        OnnxValue summand = product(term);
        value = value.empty() ? summand : add_shared("Add", {value, summand}, {}, "size");
      }
    }
  }
  shared_.emplace(std::move(key), value);
  return value;
}

OnnxValue OnnxNodeWriter::sizes(const Shape& shape) {
  if (std::all_of(shape.begin(), shape.end(), [](const Dim& dim) { return dim.is_constant(); })) {
    std::vector<std::int64_t> values;
    for (const Dim& dim : shape) values.push_back(dim.value());
    return integers(values);
  }
  if (shape.size() == 1) return size(shape.front());
  std::string key = "sizes " + to_string(shape);
  if (auto found = shared_.find(key); found != shared_.end()) return found->second;
  OnnxValue value;
  auto same = std::find_if(inputs_.begin(), inputs_.end(),
                           [&](const auto& input) { return input.second == shape; });
  if (same != inputs_.end()) {
    value = add_shared("Shape", {same->first}, {}, "shape");
  } else {
    std::vector<OnnxValue> parts;
    for (std::size_t i = 0; i < shape.size();) {
      std::vector<std::int64_t> run;
      for (; i < shape.size() && shape[i].is_constant(); ++i) run.push_back(shape[i].value());
      parts.push_back(run.empty() ? size(shape[i++]) : integers(run));
    }
    value = add_shared("Concat", std::move(parts), {{"axis", std::int64_t{0}}}, "shape");
  }
  shared_.emplace(std::move(key), value);
  return value;
}

}  // namespace weir
