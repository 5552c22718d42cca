#include "compiler/frontend/onnx/fold_node.h"

#include <algorithm>

#include <fmt/format.h>

#include "compiler/frontend/onnx/known_tensor.h"
#include "ir/interpreter.h"

namespace weir::onnx_format {
namespace {

// Each value that the converter asks for becomes an input of the graph that will be evaluated.
class FoldedValues : public GraphValues {
 public:
  explicit FoldedValues(GraphBuilder& builder) : builder_(builder) {}

  Var var_of(ImportedValue& value) override {
    if (value.var.valid()) return value.var;
    value.var =
        builder_.input(fmt::format("{}", known_.size()), value.type.dtype, value.type.shape);
    known_.push_back(value.tensor ? known_tensor(*value.tensor) : *value.elements);
    return value.var;
  }
  std::vector<KnownTensor> take() { return std::move(known_); }

 private:
  GraphBuilder& builder_;
  std::vector<KnownTensor> known_;
};

bool is_small(const ImportedValue& value) {
  if (value.tensor) return value.tensor->element_count() <= kLargestKnown;
  return value.elements != nullptr;
}

std::vector<KnownTensor> evaluate_numbers(const Graph& graph, const std::vector<Tensor>& inputs) {
  Inputs named;
  for (std::size_t i = 0; i < inputs.size(); ++i) named.emplace(fmt::format("{}", i), inputs[i]);
  std::vector<KnownTensor> results;
  for (const Tensor& output : interpret(graph, {}, named)) results.push_back(known_tensor(output));
  return results;
}

// Exactly, where everything is a number.
std::optional<std::vector<KnownTensor>> evaluate_all(const Graph& graph,
                                                     std::vector<KnownTensor> inputs) {
  if (graph.outputs().empty()) return std::vector<KnownTensor>{};
  bool is_small = true;
  for (std::size_t i = 0; i < graph.value_count() && is_small; ++i) {
    std::optional<std::int64_t> count =
        element_count(graph.type({static_cast<std::uint32_t>(i)}).shape).constant();
    is_small = count && *count <= kLargestKnown;
  }
  if (!is_small) return std::nullopt;
  std::vector<Tensor> numbers;
  for (const KnownTensor& input : inputs) {
    std::optional<Tensor> tensor = as_tensor(input);
    if (!tensor) return evaluate(graph, std::move(inputs));
    numbers.push_back(std::move(*tensor));
  }
  bool has_symbols = !graph.symbols().empty();
  for (const weir::Node& node : graph.nodes())
    for (const auto& [name, attribute] : node.attributes)
      if (const Shape* shape = std::get_if<Shape>(&attribute))
        for (const Dim& dim : *shape) has_symbols = has_symbols || !dim.is_constant();
  if (has_symbols) return evaluate(graph, std::move(inputs));
  return evaluate_numbers(graph, numbers);
}

}  // namespace

bool can_fold(std::span<const ValueRef> inputs) {
  bool has_other_than_weights = false;
  for (const ValueRef& input : inputs) {
    if (input == nullptr) continue;
    if (!is_small(*input) || input->is_default) return false;
    if (input->param_name.empty()) has_other_than_weights = true;
  }
  return has_other_than_weights;
}

std::optional<std::vector<ValueRef>> fold_node(const onnx::NodeProto& proto, int opset,
                                               const ConvertFunction& convert,
                                               std::span<const ValueRef> inputs) try {
  GraphBuilder builder;
  FoldedValues values(builder);
  std::vector<ValueRef> own;
  for (const ValueRef& input : inputs) {
    own.push_back(input == nullptr ? nullptr : std::make_shared<ImportedValue>(*input));
    if (input != nullptr) own.back()->var = {};
  }
  Node node(proto, opset, builder, values, own, nullptr);
  convert(node);
  node.check_attributes();

  // What the converter has not computed is an input under another name, or known without a graph.
  std::vector<ValueRef> results(node.results().begin(), node.results().end());
  for (ValueRef& result : results) {
    if (result == nullptr) continue;
    auto passed = std::find(own.begin(), own.end(), result);
    if (passed != own.end()) {
      result = inputs[static_cast<std::size_t>(passed - own.begin())];
    } else if (result->var.valid()) {
      builder.output(fmt::format("{}", builder.graph().outputs().size()), result->var);
    }
  }
  std::optional<std::vector<KnownTensor>> computed = evaluate_all(builder.graph(), values.take());
  if (!computed) return std::nullopt;
  auto next = computed->begin();
  for (ValueRef& result : results) {
    if (result == nullptr || !result->var.valid() || &result->var.builder() != &builder) continue;
    auto value = std::make_shared<ImportedValue>();
    value->type = next->type();
    if (std::optional<Tensor> tensor = as_tensor(*next)) {
      value->tensor = std::make_shared<const Tensor>(std::move(*tensor));
    } else {
      value->elements = std::make_shared<const KnownTensor>(std::move(*next));
    }
    result = std::move(value);
    ++next;
  }
  return results;
} catch (const Error&) {
  return std::nullopt;
}

}  // namespace weir::onnx_format
