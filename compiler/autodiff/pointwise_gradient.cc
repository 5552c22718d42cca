#include "compiler/autodiff/pointwise_gradient.h"

#include <algorithm>

#include "ir/registry.h"
#include "ir/scalar/expr.h"

namespace weir {
namespace {

using scalar::Expr;
using scalar::Primitive;

// Declared ops that are one primitive of their operands in order, by primitive, for some element
// type.
const std::multimap<Primitive, const OpDef*>& single_primitive_ops() {
  static const auto table = [] {
    std::multimap<Primitive, const OpDef*> result;
    for (const auto& op : all_ops()) {
      if (!op->pointwise || !op->attributes.empty()) continue;
      std::vector<TensorType> types;
      for (const OperandSpec& spec : op->operands)
        types.push_back({contains(spec.types, DType::f32)   ? DType::f32
                         : contains(spec.types, DType::i32) ? DType::i32
                                                            : DType::boolean,
                         {}});
      Attributes none;
      scalar::Arena arena;
      Expr meaning = pointwise_expression(arena, {op.get(), types, none});
      std::span<const scalar::Id> operands = arena.operands(meaning.id());
      bool in_order = !operands.empty() && operands.size() == types.size();
      for (std::size_t i = 0; in_order && i < operands.size(); ++i)
        in_order =
            arena[operands[i]].primitive == Primitive::argument && arena[operands[i]].payload == i;
      if (in_order) result.emplace(arena[meaning.id()].primitive, op.get());
    }
    return result;
  }();
  return table;
}

// The declared op whose meaning on the operands of `root` is `root` itself.
const OpDef* op_meaning(scalar::Arena& arena, scalar::Id root) {
  std::vector<Expr> operands;
  for (scalar::Id operand : arena.operands(root)) operands.emplace_back(arena, operand);
  auto [begin, end] = single_primitive_ops().equal_range(arena[root].primitive);
  for (auto it = begin; it != end; ++it) {
    const OpDef& op = *it->second;
    bool fits = op.operands.size() == operands.size();
    for (std::size_t i = 0; fits && i < operands.size(); ++i)
      fits = contains(op.operands[i].types, operands[i].type());
    if (fits && op.pointwise(operands, {}).id() == root) return &op;
  }
  return nullptr;
}

bool is_zero(const scalar::Arena& arena, scalar::Id id) {
  return arena.is_constant(id) && scalar::to_double(arena[id].type, arena.bits(id)) == 0;
}

// Whether the expression is chosen among several, of which one is zero.
bool may_be_zero(const scalar::Arena& arena, scalar::Id id) {
  if (arena[id].primitive != Primitive::select) return is_zero(arena, id);
  return may_be_zero(arena, arena.operand(id, 1)) || may_be_zero(arena, arena.operand(id, 2));
}

}  // namespace

std::optional<PointwiseGradient> PointwiseGradients::find(const OpInstance& instance,
                                                          std::size_t operand,
                                                          std::span<const Var> operands, Var result,
                                                          Var cotangent) {
  const Plan& plan = this->plan(instance, operand, result.dtype());
  if (!plan.op && plan.sources.empty()) return std::nullopt;
  PointwiseGradient gradient;
  gradient.op = plan.op;
  if (plan.takes_attributes) gradient.attributes = instance.attributes;
  std::size_t holes = 0;
  for (const Source& source : plan.sources) {
    if (source.constant) {
      gradient.operands.push_back(cotangent.builder().scalar(result.dtype(), *source.constant));
      continue;
    }
    bool is_hole = source.number == operands.size();
    if (is_hole) gradient.hole = gradient.operands.size();
    holes += is_hole ? 1 : 0;
    gradient.operands.push_back(is_hole                           ? cotangent
                                : source.number < operands.size() ? operands[source.number]
                                                                  : result);
  }
  gradient.masks = plan.op && plan.masks && holes == 1;
  gradient.selects = gradient.masks && plan.selects;
  return gradient;
}

const PointwiseGradients::Plan& PointwiseGradients::plan(const OpInstance& instance,
                                                         std::size_t operand, DType result_type) {
  Plan& known = plans_[{instance.op, operand}];
  bool fits =
      known.types.size() == instance.operands.size() && known.attributes == instance.attributes;
  for (std::size_t i = 0; fits && i < known.types.size(); ++i)
    fits = known.types[i].dtype == instance.operands[i].dtype;
  if (!fits) known = make_plan(instance, operand, result_type);
  return known;
}

PointwiseGradients::Plan PointwiseGradients::make_plan(const OpInstance& instance,
                                                       std::size_t operand, DType result_type) {
  std::size_t count = instance.operands.size();
  Plan plan{{instance.operands.begin(), instance.operands.end()},
            instance.attributes,
            nullptr,
            {},
            false,
            false,
            false};
  const OpDef* general = gradient_op(*instance.op, operand);
  if (!general) return plan;

  scalar::Arena arena;
  std::vector<Expr> arguments;
  for (std::size_t i = 0; i < count; ++i)
    arguments.emplace_back(arena, arena.argument(static_cast<std::uint32_t>(i),
                                                 compute_type(instance.operands[i].dtype)));
  Expr value = instance.op->pointwise(arguments, instance.attributes);
  arguments.emplace_back(
      arena, arena.argument(static_cast<std::uint32_t>(count), compute_type(result_type)));
  scalar::Id gradient = general->pointwise(arguments, instance.attributes).id();
  if (arena.is_constant(gradient)) return plan;  // linear in the cotangent, so zero
  if (gradient == arguments.back().id()) {
    plan.sources = {{count, {}}};
    return plan;
  }
  plan.masks = may_be_zero(arena, gradient);

  // Linear in the operand: the same op on the cotangent in its place.
  std::vector<Expr> replaced(arguments.begin(), arguments.end() - 1);
  replaced[operand] = arguments.back();
  if (result_type == instance.operands[operand].dtype &&
      instance.op->pointwise(replaced, instance.attributes).id() == gradient) {
    plan.op = instance.op;
    plan.takes_attributes = true;
    for (std::size_t i = 0; i < count; ++i) plan.sources.push_back({i == operand ? count : i, {}});
    return plan;
  }

  std::vector<scalar::Id> available;
  for (const Expr& argument : arguments) available.push_back(argument.id());
  available.push_back(value.id());
  bool single = true;
  bool with_zero = false;
  for (scalar::Id id : arena.operands(gradient)) {
    auto found = std::find(available.begin(), available.end(), id);
    if (found != available.end()) {
      plan.sources.push_back({static_cast<std::size_t>(found - available.begin()), {}});
    } else if (arena.is_constant(id) && arena[id].type == result_type) {
      plan.sources.push_back({0, scalar::to_double(result_type, arena.bits(id))});
      with_zero = with_zero || is_zero(arena, id);
    } else {
      single = false;
    }
  }
  if (single) plan.op = op_meaning(arena, gradient);
  plan.selects = with_zero && arena[gradient].primitive == Primitive::select;
  if (plan.op) return plan;

  plan.op = general;
  plan.takes_attributes = true;
  plan.selects = false;
  plan.sources.clear();
  for (std::size_t i = 0; i <= count; ++i) plan.sources.push_back({i, {}});
  return plan;
}

}  // namespace weir
