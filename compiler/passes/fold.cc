#include "compiler/passes/fold.h"

#include <algorithm>

#include <fmt/format.h>

#include "compiler/passes/graph_rewriter.h"
#include "compiler/passes/uniform_values.h"
#include "ir/interpreter.h"
#include "ir/op.h"
#include "ir/registry.h"

namespace weir {
namespace {

constexpr std::int64_t kLargestConstant = 1 << 20;   // bytes
constexpr std::int64_t kAlwaysSmallEnough = 64;      // bytes: one cache line
constexpr std::int64_t kMostElementSteps = 1 << 20;  // a few hundred milliseconds of interpreting
constexpr scalar::Numerics kNumerics{scalar::Numerics::Mode::expanded, true};

// The number of elements; nothing if it is symbolic or above `limit`.
std::optional<std::int64_t> count_up_to(std::int64_t limit, const Shape& shape) {
  std::int64_t count = 1;
  for (const Dim& dim : shape) {
    if (!dim.is_constant()) return std::nullopt;
    if (__builtin_mul_overflow(count, dim.value(), &count) || count > limit) return std::nullopt;
  }
  return count;
}

std::shared_ptr<const Tensor> constant_value(const Graph& graph, ValueId value) {
  const Value& info = graph.value(value);
  if (info.kind != Value::Kind::result) return nullptr;
  const Node& producer = graph.node(info.producer);
  return producer.op->data ? producer.op->data(producer.attributes) : nullptr;
}

// Whether an attribute is made of symbols, as in size_of: the value is known at the call only.
bool has_symbols(const Attributes& attributes) {
  for (const auto& [name, value] : attributes)
    if (const Shape* dims = std::get_if<Shape>(&value))
      if (!std::all_of(dims->begin(), dims->end(), [](const Dim& d) { return d.is_constant(); }))
        return true;
  return false;
}

bool pays(const Graph& graph, const Node& node, std::int64_t operand_bytes) {
  if (has_symbols(node.attributes)) return false;
  std::vector<TensorType> types = types_of(graph, node.operands);
  OpInstance instance{node.op, types, node.attributes};
  if (node.op->composite_for(instance)) return false;
  std::int64_t bytes = 0;
  for (ValueId result : node.results) {
    auto count = count_up_to(kLargestConstant, graph.type(result).shape);
    if (!count) return false;
    bytes += *count * byte_size(graph.type(result).dtype);
  }
  if (bytes > kLargestConstant || bytes > std::max(operand_bytes, kAlwaysSmallEnough)) return false;
  Shape steps = graph.type(node.results[0]).shape;
  if (node.op->steps) {
    Shape extents = node.op->steps(instance).extents;
    steps.insert(steps.end(), extents.begin(), extents.end());
  } else if (!node.op->pointwise && node.op->comprehension) {
    Shape reduced = node.op->comprehension(instance).reduce_extents;
    steps.insert(steps.end(), reduced.begin(), reduced.end());
  }
  return count_up_to(kMostElementSteps, steps).has_value();
}

std::optional<std::vector<Tensor>> evaluate(const Node& node, std::span<const Tensor> operands) {
  GraphBuilder builder;
  std::vector<Var> vars;
  Inputs inputs;
  for (std::size_t i = 0; i < operands.size(); ++i) {
    std::string name = fmt::format("operand{}", i);
    vars.push_back(builder.input(name, operands[i].dtype(), operands[i].type().shape));
    inputs.emplace(std::move(name), operands[i]);
  }
  try {
    std::vector<Var> results = builder.apply_all(*node.op, std::move(vars), node.attributes);
    for (std::size_t i = 0; i < results.size(); ++i)
      builder.output(fmt::format("result{}", i), results[i]);
    return interpret(builder.graph(), {}, inputs, {kNumerics});
  } catch (const Error&) {
    return std::nullopt;
  }
}

class Folder {
 public:
  explicit Folder(const Graph& graph) : rewriter_(graph) {}

  Graph run() {
    for (const Node& node : rewriter_.source().nodes()) {
      if (node.op->data || !(fold_constants(node) || fold_uniform(node))) {
        uniform_.learn(rewriter_.target(), rewriter_.copy(node));
      }
    }
    return std::move(rewriter_).finish();
  }

 private:
  // All operands are constants.
  bool fold_constants(const Node& node) {
    std::vector<Tensor> operands;
    std::int64_t operand_bytes = 0;
    for (ValueId operand : node.operands) {
      auto value = constant_value(rewriter_.target(), rewriter_.mapped(operand));
      if (!value) return false;
      operand_bytes += static_cast<std::int64_t>(value->byte_count());
      operands.push_back(*value);
    }
    if (!pays(rewriter_.source(), node, operand_bytes)) return false;
    auto results = evaluate(node, operands);
    if (!results) return false;
    for (std::size_t i = 0; i < results->size(); ++i)
      rewriter_.replace(node.results[i], add_constant(node, i, std::move((*results)[i]), true));
    return true;
  }

  // All operands of a pointwise node have one known number in every element: so has the result, of
  // whatever size.
  bool fold_uniform(const Node& node) {
    if (!node.op->pointwise || node.operands.empty()) return false;
    std::vector<Tensor> operands;
    for (ValueId operand : node.operands) {
      std::optional<scalar::Bits> element = uniform_.find(rewriter_.mapped(operand));
      if (!element) return false;
      operands.emplace_back(rewriter_.source().type(operand).dtype, Tensor::Sizes{});
      operands.back().set_bits(0, *element);
    }
    auto results = evaluate(node, operands);
    if (!results) return false;
    ValueId scalar = add_constant(node, 0, std::move(results->front()), false);
    ValueId result = node.results[0];
    Attributes shape{{"shape", rewriter_.source().type(result).shape}};
    rewriter_.replace(result, add(broadcast_, {scalar}, std::move(shape), node, 0, true));
    return true;
  }

  ValueId add_constant(const Node& node, std::size_t result, Tensor value, bool named) {
    Attributes attributes{{"value", std::make_shared<const Tensor>(std::move(value))}};
    return add(constant_, {}, std::move(attributes), node, result, named);
  }

  // Adds a node in the place of another, with the name of its result.
  ValueId add(const OpDef& op, std::vector<ValueId> operands, Attributes attributes,
              const Node& node, std::size_t result, bool named) {
    std::string name = named ? rewriter_.source().value(node.results[result]).name : std::string();
    ValueId value =
        rewriter_.add(op, std::move(operands), std::move(attributes), node.location, name);
    uniform_.learn(rewriter_.target(), rewriter_.target().value(value).producer);
    return value;
  }

  const OpDef& constant_ = get_op("constant");
  const OpDef& broadcast_ = get_op("broadcast");
  GraphRewriter rewriter_;
  UniformValues uniform_;
};

}  // namespace

Graph fold(Graph graph) {
  // Whatever folds begins at nodes without operands.
  std::span<const Node> nodes = graph.nodes();
  if (std::none_of(nodes.begin(), nodes.end(),
                   [](const Node& node) { return node.operands.empty(); }))
    return graph;
  return Folder(graph).run();
}

}  // namespace weir
