#include "ir/interpreter.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "ir/index_range_check.h"
#include "ir/op.h"
#include "ir/reduction_tree.h"
#include "ir/scalar/expand.h"

namespace weir {
namespace {

using scalar::Bits;
using scalar::Expr;
using Sizes = Tensor::Sizes;

// Steps to the next index in row-major order; false after the last one.
bool next_index(std::span<std::int64_t> index, std::span<const std::int64_t> sizes) {
  for (std::size_t i = sizes.size(); i-- > 0;) {
    if (++index[i] < sizes[i]) return true;
    index[i] = 0;
  }
  return false;
}

// Where an element of an operand lies that broadcasts to a result index.
std::int64_t broadcast_position(const Sizes& sizes, std::span<const std::int64_t> index) {
  std::int64_t position = 0;
  std::size_t offset = index.size() - sizes.size();
  for (std::size_t i = 0; i < sizes.size(); ++i)
    position = position * sizes[i] + (sizes[i] == 1 ? 0 : index[offset + i]);
  return position;
}

// The row-major position of an index; nothing if it lies outside.
std::optional<std::int64_t> position_of(const Sizes& sizes, std::span<const std::int64_t> index) {
  std::int64_t position = 0;
  for (std::size_t i = 0; i < index.size(); ++i) {
    if (index[i] < 0 || index[i] >= sizes[i]) return std::nullopt;
    position = position * sizes[i] + index[i];
  }
  return position;
}

class Interpreter {
 public:
  Interpreter(const Dim::Bindings& bindings, const scalar::Numerics& numerics)
      : bindings_(bindings), numerics_(numerics) {}

  // `values` are those of the inputs, then of the params.
  std::vector<Tensor> run(const Graph& graph, std::vector<Tensor> values) const;

 private:
  // One node, while it is evaluated.
  struct Use {
    OpInstance instance;
    std::span<const Tensor> operands;
    std::vector<TensorType> types;  // of the results
    std::vector<Sizes> sizes;       // of the results
  };

  std::vector<Tensor> evaluate(const Graph& graph, const Node& node,
                               std::span<const Tensor> operands) const;
  std::vector<Tensor> composite(const Use& use) const;
  std::vector<Tensor> pointwise(const Use& use) const;
  std::vector<Tensor> comprehension(const Use& use) const;
  std::vector<Tensor> steps(const Use& use) const;

  Sizes sizes_of(const Shape& shape) const;
  // An evaluator of these expressions, expanded if the mode asks for it.
  scalar::Evaluator evaluator(scalar::Arena& arena, std::span<const Expr> roots) const;
  // What sizes and loads stand for in the expressions of a node. Buffers are the operands and then,
  // within steps, the result.
  scalar::Environment environment(const Use& use, const Tensor* result = nullptr) const;

  const Dim::Bindings& bindings_;
  const scalar::Numerics& numerics_;
};

// Folds the elements of one result index in the order of struct Reduction.
class Folder {
 public:
  using Tuple = std::vector<Bits>;

  // `step` evaluates the accumulators after one element, `merge` two tuples side by side as one.
  Folder(const Reduction& reduction, scalar::Evaluator step, scalar::Evaluator merge, Sizes extents)
      : reduction_(reduction),
        step_(std::move(step)),
        merge_(std::move(merge)),
        extents_(std::move(extents)),
        count_(checked_element_count(DType::i64, extents_)),
        lanes_(reduction.order == Reduction::Order::lanes ? reduction_lanes(reduction.types.front())
                                                          : 1) {}

  // `axes` are the environment's, the reduced ones last and all zero, and left so.
  Tuple fold(scalar::Environment& environment, std::span<std::int64_t> axes) {
    auto merge = [this](const Tuple& lower, const Tuple& higher) { return merged(lower, higher); };
    ReductionTree<Tuple, decltype(merge)> tree(merge);
    std::span<std::int64_t> reduced = axes.last(extents_.size());
    for (std::int64_t first = 0; first < count_; first += reduction_.chunk) {
      std::vector<Tuple> lanes(static_cast<std::size_t>(lanes_), reduction_.identity);
      for (std::int64_t r = first; r < std::min(count_, first + reduction_.chunk); ++r) {
        Tuple& lane = lanes[static_cast<std::size_t>(r % lanes_)];
        environment.arguments = lane;
        std::span<const Bits> next = step_.run(environment);
        std::copy(next.begin(), next.end(), lane.begin());
        next_index(reduced, extents_);
      }
      for (std::size_t half = lanes.size() / 2; half > 0; half /= 2)
        for (std::size_t l = 0; l < half; ++l) lanes[l] = merged(lanes[l], lanes[l + half]);
      tree.add(std::move(lanes.front()));
    }
    return tree.finish().value_or(reduction_.identity);
  }

 private:
  Tuple merged(const Tuple& lower, const Tuple& higher) {
    Tuple both = lower;
    both.insert(both.end(), higher.begin(), higher.end());
    scalar::Environment environment;
    environment.arguments = both;
    std::span<const Bits> result = merge_.run(environment);
    return {result.begin(), result.end()};
  }

  const Reduction& reduction_;
  scalar::Evaluator step_;
  scalar::Evaluator merge_;
  Sizes extents_;
  std::int64_t count_;
  std::int64_t lanes_;
};

std::vector<Expr> arguments(scalar::Arena& arena, std::span<const DType> types, std::size_t first) {
  std::vector<Expr> result;
  for (std::size_t i = 0; i < types.size(); ++i)
    result.emplace_back(arena, arena.argument(static_cast<std::uint32_t>(first + i), types[i]));
  return result;
}

std::vector<scalar::Id> ids_of(std::span<const Expr> expressions) {
  std::vector<scalar::Id> ids;
  for (const Expr& expression : expressions) ids.push_back(expression.id());
  return ids;
}

void check_types(std::span<const Expr> expressions, std::span<const DType> types, const OpDef& op) {
  WEIR_CHECK(expressions.size() == types.size(), op.name);
  for (std::size_t i = 0; i < types.size(); ++i)
    WEIR_CHECK(expressions[i].type() == types[i], op.name);
}

std::vector<Tensor> Interpreter::run(const Graph& graph, std::vector<Tensor> given) const {
  std::vector<std::size_t> uses(graph.value_count(), 0);
  for (const Node& node : graph.nodes())
    for (ValueId operand : node.operands) ++uses[operand.index];
  for (const Graph::Output& output : graph.outputs()) ++uses[output.value.index];

  std::vector<std::optional<Tensor>> values(graph.value_count());
  std::size_t position = 0;
  for (ValueId input : graph.inputs()) values[input.index] = std::move(given[position++]);
  for (ValueId param : graph.params()) values[param.index] = std::move(given[position++]);

  for (const Node& node : graph.nodes()) {
    std::vector<Tensor> operands;
    for (ValueId operand : node.operands) operands.push_back(*values[operand.index]);
    std::vector<Tensor> results = evaluate(graph, node, operands);
    for (std::size_t i = 0; i < results.size(); ++i)
      if (uses[node.results[i].index] > 0) values[node.results[i].index] = std::move(results[i]);
    for (ValueId operand : node.operands)
      if (--uses[operand.index] == 0) values[operand.index].reset();
  }
  std::vector<Tensor> outputs;
  for (const Graph::Output& output : graph.outputs())
    outputs.push_back(*values[output.value.index]);
  return outputs;
}

std::vector<Tensor> Interpreter::evaluate(const Graph& graph, const Node& node,
                                          std::span<const Tensor> operands) const try {
  const OpDef& op = *node.op;
  std::vector<TensorType> operand_types = types_of(graph, node.operands);
  Use use{{&op, operand_types, node.attributes}, operands, types_of(graph, node.results), {}};
  for (const TensorType& type : use.types) use.sizes.push_back(sizes_of(type.shape));

  if (op.size_needs) {
    for (const SizeNeed& need : op.size_needs(use.instance))
      if (auto message = need.message(bindings_)) throw Error(*message);
  }
  if (op.index_operands) {
    for (const IndexOperand& indices : op.index_operands(use.instance))
      if (auto fault = find_index_fault(operands[indices.operand], sizes_of(indices.sizes),
                                        indices.from_end))
        throw Error(node.location, fmt::format("{}: {}", indices.op.empty() ? op.name : indices.op,
                                               fault->message()));
  }
  std::vector<Tensor> results;
  if (op.composite_for(use.instance)) {
    results = composite(use);
  } else if (op.pointwise) {
    results = pointwise(use);
  } else if (op.comprehension) {
    results = comprehension(use);
  } else if (op.steps) {
    results = steps(use);
  } else {
    WEIR_CHECK(op.data != nullptr, op.name);
    results.push_back(*op.data(node.attributes));
  }
  WEIR_CHECK(results.size() == use.types.size(), op.name);
  for (std::size_t i = 0; i < results.size(); ++i)
    WEIR_CHECK(results[i].dtype() == use.types[i].dtype && results[i].sizes() == use.sizes[i],
               fmt::format("{} gives {} as {}", op.name, to_string(results[i].type()),
                           to_string(use.types[i])));
  return results;
} catch (const Error& error) {
  if (error.diagnostic().location.known()) throw;
  throw Error(node.location, fmt::format("{}: {}", node.op->name, error.diagnostic().message));
}

std::vector<Tensor> Interpreter::composite(const Use& use) const {
  GraphBuilder builder(use.instance.op->name);
  std::vector<Var> operands;
  for (std::size_t i = 0; i < use.operands.size(); ++i)
    operands.push_back(builder.input(fmt::format("operand{}", i), use.instance.operands[i].dtype,
                                     use.instance.operands[i].shape));
  std::vector<Var> results =
      composite_results(*use.instance.op, builder, operands, use.instance.attributes);
  for (std::size_t i = 0; i < results.size(); ++i)
    builder.output(fmt::format("result{}", i), results[i]);
  return run(builder.graph(), {use.operands.begin(), use.operands.end()});
}

std::vector<Tensor> Interpreter::pointwise(const Use& use) const {
  scalar::Arena arena;
  Expr expression = pointwise_expression(arena, use.instance);
  check_types({&expression, 1}, std::vector{use.types[0].dtype}, *use.instance.op);
  scalar::Evaluator element = evaluator(arena, {&expression, 1});

  Tensor result(use.types[0].dtype, use.sizes[0]);
  if (result.element_count() == 0) return {result};
  std::vector<std::int64_t> index(use.sizes[0].size(), 0);
  std::vector<Bits> values(use.operands.size());
  scalar::Environment environment = this->environment(use);
  environment.arguments = values;
  std::int64_t position = 0;
  do {
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] = use.operands[i].bits(broadcast_position(use.operands[i].sizes(), index));
    result.set_bits(position++, element.run(environment)[0]);
  } while (next_index(index, use.sizes[0]));
  return {result};
}

std::vector<Tensor> Interpreter::comprehension(const Use& use) const {
  const OpDef& op = *use.instance.op;
  Comprehension meaning = op.comprehension(use.instance);
  for (const TensorType& type : use.types) WEIR_CHECK(type.shape == use.types[0].shape, op.name);

  scalar::Arena arena;
  Shape extents = use.types[0].shape;
  extents.insert(extents.end(), meaning.reduce_extents.begin(), meaning.reduce_extents.end());
  std::vector<Expr> axis_expressions;
  for (std::size_t i = 0; i < extents.size(); ++i)
    axis_expressions.emplace_back(arena, arena.axis(static_cast<std::uint32_t>(i), extents[i]));
  std::size_t rank = use.sizes[0].size();
  Element element{arena,
                  use.instance,
                  std::span(axis_expressions).first(rank),
                  std::span(axis_expressions).subspan(rank),
                  [&](int k, std::span<const Expr> index) {
                    DType type = use.instance.operand(static_cast<std::size_t>(k)).dtype;
                    return Expr(arena,
                                arena.load(static_cast<std::uint32_t>(k), type, ids_of(index)));
                  },
                  [&](int k, Expr guard, Expr otherwise, std::span<const Expr> index) {
                    return Expr(arena, arena.load_if(static_cast<std::uint32_t>(k), guard.id(),
                                                     otherwise.id(), ids_of(index)));
                  }};
  std::vector<Expr> elements = meaning.body(element);

  std::vector<DType> result_types;
  std::vector<Tensor> results;
  for (std::size_t i = 0; i < use.types.size(); ++i) {
    result_types.push_back(use.types[i].dtype);
    results.emplace_back(use.types[i].dtype, use.sizes[i]);
  }
  Sizes reduce_sizes = sizes_of(meaning.reduce_extents);
  std::vector<std::int64_t> axes(extents.size(), 0);
  scalar::Environment environment = this->environment(use);
  environment.axes = axes;
  auto store = [&](std::int64_t position, std::span<const Bits> values,
                   std::span<const DType> types) {
    for (std::size_t i = 0; i < results.size(); ++i)
      results[i].set_bits(
          position, types[i] == result_types[i]
                        ? values[i]
                        : scalar::apply(scalar::Primitive::cast, result_types[i],
                                        types.subspan(i, 1), values.subspan(i, 1), numerics_));
  };
  if (results.front().element_count() == 0) return results;
  std::span<std::int64_t> index = std::span(axes).first(rank);
  std::int64_t position = 0;

  if (!meaning.reduction) {
    WEIR_CHECK(meaning.reduce_extents.empty(), op.name);
    check_types(elements, result_types, op);
    scalar::Evaluator body = evaluator(arena, elements);
    do {
      store(position++, body.run(environment), result_types);
    } while (next_index(index, use.sizes[0]));
    return results;
  }

  const Reduction& reduction = *meaning.reduction;
  // What is folded beside the results is left out in the end.
  WEIR_CHECK(reduction.types.size() >= result_types.size() &&
                 reduction.identity.size() == reduction.types.size(),
             op.name);
  WEIR_CHECK(reduction.chunk > 0 && (reduction.chunk & (reduction.chunk - 1)) == 0, op.name);
  std::vector<Expr> stepped = reduction.step(arguments(arena, reduction.types, 0), elements);
  check_types(stepped, reduction.types, op);
  scalar::Arena merge_arena;
  std::vector<Expr> merged =
      reduction.merge(arguments(merge_arena, reduction.types, 0),
                      arguments(merge_arena, reduction.types, reduction.types.size()));
  check_types(merged, reduction.types, op);
  Folder folder(reduction, evaluator(arena, stepped), evaluator(merge_arena, merged), reduce_sizes);
  do {
    store(position++, folder.fold(environment, axes), reduction.types);
  } while (next_index(index, use.sizes[0]));
  return results;
}

std::vector<Tensor> Interpreter::steps(const Use& use) const {
  const OpDef& op = *use.instance.op;
  Steps meaning = op.steps(use.instance);
  WEIR_CHECK(use.types.size() == 1 && meaning.in_order.size() == meaning.extents.size(), op.name);
  Tensor result(use.types[0].dtype, use.sizes[0]);
  if (meaning.start && result.byte_count() > 0)
    std::memcpy(result.mutable_data(), use.operands[*meaning.start].data(), result.byte_count());
  scalar::Arena arena;
  std::vector<Expr> axis_expressions;
  for (std::size_t i = 0; i < meaning.extents.size(); ++i)
    axis_expressions.emplace_back(arena,
                                  arena.axis(static_cast<std::uint32_t>(i), meaning.extents[i]));
  auto buffer = [&](int k) {
    return static_cast<std::uint32_t>(k == Element::kResult ? use.operands.size() : k);
  };
  auto type = [&](int k) {
    return k == Element::kResult ? use.types[0].dtype
                                 : use.instance.operand(static_cast<std::size_t>(k)).dtype;
  };
  Element element{arena,
                  use.instance,
                  axis_expressions,
                  {},
                  [&](int k, std::span<const Expr> index) {
                    return Expr(arena, arena.load(buffer(k), type(k), ids_of(index)));
                  },
                  [&](int k, Expr guard, Expr otherwise, std::span<const Expr> index) {
                    return Expr(
                        arena, arena.load_if(buffer(k), guard.id(), otherwise.id(), ids_of(index)));
                  }};
  Steps::Step step = meaning.body(element);
  std::vector<Expr> roots = step.place;
  roots.push_back(step.value);
  check_types(std::span(roots).last(1), std::vector{use.types[0].dtype}, op);
  scalar::Evaluator body = evaluator(arena, roots);
  Sizes sizes = sizes_of(meaning.extents);
  if (checked_element_count(DType::i64, sizes) == 0) return {std::move(result)};
  std::vector<std::int64_t> axes(sizes.size(), 0), place(step.place.size());
  scalar::Environment environment = this->environment(use, &result);
  environment.axes = axes;
  do {
    std::span<const Bits> values = body.run(environment);
    for (std::size_t i = 0; i < place.size(); ++i) place[i] = scalar::as_i64(values[i]);
    std::optional<std::int64_t> position = position_of(result.sizes(), place);
    WEIR_CHECK(position.has_value(), fmt::format("{} writes index [{}] of {}", op.name,
                                                 fmt::join(place, ", "), to_string(result.type())));
    result.set_bits(*position, values.back());
  } while (next_index(axes, sizes));
  return {std::move(result)};
}

Sizes Interpreter::sizes_of(const Shape& shape) const {
  Sizes sizes;
  for (const Dim& dim : shape) {
    std::optional<std::int64_t> size = dim.evaluate(bindings_);
    if (!size || *size < 0) throw Error(*SizeNeed{dim}.message(bindings_));
    sizes.push_back(*size);
  }
  return sizes;
}

scalar::Evaluator Interpreter::evaluator(scalar::Arena& arena, std::span<const Expr> roots) const {
  std::vector<scalar::Id> ids = ids_of(roots);
  if (numerics_.mode == scalar::Numerics::Mode::expanded) ids = scalar::expand_all(arena, ids);
  return {arena, std::move(ids), numerics_};
}

scalar::Environment Interpreter::environment(const Use& use, const Tensor* result) const {
  scalar::Environment environment;
  environment.size = [this](const Dim& dim) { return sizes_of({dim}).front(); };
  environment.load = [&use, result](std::uint32_t buffer, std::span<const std::int64_t> index) {
    const Tensor& tensor = buffer < use.operands.size() ? use.operands[buffer] : *result;
    WEIR_CHECK(index.size() == tensor.sizes().size(), use.instance.op->name);
    std::optional<std::int64_t> position = position_of(tensor.sizes(), index);
    WEIR_CHECK(position.has_value(),
               fmt::format("{} reads index [{}] of operand {}, which is {}", use.instance.op->name,
                           fmt::join(index, ", "), buffer, to_string(tensor.type())));
    return tensor.bits(*position);
  };
  return environment;
}

}  // namespace

std::vector<Tensor> interpret(const Graph& graph, const Weights& weights, const Inputs& inputs,
                              const InterpretOptions& options) {
  Dim::Bindings bindings = bind_symbols(graph, inputs, weights);
  std::vector<Tensor> values;
  for (ValueId id : graph.inputs()) values.push_back(inputs.find(graph.value(id).name)->second);
  for (ValueId id : graph.params()) values.push_back(weights.find(graph.value(id).name)->second);
  return Interpreter(bindings, options.numerics).run(graph, std::move(values));
}

}  // namespace weir
