#include "ir/ops/helpers.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace weir::ops {
namespace {

constexpr std::int64_t kContractionChunk = 1024;

}  // namespace

OpDef declare(std::string family, Text text) {
  OpDef op;
  op.name = std::move(text.name);
  op.family = std::move(family);
  op.summary = std::move(text.summary);
  op.semantics = std::move(text.semantics);
  op.onnx = std::move(text.onnx);
  return op;
}

OpDef unary(std::string family, TypeSet types, Text text,
            std::function<Expr(Expr, const Attributes&)> meaning) {
  OpDef op = declare(std::move(family), std::move(text));
  op.operands = {{"x", types}};
  op.pointwise = [meaning = std::move(meaning)](Arguments arguments, const Attributes& attributes) {
    return meaning(arguments[0], attributes);
  };
  return op;
}

OpDef unary(std::string family, TypeSet types, Text text, std::function<Expr(Expr)> meaning) {
  return unary(std::move(family), types, std::move(text),
               [meaning = std::move(meaning)](Expr x, const Attributes&) { return meaning(x); });
}

OpDef binary(std::string family, TypeSet types, Text text,
             std::function<Expr(Expr, Expr)> meaning) {
  OpDef op = declare(std::move(family), std::move(text));
  op.operands = {{"a", types}, {"b", types}};
  op.pointwise = [meaning = std::move(meaning)](Arguments arguments, const Attributes&) {
    return meaning(arguments[0], arguments[1]);
  };
  return op;
}

OpDef movement(Text text) {
  OpDef op = declare("movement", std::move(text));
  op.operands = {{"x", TypeSet::any}};
  op.is_movement = true;
  return op;
}

OpDef with_derivative(OpDef op, std::function<Expr(Expr, const Attributes&)> derivative) {
  op.derivative = [derivative = std::move(derivative)](Arguments arguments,
                                                       const Attributes& attributes, std::size_t) {
    return derivative(arguments[0], attributes);
  };
  return op;
}

OpDef with_derivative(OpDef op, std::function<Expr(Expr)> derivative) {
  return with_derivative(std::move(op), [derivative = std::move(derivative)](
                                            Expr x, const Attributes&) { return derivative(x); });
}

OpDef with_attribute(OpDef op, std::string name, AttributeKind kind, std::string summary,
                     std::string onnx) {
  op.attributes.push_back(
      {std::move(name), kind, std::nullopt, std::move(summary), std::move(onnx)});
  return op;
}

OpDef with_attribute(OpDef op, std::string name, Attribute default_value, std::string summary,
                     std::string onnx) {
  AttributeKind type = kind(default_value);
  op.attributes.push_back(
      {std::move(name), type, std::move(default_value), std::move(summary), std::move(onnx)});
  return op;
}

OpDef without_gradient(OpDef op, std::string reason) {
  op.gradient = {GradientRule::Kind::none, std::move(reason), {}, false};
  return op;
}

OpDef with_gradient(OpDef op, std::function<std::vector<Var>(const GradientContext&)> rule) {
  op.gradient = {GradientRule::Kind::stated, {}, std::move(rule), false};
  return op;
}

OpDef with_wide_gradient(OpDef op, std::function<std::vector<Var>(const GradientContext&)> rule) {
  return with_gradient(std::move(op), [rule = std::move(rule)](const GradientContext& context) {
    auto widened = [&](std::span<const Var> values) {
      std::vector<Var> result(values.begin(), values.end());
      for (Var& value : result)
        if (value.valid() && is_half(value.dtype()))
          value = context.builder.apply("cast", {value}, {{"dtype", compute_type(value.dtype())}});
      return result;
    };
    const std::vector<Var> operands = widened(context.operands);
    const std::vector<Var> results = widened(context.results);
    const std::vector<Var> cotangents = widened(context.cotangents);
    std::vector<TensorType> types;
    for (const Var& operand : operands) types.push_back(operand.type());
    const OpInstance instance{context.instance.op, types, context.instance.attributes};
    return rule({context.builder, instance, operands, results, cotangents, context.wanted,
                 context.reached});
  });
}

OpDef with_moving_gradient(OpDef op, std::function<std::vector<Var>(const GradientContext&)> rule) {
  op = with_gradient(std::move(op), std::move(rule));
  op.gradient.moves = true;
  return op;
}

std::size_t axis_of(const OpInstance& instance) {
  return static_cast<std::size_t>(instance.axis(instance.operand(0).rank()));
}

void check_finite(const OpInstance& instance, std::string_view attribute) {
  double value = instance.attributes.real(attribute);
  if (!std::isfinite(value))
    throw Error(fmt::format("the attribute {} must be finite, not {}", attribute, value));
  if (instance.operands.empty() || !is_float(instance.operands[0].dtype)) return;
  DType dtype = compute_type(instance.operands[0].dtype);
  if (!std::isfinite(scalar::to_double(dtype, scalar::bits_of(dtype, value))))
    throw Error(fmt::format("the attribute {} is {}, which is out of the range of {}", attribute,
                            value, name(dtype)));
}

bool broadcasts_to(const Shape& from, const Shape& to) {
  if (from.size() > to.size()) return false;
  std::size_t offset = to.size() - from.size();
  for (std::size_t i = 0; i < from.size(); ++i)
    if (from[i] != Dim(1) && from[i] != to[offset + i]) return false;
  return true;
}

Expr linearize(const Element& element, std::span<const Expr> index, std::span<const Dim> sizes) {
  Expr position;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] == Dim(1)) continue;
    position = position.valid() ? position * element.size(sizes[i]) + index[i] : index[i];
  }
  return position.valid() ? position : element.number(0);
}

std::vector<Expr> delinearize(const Element& element, Expr position, std::span<const Dim> sizes) {
  std::vector<Expr> index(sizes.size(), element.number(0));
  auto first = std::find_if(sizes.begin(), sizes.end(), [](const Dim& d) { return d != Dim(1); });
  Dim stride = 1;
  for (std::size_t i = sizes.size(); i-- > 0;) {
    if (sizes[i] == Dim(1)) continue;
    Expr rest = stride == Dim(1) ? position : floor_div(position, element.size(stride));
    bool outermost = i == static_cast<std::size_t>(first - sizes.begin());
    index[i] = outermost ? rest : modulo(rest, element.size(sizes[i]));
    stride = stride * sizes[i];
  }
  return index;
}

std::vector<Expr> broadcast_index(const Element& element, std::span<const Expr> index,
                                  const Shape& operand) {
  std::vector<Expr> result;
  std::size_t offset = index.size() - operand.size();
  for (std::size_t i = 0; i < operand.size(); ++i)
    result.push_back(operand[i] == Dim(1) ? element.number(0) : index[offset + i]);
  return result;
}

Comprehension gather_from(std::function<std::vector<Expr>(const Element&)> map) {
  Comprehension result;
  result.body = [map = std::move(map)](const Element& element) {
    return std::vector<Expr>{element.load(0, map(element))};
  };
  return result;
}

Expr bounded_below(Expr x) { return max(x, -1000.0); }
Expr bounded(Expr x) { return min(bounded_below(x), 1000.0); }

DType product_type(DType type) { return is_float(type) ? type : accumulator_type(type); }

Reduction dot(DType type) {
  Reduction reduction;
  reduction.name = "dot";
  reduction.types = {type};
  reduction.identity = {scalar::bits_of(type, 0.0)};
  reduction.step = [type](std::span<const Expr> sum, std::span<const Expr> pair) {
    return std::vector<Expr>{is_float(type) ? fma(pair[0], pair[1], sum[0])
                                            : pair[0] * pair[1] + sum[0]};
  };
  reduction.merge = [](std::span<const Expr> a, std::span<const Expr> b) {
    return std::vector<Expr>{a[0] + b[0]};
  };
  reduction.order = Reduction::Order::chain;
  reduction.chunk = kContractionChunk;
  return reduction;
}

Reduction dot_if(DType type) {
  Reduction reduction = dot(type);
  reduction.name = "dot_if";
  reduction.step = [add = reduction.step](std::span<const Expr> sum, std::span<const Expr> pair) {
    return std::vector<Expr>{select(pair[2], add(sum, pair)[0], sum[0])};
  };
  return reduction;
}

Var sum_to(GraphBuilder& builder, Var value, const Shape& shape) {
  const Shape& from = value.shape();
  std::vector<std::int64_t> axes;
  std::size_t offset = from.size() - shape.size();
  for (std::size_t i = 0; i < from.size(); ++i)
    if (i < offset || shape[i - offset] != from[i]) axes.push_back(static_cast<std::int64_t>(i));
  if (!axes.empty())
    value = builder.apply("reduce_sum", {value}, {{"axes", axes}, {"keep_dims", offset == 0}});
  return reshape_to(builder, value, shape);
}

Var reshape_to(GraphBuilder& builder, Var value, const Shape& shape) {
  if (value.shape() == shape) return value;
  return builder.apply("reshape", {value}, {{"shape", shape}});
}

Attributes slice_attributes(const Shape& shape, const AxisRange& part) {
  Shape starts(shape.size(), Dim(0)), limits = shape;
  starts[part.axis] = part.start;
  limits[part.axis] = part.limit;
  return {{"starts", std::move(starts)}, {"limits", std::move(limits)}};
}

Var broadcast_to(GraphBuilder& builder, Var value, const Shape& shape) {
  if (value.shape() == shape) return value;
  return builder.apply("broadcast", {value}, {{"shape", shape}});
}

Var reduce_keeping(GraphBuilder& builder, std::string_view op, Var x,
                   std::vector<std::int64_t> axes) {
  return builder.apply(op, {x}, {{"axes", std::move(axes)}, {"keep_dims", true}});
}

Reduction sum(DType type, std::int64_t chunk) {
  Reduction reduction;
  reduction.name = "sum";
  reduction.types = {type};
  reduction.identity = {scalar::bits_of(type, 0.0)};
  reduction.step = [](std::span<const Expr> a, std::span<const Expr> b) {
    return std::vector<Expr>{a[0] + b[0]};
  };
  reduction.merge = reduction.step;
  reduction.chunk = chunk;
  return reduction;
}

}  // namespace weir::ops
