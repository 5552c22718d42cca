#include "ir/ops/pooling.h"

#include <fmt/format.h>

namespace weir::ops {

OpDef pool(Text text, TypeSet types) {
  OpDef op = declare("window", std::move(text));
  op.operands = {{"x", types}};
  op.takes_images = true;
  op = with_attribute(std::move(op), "kernel", AttributeKind::integers,
                      "Sizes of the window, for each spatial axis.");
  return with_window(std::move(op));
}

OpDef with_ceil_mode(OpDef op) {
  return with_attribute(
      std::move(op), "ceil_mode", false,
      "A last window may reach beyond the frame, if it begins within x or before.");
}

Window pool_window(const OpInstance& instance, const Shape& x) {
  if (x.size() <= kPooled)
    throw Error(fmt::format("operand {} is {}; it must have a batch, channels and spatial axes",
                            instance.op->operands[0].name, to_string(instance.operand(0))));
  Window window = window_of(instance, instance.attributes.integers("kernel"));
  if (window.size() + kPooled != x.size())
    throw Error(fmt::format("the kernel has {} sizes for the {} spatial axes of {}", window.size(),
                            x.size() - kPooled, to_string(instance.operand(0))));
  const Attribute* ceil = instance.attributes.find("ceil_mode");
  if (ceil != nullptr && std::get<bool>(*ceil))
    for (std::size_t i = 0; i < window.size(); ++i) window[i] = window[i].ceiling(x[kPooled + i]);
  return window;
}

Shape pooled_shape(const Window& window, const Shape& x) {
  Shape shape(x.begin(), x.begin() + kPooled);
  for (std::size_t i = 0; i < window.size(); ++i)
    shape.push_back(window[i].positions(x[kPooled + i]));
  return shape;
}

std::vector<TensorType> infer_pool(const OpInstance& instance) {
  const TensorType& x = instance.operand(0);
  return {{x.dtype, pooled_shape(pool_window(instance, x.shape), x.shape)}};
}

Attributes pool_attributes(const Window& window) {
  Attributes attributes = attributes_of(window);
  attributes.set("kernel", sizes_of(window));
  return attributes;
}

Var put_back(const GradientContext& context, const Shape& x, Var taps, const Window& window) {
  return spread_over(context.builder, window, x, [&](const Window& spread) {
    return context.builder.apply("window_put", {context.cotangents[0], taps},
                                 pool_attributes(spread));
  });
}

WindowTap tap_of(const Element& element, const Window& window, const Shape& x,
                 std::span<const Expr> taps) {
  WindowTap result{{element.index[0], element.index[1]}, {}};
  for (std::size_t i = 0; i < window.size(); ++i) {
    Expr at = window[i].tap(element.index[kPooled + i], taps[i]);
    Expr has = window[i].has_tap(element, at, x[kPooled + i]);
    if (has.valid()) result.guard = result.guard.valid() ? result.guard & has : has;
    result.index.push_back(at);
  }
  return result;
}

Shape extents_of(const Window& window) {
  Shape extents;
  for (const WindowAxis& axis : window) extents.emplace_back(axis.kernel);
  return extents;
}

Expr number_of(const Element& element, DType type, double value) {
  return {element.arena, element.arena.constant(type, value)};
}

}  // namespace weir::ops
