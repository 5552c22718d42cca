#include "ir/op.h"

#include <algorithm>

#include <fmt/format.h>

#include "ir/builder.h"

namespace weir {
namespace {

int normalized_axis(std::int64_t axis, int rank) {
  std::int64_t positive = axis < 0 ? axis + rank : axis;
  if (positive < 0 || positive >= rank)
    throw Error(fmt::format("axis {} is out of range for a tensor of rank {}; it may be {} to {}",
                            axis, rank, -rank, rank - 1));
  return static_cast<int>(positive);
}

const OperandSpec& spec_of(const OpDef& op, std::size_t operand) {
  return op.operands[std::min(operand, op.operands.size() - 1)];
}

void check_operand_count(const OpDef& op, std::size_t count) {
  std::size_t required = 0;
  bool variadic = false;
  for (const OperandSpec& spec : op.operands) {
    if (spec.presence != OperandSpec::Presence::optional) ++required;
    variadic = variadic || spec.presence == OperandSpec::Presence::variadic;
  }
  if (count >= required && (variadic || count <= op.operands.size())) return;
  std::string expected = variadic ? fmt::format("at least {}", required)
                         : required == op.operands.size()
                             ? fmt::format("{}", required)
                             : fmt::format("{} to {}", required, op.operands.size());
  throw Error(fmt::format("takes {} operand{}, and {} {} given", expected,
                          expected == "1" ? "" : "s", count, count == 1 ? "is" : "are"));
}

void check_operand_types(const OpDef& op, std::span<const TensorType> operands) {
  for (std::size_t i = 0; i < operands.size(); ++i) {
    const OperandSpec& spec = spec_of(op, i);
    DType type = operands[i].dtype;
    if (!contains(spec.types, type))
      throw Error(fmt::format("operand {} has element type {}; it takes {}", spec.name, name(type),
                              description(spec.types)));
    if (spec.type_group < 0) continue;
    for (std::size_t k = 0; k < i; ++k) {
      const OperandSpec& other = spec_of(op, k);
      if (other.type_group != spec.type_group) continue;
      if (operands[k].dtype != type)
        throw Error(
            fmt::format("operands {} and {} have different element types, {} and {}; cast one of "
                        "them",
                        other.name, spec.name, name(operands[k].dtype), name(type)));
      break;  // the operands before this one have been compared already
    }
  }
}

std::vector<TensorType> infer_pointwise(const OpInstance& instance) {
  Shape shape;
  for (const TensorType& operand : instance.operands)
    shape = broadcast_shapes(shape, operand.shape);
  scalar::Arena arena;
  return {{pointwise_expression(arena, instance).type(), std::move(shape)}};
}

std::vector<TensorType> infer_composite(const OpInstance& instance) {
  GraphBuilder builder;
  std::vector<Var> operands;
  for (std::size_t i = 0; i < instance.operands.size(); ++i)
    operands.push_back(builder.input(fmt::format("operand{}", i), instance.operands[i].dtype,
                                     instance.operands[i].shape));
  std::vector<TensorType> types;
  for (Var result : composite_results(*instance.op, builder, operands, instance.attributes))
    types.push_back(result.type());
  return types;
}

}  // namespace

bool contains(TypeSet set, DType type) {
  switch (set) {
    case TypeSet::any:
      return true;
    case TypeSet::floats:
      return is_float(type);
    case TypeSet::numbers:
      return type != DType::boolean;
    case TypeSet::integers:
      return is_integer(type);
    case TypeSet::bits:
      return is_integer(type) || type == DType::boolean;
    case TypeSet::boolean:
      return type == DType::boolean;
  }
  return false;
}

std::string_view description(TypeSet set) {
  switch (set) {
    case TypeSet::any:
      return "any element type";
    case TypeSet::floats:
      return "a floating-point type";
    case TypeSet::numbers:
      return "a numeric type";
    case TypeSet::integers:
      return "an integer type";
    case TypeSet::bits:
      return "an integer type or bool";
    case TypeSet::boolean:
      return "bool";
  }
  return "";
}

int OpInstance::axis(int rank) const { return normalized_axis(attributes.integer("axis"), rank); }

std::vector<int> OpInstance::axes(int rank) const {
  std::vector<int> result;
  for (std::int64_t axis : attributes.integers("axes"))
    result.push_back(normalized_axis(axis, rank));
  std::sort(result.begin(), result.end());
  auto repeated = std::adjacent_find(result.begin(), result.end());
  if (repeated != result.end()) throw Error(fmt::format("axis {} is given twice", *repeated));
  return result;
}

int reduction_lanes(DType type) { return 256 / byte_size(type); }

std::vector<TensorType> check_and_infer(const OpDef& op, std::span<const TensorType> operands,
                                        Attributes& attributes) {
  check_operand_count(op, operands.size());
  check_operand_types(op, operands);
  complete_attributes(op.attributes, attributes);
  OpInstance instance{&op, operands, attributes};
  if (op.check) op.check(instance);
  if (op.infer) return op.infer(instance);
  return op.pointwise ? infer_pointwise(instance) : infer_composite(instance);
}

Shape broadcast_shapes(const Shape& a, const Shape& b) {
  const Shape& longer = a.size() >= b.size() ? a : b;
  const Shape& shorter = a.size() >= b.size() ? b : a;
  Shape result = longer;
  std::size_t offset = longer.size() - shorter.size();
  for (std::size_t i = 0; i < shorter.size(); ++i) {
    Dim& dim = result[offset + i];
    if (dim == shorter[i] || shorter[i] == Dim(1)) continue;
    if (dim != Dim(1))
      throw Error(fmt::format("shapes {} and {} do not broadcast: {} against {}", to_string(a),
                              to_string(b), dim.to_string(), shorter[i].to_string()));
    dim = shorter[i];
  }
  return result;
}

scalar::Expr pointwise_result(const OpDef& op, std::span<const scalar::Expr> elements,
                              const Attributes& attributes) {
  if (op.keeps_types) return op.pointwise(elements, attributes);
  std::optional<DType> half;
  std::vector<scalar::Expr> arguments;
  for (scalar::Expr element : elements) {
    DType type = element.type();
    if (is_half(type)) half = type;
    arguments.push_back(cast(element, compute_type(type)));
  }
  scalar::Expr result = op.pointwise(arguments, attributes);
  return half && result.type() == DType::f32 ? cast(result, *half) : result;
}

scalar::Expr pointwise_expression(scalar::Arena& arena, const OpInstance& instance) {
  std::vector<scalar::Expr> arguments;
  for (std::size_t i = 0; i < instance.operands.size(); ++i)
    arguments.emplace_back(
        arena, arena.argument(static_cast<std::uint32_t>(i), instance.operands[i].dtype));
  return pointwise_result(*instance.op, arguments, instance.attributes);
}

std::vector<Var> composite_results(const OpDef& op, GraphBuilder& builder,
                                   std::span<const Var> operands, const Attributes& attributes) {
  if (op.is_movement) return op.composite(builder, operands, attributes);
  auto in_type = [&](Var value, DType type) {
    return value.dtype() == type ? value : builder.apply("cast", {value}, {{"dtype", type}});
  };
  std::optional<DType> half;
  std::vector<Var> arguments;
  for (Var operand : operands) {
    if (is_half(operand.dtype())) half = operand.dtype();
    arguments.push_back(in_type(operand, compute_type(operand.dtype())));
  }
  std::vector<Var> results = op.composite(builder, arguments, attributes);
  for (Var& result : results)
    if (half && result.dtype() == DType::f32) result = in_type(result, *half);
  return results;
}

}  // namespace weir
