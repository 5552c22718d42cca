#include "ir/registry.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <unordered_map>

#include <fmt/format.h>

#include "ir/ops/ops.h"
#include "ir/scalar/differentiate.h"
#include "ir/similar_names.h"

namespace weir {
namespace {

struct Registry {
  OpTable table;
  std::unordered_map<std::string_view, const OpDef*> by_name;
  std::mutex gradient_mutex;
  // Keyed by name; a null entry means that the gradient is zero everywhere.
  std::map<std::string, std::unique_ptr<const OpDef>, std::less<>> gradients;

  Registry() {
    add_all_ops(table);
    for (const auto& op : table.ops()) by_name.emplace(op->name, op.get());
  }
};

Registry& registry() {
  static Registry instance;
  return instance;
}

// The derivative of a pointwise expression with respect to one argument, times a cotangent.
scalar::Expr gradient_expression(const OpDef& op, std::span<const scalar::Expr> arguments,
                                 const Attributes& attributes, std::size_t operand,
                                 scalar::Expr cotangent) {
  if (op.derivative) {
    scalar::Expr derivative = op.derivative(arguments, attributes, operand);
    return derivative.valid() ? cotangent * derivative : derivative;
  }
  scalar::Expr value = op.pointwise(arguments, attributes);
  std::vector<scalar::Id> tangents(arguments.size());
  tangents[operand] = cotangent.id();
  // Derivatives are taken with respect to arguments; any other expression that stands for one is
  // the business of the caller, who substitutes afterwards.
  scalar::Id derivative = scalar::differentiate(value.arena(), value.id(), tangents);
  if (!derivative.valid()) return {};
  return {value.arena(), derivative};
}

bool has_derivative(const OpDef& op, std::size_t operand) {
  if (!op.pointwise || operand >= op.operands.size()) return false;
  if (op.gradient.kind != GradientRule::Kind::derived) return false;
  std::vector<TensorType> types = example_types(op);
  if (!is_float(types[operand].dtype)) return false;
  Attributes attributes = example_attributes(op);
  scalar::Arena arena;
  std::vector<scalar::Expr> arguments;
  for (std::size_t i = 0; i < types.size(); ++i)
    arguments.emplace_back(arena, arena.argument(static_cast<std::uint32_t>(i), types[i].dtype));
  scalar::Expr value = op.pointwise(arguments, attributes);
  if (!is_float(value.type())) return false;
  scalar::Expr cotangent(arena,
                         arena.argument(static_cast<std::uint32_t>(types.size()), value.type()));
  return gradient_expression(op, arguments, attributes, operand, cotangent).valid();
}

std::string gradient_name(const OpDef& op, std::size_t operand) {
  std::size_t differentiable = 0;
  for (std::size_t i = 0; i < op.operands.size(); ++i)
    if (has_derivative(op, i)) ++differentiable;
  return differentiable == 1 ? op.name + ".grad" : fmt::format("{}.grad{}", op.name, operand);
}

OpDef make_gradient_op(const OpDef& op, std::size_t operand, std::string name) {
  OpDef result;
  result.name = std::move(name);
  result.family = "gradient";
  result.summary = fmt::format("The gradient of {} with respect to {}, times the cotangent.",
                               op.name, op.operands[operand].name);
  result.semantics = "Derived from the expression of " + op.name + ".";
  result.operands = op.operands;
  result.operands.push_back({"cotangent", TypeSet::floats, OperandSpec::Presence::required,
                             op.operands[operand].type_group});
  result.attributes = op.attributes;
  result.pointwise = [&op, operand](std::span<const scalar::Expr> arguments,
                                    const Attributes& attributes) {
    // Written on arguments 0, 1, ... first, since derivatives are taken with respect to arguments,
    // and then on the expressions that stand for them here.
    scalar::Arena& into = arguments.front().arena();
    scalar::Arena arena;
    std::vector<scalar::Expr> plain;
    for (std::size_t i = 0; i < arguments.size(); ++i)
      plain.emplace_back(arena, arena.argument(static_cast<std::uint32_t>(i), arguments[i].type()));
    scalar::Expr derivative = gradient_expression(op, std::span(plain).first(arguments.size() - 1),
                                                  attributes, operand, plain.back());
    if (!derivative.valid()) return arguments.back().like(0.0);
    std::vector<scalar::Id> memo;
    scalar::Id id = scalar::rebuild(arena, derivative.id(), into, memo, [&](scalar::Id leaf) {
      const scalar::Node& node = arena[leaf];
      return node.primitive == scalar::Primitive::argument ? arguments[node.payload].id()
                                                           : scalar::Id{};
    });
    return scalar::Expr(into, id);
  };
  return result;
}

}  // namespace

void OpTable::add(OpDef op) {
  for (const auto& existing : ops_) WEIR_CHECK(existing->name != op.name, op.name);
  WEIR_CHECK(op.pointwise || op.comprehension || op.steps || op.composite || op.data, op.name);
  ops_.push_back(std::make_unique<const OpDef>(std::move(op)));
}

const std::vector<std::unique_ptr<const OpDef>>& all_ops() { return registry().table.ops(); }

const OpDef* find_op(std::string_view name) {
  const auto& by_name = registry().by_name;
  if (auto found = by_name.find(name); found != by_name.end()) return found->second;
  std::size_t dot = name.rfind(".grad");
  if (dot == std::string_view::npos) return nullptr;
  const OpDef* base = find_op(name.substr(0, dot));
  if (!base) return nullptr;
  for (std::size_t i = 0; i < base->operands.size(); ++i)
    if (const OpDef* op = gradient_op(*base, i); op && op->name == name) return op;
  return nullptr;
}

const OpDef& get_op(std::string_view name) {
  const OpDef* op = find_op(name);
  WEIR_CHECK(op != nullptr, std::string(name));
  return *op;
}

const OpDef* gradient_op(const OpDef& op, std::size_t operand) {
  Registry& all = registry();
  std::lock_guard lock(all.gradient_mutex);
  if (!has_derivative(op, operand)) return nullptr;
  std::string name = gradient_name(op, operand);
  auto found = all.gradients.find(name);
  if (found == all.gradients.end())
    found = all.gradients
                .emplace(name, std::make_unique<const OpDef>(make_gradient_op(op, operand, name)))
                .first;
  return found->second.get();
}

std::vector<TensorType> example_types(const OpDef& op) {
  std::vector<TensorType> types;
  for (const OperandSpec& spec : op.operands) {
    DType type = contains(spec.types, DType::f32)   ? DType::f32
                 : contains(spec.types, DType::i32) ? DType::i32
                                                    : DType::boolean;
    types.push_back({type, {}});
  }
  return types;
}

Attributes example_attributes(const OpDef& op) {
  Attributes attributes;
  for (const AttributeSpec& spec : op.attributes) {
    if (spec.default_value) {
      attributes.set(spec.name, *spec.default_value);
    } else if (spec.kind == AttributeKind::real) {
      attributes.set(spec.name, 0.5);
    } else if (spec.kind == AttributeKind::dtype) {
      attributes.set(spec.name, DType::f64);
    }
  }
  return attributes;
}

std::vector<std::string> similar_ops(std::string_view name) {
  std::vector<std::string> names;
  for (const auto& op : all_ops()) names.push_back(op->name);
  return similar_names(name, names, 3);
}

}  // namespace weir
