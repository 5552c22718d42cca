#include "compiler/frontend/onnx/known_tensor.h"

#include <algorithm>

#include <fmt/format.h>

#include "ir/builder.h"
#include "ir/op.h"
#include "ir/scalar/expr.h"

namespace weir::onnx_format {
namespace {

using scalar::Bits;
using scalar::Expr;
using scalar::Primitive;

// More than a shape needs; a product over more elements than this is not worked out.
constexpr std::int64_t kLargestWork = 4096;

bool next_index(std::span<std::int64_t> index, std::span<const std::int64_t> sizes) {
  for (std::size_t i = sizes.size(); i-- > 0;) {
    if (++index[i] < sizes[i]) return true;
    index[i] = 0;
  }
  return false;
}

// Expressions, evaluated for one element after the other.
class Expressions {
 public:
  Expressions(const scalar::Arena& arena, std::span<const Expr> roots) : arena_(arena) {
    for (const Expr& root : roots) roots_.push_back(root.id());
    order_ = reachable(arena, roots_);
    values_.resize(arena.size());
  }

  std::vector<KnownScalar> run(std::span<const KnownScalar> arguments,
                               std::span<const std::int64_t> axes,
                               std::span<const KnownTensor> buffers) {
    for (scalar::Id id : order_) values_[id.index] = value(id, arguments, axes, buffers);
    std::vector<KnownScalar> results;
    for (scalar::Id root : roots_) results.push_back(values_[root.index]);
    return results;
  }

 private:
  KnownScalar value(scalar::Id id, std::span<const KnownScalar> arguments,
                    std::span<const std::int64_t> axes, std::span<const KnownTensor> buffers) {
    const scalar::Node& node = arena_[id];
    std::span<const scalar::Id> operands = arena_.operands(id);
    switch (node.primitive) {
      case Primitive::constant:
        return Bits{node.payload};
      case Primitive::argument:
        return arguments[node.payload];
      case Primitive::axis:
        return scalar::from_i64(axes[node.payload]);
      case Primitive::size:
        return known_dim(DType::i64, arena_.dim(node.payload));
      case Primitive::load:
        return element(buffers[node.payload], operands);
      case Primitive::load_if: {
        const Bits* guard = std::get_if<Bits>(&values_[operands[0].index]);
        if (guard == nullptr) return {};
        return scalar::as_bool(*guard) ? element(buffers[node.payload], operands.subspan(2))
                                       : values_[operands[1].index];
      }
      default: {
        std::vector<KnownScalar> values;
        std::vector<DType> types;
        for (scalar::Id operand : operands) {
          values.push_back(values_[operand.index]);
          types.push_back(arena_[operand].type);
        }
        return apply(node.primitive, node.type, types, values);
      }
    }
  }

  KnownScalar element(const KnownTensor& buffer, std::span<const scalar::Id> indices) {
    std::int64_t position = 0;
    for (std::size_t i = 0; i < indices.size(); ++i) {
      const Bits* index = std::get_if<Bits>(&values_[indices[i].index]);
      if (index == nullptr) return {};
      std::int64_t at = scalar::as_i64(*index);
      if (at < 0 || at >= buffer.sizes[i]) return {};
      position = position * buffer.sizes[i] + at;
    }
    return buffer.elements[static_cast<std::size_t>(position)];
  }

  const scalar::Arena& arena_;
  std::vector<scalar::Id> roots_, order_;
  std::vector<KnownScalar> values_;
};

// A graph, node after node. Throws TooLarge where a value has too many elements, or a size that is
// not a number.
struct TooLarge {};

class Evaluator {
 public:
  std::vector<KnownTensor> run(const Graph& graph, std::vector<KnownTensor> inputs) {
    std::vector<KnownTensor> values(graph.value_count());
    for (std::size_t i = 0; i < inputs.size(); ++i)
      values[graph.inputs()[i].index] = std::move(inputs[i]);
    for (const weir::Node& node : graph.nodes()) {
      std::vector<KnownTensor> operands;
      for (ValueId operand : node.operands) operands.push_back(values[operand.index]);
      std::vector<KnownTensor> results = evaluate_node(graph, node, operands);
      for (std::size_t i = 0; i < results.size(); ++i)
        values[node.results[i].index] = std::move(results[i]);
    }
    std::vector<KnownTensor> outputs;
    for (const Graph::Output& output : graph.outputs())
      outputs.push_back(values[output.value.index]);
    return outputs;
  }

 private:
  std::vector<KnownTensor> evaluate_node(const Graph& graph, const weir::Node& node,
                                         std::span<const KnownTensor> operands) {
    const OpDef& op = *node.op;
    std::vector<TensorType> types = types_of(graph, node.operands);
    OpInstance instance{&op, types, node.attributes};
    if (op.composite_for(instance)) {
      GraphBuilder builder;
      std::vector<Var> vars;
      for (std::size_t i = 0; i < types.size(); ++i)
        vars.push_back(builder.input(fmt::format("{}", i), types[i].dtype, types[i].shape));
      std::vector<Var> results = op.composite(builder, vars, node.attributes);
      for (std::size_t i = 0; i < results.size(); ++i)
        builder.output(fmt::format("{}", i), results[i]);
      return run(builder.graph(), {operands.begin(), operands.end()});
    }
    std::vector<KnownTensor> results;
    for (ValueId id : node.results) results.push_back(blank(graph.type(id)));
    if (op.pointwise) {
      pointwise(instance, operands, results.front());
    } else if (op.steps) {
      throw TooLarge();
    } else if (op.comprehension) {
      comprehension(instance, operands, results);
    } else {
      results = {known_tensor(*op.data(node.attributes))};
    }
    return results;
  }

  // A tensor of that type with nothing known in it.
  KnownTensor blank(const TensorType& type) {
    KnownTensor result{type.dtype, {}, {}};
    for (const Dim& dim : type.shape) {
      if (!dim.is_constant()) throw TooLarge();
      result.sizes.push_back(dim.value());
    }
    std::int64_t count = checked_element_count(type.dtype, result.sizes);
    if (count > kLargestKnown) throw TooLarge();
    result.elements.resize(static_cast<std::size_t>(count));
    return result;
  }

  void pointwise(const OpInstance& instance, std::span<const KnownTensor> operands,
                 KnownTensor& result) {
    if (result.elements.empty()) return;
    scalar::Arena arena;
    Expr expression = pointwise_expression(arena, instance);
    Expressions expressions(arena, {&expression, 1});
    std::vector<std::int64_t> index(result.sizes.size(), 0);
    std::size_t position = 0;
    do {
      std::vector<KnownScalar> arguments;
      for (const KnownTensor& operand : operands) {
        std::size_t at = 0, offset = index.size() - operand.sizes.size();
        for (std::size_t i = 0; i < operand.sizes.size(); ++i)
          at = at * static_cast<std::size_t>(operand.sizes[i]) +
               (operand.sizes[i] == 1 ? 0 : static_cast<std::size_t>(index[offset + i]));
        arguments.push_back(operand.elements[at]);
      }
      result.elements[position++] = expressions.run(arguments, {}, {}).front();
    } while (next_index(index, result.sizes));
  }

  void comprehension(const OpInstance& instance, std::span<const KnownTensor> operands,
                     std::vector<KnownTensor>& results) {
    const KnownTensor& first = results.front();
    if (first.elements.empty()) return;
    Comprehension meaning = instance.op->comprehension(instance);
    scalar::Arena arena;
    std::vector<Expr> axes;
    auto add_axis = [&](const Dim& extent) {
      axes.emplace_back(arena, arena.axis(static_cast<std::uint32_t>(axes.size()), extent));
    };
    for (std::int64_t size : first.sizes) add_axis(size);
    std::vector<std::int64_t> extents;
    for (const Dim& extent : meaning.reduce_extents) {
      if (!extent.is_constant()) throw TooLarge();
      extents.push_back(extent.value());
      add_axis(extent);
    }
    std::size_t rank = first.sizes.size();
    auto ids = [](std::span<const Expr> index) {
      std::vector<scalar::Id> result;
      for (const Expr& each : index) result.push_back(each.id());
      return result;
    };
    Element element{arena,
                    instance,
                    std::span(axes).first(rank),
                    std::span(axes).subspan(rank),
                    [&](int k, std::span<const Expr> index) {
                      DType type = instance.operand(static_cast<std::size_t>(k)).dtype;
                      return Expr(arena,
                                  arena.load(static_cast<std::uint32_t>(k), type, ids(index)));
                    },
                    [&](int k, Expr guard, Expr otherwise, std::span<const Expr> index) {
                      return Expr(arena, arena.load_if(static_cast<std::uint32_t>(k), guard.id(),
                                                       otherwise.id(), ids(index)));
                    }};
    std::vector<Expr> body = meaning.body(element);
    std::vector<std::int64_t> place(axes.size(), 0);
    std::span<std::int64_t> index = std::span(place).first(rank);
    std::span<std::int64_t> reduced = std::span(place).subspan(rank);
    std::vector<Expr> stepped = body;
    if (meaning.reduction) {
      std::int64_t work = checked_element_count(DType::i64, extents);
      if (work > kLargestWork) throw TooLarge();
      std::vector<Expr> accumulators;
      for (std::size_t i = 0; i < meaning.reduction->types.size(); ++i)
        accumulators.emplace_back(
            arena, arena.argument(static_cast<std::uint32_t>(i), meaning.reduction->types[i]));
      stepped = meaning.reduction->step(accumulators, body);
    }
    Expressions expressions(arena, stepped);
    std::size_t position = 0;
    do {
      std::vector<KnownScalar> values;
      if (!meaning.reduction) {
        values = expressions.run({}, place, operands);
      } else {
        for (Bits identity : meaning.reduction->identity) values.emplace_back(identity);
        if (checked_element_count(DType::i64, extents) > 0) {
          do {
            values = expressions.run(values, place, operands);
          } while (next_index(reduced, extents));
        }
      }
      for (std::size_t i = 0; i < results.size(); ++i)
        results[i].elements[position] = std::move(values[i]);
      ++position;
    } while (next_index(index, first.sizes));
  }
};

}  // namespace

TensorType KnownTensor::type() const { return {dtype, Shape(sizes.begin(), sizes.end())}; }

bool KnownTensor::is_complete() const {
  return std::all_of(elements.begin(), elements.end(), is_known);
}

KnownTensor known_list(const Shape& dims) {
  KnownTensor result{DType::i64, {static_cast<std::int64_t>(dims.size())}, {}};
  for (const Dim& dim : dims) result.elements.push_back(known_dim(DType::i64, dim));
  return result;
}

KnownTensor known_tensor(const Tensor& tensor) {
  KnownTensor result{tensor.dtype(), tensor.sizes(), {}};
  for (std::int64_t i = 0; i < tensor.element_count(); ++i)
    result.elements.emplace_back(tensor.bits(i));
  return result;
}

std::optional<Tensor> as_tensor(const KnownTensor& known) {
  Tensor tensor(known.dtype, known.sizes);
  for (std::size_t i = 0; i < known.elements.size(); ++i) {
    const Bits* bits = std::get_if<Bits>(&known.elements[i]);
    if (bits == nullptr) return std::nullopt;
    tensor.set_bits(static_cast<std::int64_t>(i), *bits);
  }
  return tensor;
}

std::optional<std::vector<KnownTensor>> evaluate(const Graph& graph,
                                                 std::vector<KnownTensor> inputs) try {
  return Evaluator().run(graph, std::move(inputs));
} catch (const TooLarge&) {
  return std::nullopt;
}

}  // namespace weir::onnx_format
