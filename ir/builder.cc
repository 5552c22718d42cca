#include "ir/builder.h"

#include <array>
#include <charconv>
#include <span>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "ir/escape.h"
#include "ir/registry.h"

namespace weir {
namespace {

GraphBuilder& common_builder(std::span<const Operand> operands, std::string_view op) {
  GraphBuilder* builder = operands.front().var.valid() ? &operands.front().var.builder() : nullptr;
  for (const Operand& operand : operands) {
    if (!operand.var.valid())
      throw Error(Location(operand.where), fmt::format("{}: an operand is an empty Var", op));
    if (&operand.var.builder() != builder)
      throw Error(Location(operand.where),
                  fmt::format("{}: the operands belong to different graphs", op));
  }
  return *builder;
}

Var binary(std::string_view op, const Operand& a, const Operand& b) {
  GraphBuilder& builder = common_builder(std::array{a, b}, op);
  return builder.apply(op, {a.var, b.var}, {}, Location(a.where));
}

Operand constant_like(const Operand& operand, Real value) {
  if (!operand.var.valid()) throw Error(Location(operand.where), "an operand is an empty Var");
  return {operand.var.builder().scalar(operand.var.dtype(), value.value, operand.where),
          operand.where};
}

}  // namespace

const TensorType& Var::type() const { return builder_->graph().type(id_); }

Real::Real(float number) {
  std::array<char, 32> buffer;
  auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), number).ptr;
  if (std::from_chars(buffer.data(), end, value).ec != std::errc()) value = number;
}

Var GraphBuilder::input(std::string name, DType dtype, Shape shape, std::source_location where) {
  return {*this, graph_.add_input(std::move(name), {dtype, std::move(shape)}, Location(where))};
}

Var GraphBuilder::param(std::string name, Tensor value, std::source_location where) {
  Var result(*this, graph_.add_param(name, value.type(), Location(where)));
  weights_.insert_or_assign(std::move(name), std::move(value));
  return result;
}

Var GraphBuilder::param(std::string name, DType dtype, Shape shape, std::source_location where) {
  return {*this, graph_.add_param(std::move(name), {dtype, std::move(shape)}, Location(where))};
}

Var GraphBuilder::param(std::string name, DType dtype, Shape shape, Initializer initializer,
                        std::source_location where) {
  Var result = param(std::move(name), dtype, std::move(shape), where);
  try {
    graph_.set_initializer(result.id(), std::move(initializer));
  } catch (const Error& error) {
    throw Error(Location(where), error.diagnostic().message);
  }
  return result;
}

Var GraphBuilder::constant(Tensor value, std::source_location where) {
  Location location = location_.known() ? location_ : Location(where);
  return apply("constant", {}, {{"value", std::make_shared<const Tensor>(std::move(value))}},
               std::move(location));
}

Var GraphBuilder::scalar(DType dtype, double value, std::source_location where) {
  Tensor tensor(dtype, {});
  tensor.set_bits(0, scalar::bits_of(dtype, value));
  return constant(std::move(tensor), where);
}

void GraphBuilder::output(std::string name, Var value) {
  if (!value.valid() || &value.builder() != this)
    throw Error(fmt::format("the output {} is not a value of this graph", name));
  graph_.add_output(value.id(), std::move(name));
}

void GraphBuilder::update(Var param, Var value) {
  for (const Var& var : {param, value})
    if (!var.valid() || &var.builder() != this)
      throw Error("a param and its next value must be values of this graph");
  graph_.add_update(param.id(), value.id());
}

std::vector<Var> GraphBuilder::apply_all(std::string_view op, std::vector<Var> operands,
                                         Attributes attributes, Location location) {
  const OpDef* definition = find_op(op);
  if (!definition) {
    std::vector<std::string> near = similar_ops(op);
    throw Error(
        location.known() ? location : location_,
        fmt::format("there is no op {}; {}", printable(op),
                    near.empty() ? "`weir ops` lists those there are"
                                 : fmt::format("did you mean {}?", fmt::join(near, " or "))));
  }
  return apply_all(*definition, std::move(operands), std::move(attributes), std::move(location));
}

std::vector<Var> GraphBuilder::apply_all(const OpDef& op, std::vector<Var> operands,
                                         Attributes attributes, Location location) {
  if (pinned_) {
    location = *pinned_;
  } else if (!location.known()) {
    location = location_;
  }
  std::vector<ValueId> ids;
  for (const Var& operand : operands) {
    if (!operand.valid() || &operand.builder() != this)
      throw Error(location, fmt::format("{}: an operand is not a value of this graph", op.name));
    ids.push_back(operand.id());
  }
  NodeId node = graph_.add_node(op, std::move(ids), std::move(attributes), std::move(location));
  std::vector<Var> results;
  for (ValueId result : graph_.node(node).results) results.emplace_back(*this, result);
  return results;
}

Var GraphBuilder::apply(std::string_view op, std::vector<Var> operands, Attributes attributes,
                        Location location) {
  std::vector<Var> results =
      apply_all(op, std::move(operands), std::move(attributes), std::move(location));
  WEIR_CHECK(results.size() == 1, std::string(op));
  return results.front();
}

Var GraphBuilder::apply(const OpDef& op, std::vector<Var> operands, Attributes attributes,
                        Location location) {
  std::vector<Var> results =
      apply_all(op, std::move(operands), std::move(attributes), std::move(location));
  WEIR_CHECK(results.size() == 1, op.name);
  return results.front();
}

std::vector<Var> apply_op_all(std::string_view op, std::vector<Operand> operands,
                              Attributes attributes) {
  if (operands.empty()) throw Error(fmt::format("{}: no operand is given", op));
  while (operands.size() > 1 && !operands.back().var.valid()) operands.pop_back();
  GraphBuilder& builder = common_builder(operands, op);
  std::vector<Var> vars;
  for (const Operand& operand : operands) vars.push_back(operand.var);
  return builder.apply_all(op, std::move(vars), std::move(attributes),
                           Location(operands.front().where));
}

Var apply_op(std::string_view op, std::vector<Operand> operands, Attributes attributes) {
  return apply_op_all(op, std::move(operands), std::move(attributes)).front();
}

Var operator+(Operand a, Operand b) { return binary("add", a, b); }
Var operator-(Operand a, Operand b) { return binary("sub", a, b); }
Var operator*(Operand a, Operand b) { return binary("mul", a, b); }
Var operator/(Operand a, Operand b) { return binary("div", a, b); }
Var operator+(Operand a, Real b) { return binary("add", a, constant_like(a, b)); }
Var operator-(Operand a, Real b) { return binary("sub", a, constant_like(a, b)); }
Var operator*(Operand a, Real b) { return binary("mul", a, constant_like(a, b)); }
Var operator/(Operand a, Real b) { return binary("div", a, constant_like(a, b)); }
Var operator+(Real a, Operand b) { return binary("add", constant_like(b, a), b); }
Var operator-(Real a, Operand b) { return binary("sub", constant_like(b, a), b); }
Var operator*(Real a, Operand b) { return binary("mul", constant_like(b, a), b); }
Var operator/(Real a, Operand b) { return binary("div", constant_like(b, a), b); }
Var operator-(Operand a) {
  return common_builder({&a, 1}, "neg").apply("neg", {a.var}, {}, Location(a.where));
}
Var operator<(Operand a, Operand b) { return binary("less", a, b); }
Var operator<=(Operand a, Operand b) { return binary("less_equal", a, b); }
Var operator>(Operand a, Operand b) { return binary("greater", a, b); }
Var operator>=(Operand a, Operand b) { return binary("greater_equal", a, b); }
Var operator<(Operand a, Real b) { return binary("less", a, constant_like(a, b)); }
Var operator<=(Operand a, Real b) { return binary("less_equal", a, constant_like(a, b)); }
Var operator>(Operand a, Real b) { return binary("greater", a, constant_like(a, b)); }
Var operator>=(Operand a, Real b) { return binary("greater_equal", a, constant_like(a, b)); }

}  // namespace weir
