// What a model needs of a machine, however it is computed: multiply-adds of its contractions, and
// what has to be read.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "compiler/passes/decompose.h"
#include "ir/builder.h"
#include "ir/ops/window.h"

namespace weir::bench {

struct Work {
  double flops =
      0;  // two for a multiply-add; those with elements of a convolution's frame are none, nor those between strides
  double bytes = 0;  // inputs and weights, once
};

// How many pairs of a position and a tap are within an axis of that size.
inline double taps_within(const ops::WindowAxis& axis, std::int64_t size, std::int64_t positions) {
  std::int64_t count = 0;
  for (std::int64_t position = 0; position < positions; ++position)
    for (std::int64_t tap = 0; tap < axis.kernel; ++tap) {
      std::int64_t at = position * axis.stride + tap * axis.dilation - axis.low;
      count += at >= 0 && at < size;
    }
  return static_cast<double>(count);
}

inline double flops_of(const OpInstance& instance, const TensorType& result,
                       const Dim::Bindings& bindings) {
  if (!instance.op->comprehension) return 0;
  const Comprehension comprehension = instance.op->comprehension(instance);
  if (!comprehension.reduction || !comprehension.reduction->name.starts_with("dot")) return 0;
  auto size = [&](const Dim& dim) { return dim.evaluate(bindings).value(); };
  double flops = 2;
  // Of a convolution and both of its gradients: the operand that windows go over, what they leave,
  // and the filters.
  const std::string& name = instance.op->name;
  const TensorType *image = nullptr, *windows = nullptr, *filters = nullptr;
  if (name == "conv") {
    image = &instance.operand(0), filters = &instance.operand(1), windows = &result;
  } else if (name == "conv_transpose") {
    windows = &instance.operand(0), filters = &instance.operand(1), image = &result;
  } else if (name == "conv_filter_gradient") {
    image = &instance.operand(0), windows = &instance.operand(1), filters = &result;
  }
  if (image != nullptr) {
    const Shape& w = filters->shape;
    const ops::Window window = ops::window_of(instance, Shape(w.begin() + 2, w.end()));
    flops *= static_cast<double>(size(image->shape[0]) * size(w[0]) * size(w[1]));
    for (std::size_t axis = 0; axis < window.size(); ++axis)
      flops *=
          taps_within(window[axis], size(image->shape[axis + 2]), size(windows->shape[axis + 2]));
    return flops;
  }
  for (const Dim& dim : result.shape) flops *= static_cast<double>(size(dim));
  for (const Dim& dim : comprehension.reduce_extents) flops *= static_cast<double>(size(dim));
  return flops;
}

inline double bytes_of(const TensorType& type, const Dim::Bindings& bindings) {
  double bytes = byte_size(type.dtype);
  for (const Dim& dim : type.shape) bytes *= static_cast<double>(dim.evaluate(bindings).value());
  return bytes;
}

inline Work work_of(const Graph& graph, const Dim::Bindings& bindings) {
  Work work;
  for (ValueId input : graph.inputs()) work.bytes += bytes_of(graph.value(input).type, bindings);
  for (ValueId param : graph.params()) work.bytes += bytes_of(graph.value(param).type, bindings);
  const Graph plain = decompose(graph);
  for (const Node& node : plain.nodes()) {
    std::vector<TensorType> types = types_of(plain, node.operands);
    work.flops += flops_of({node.op, types, node.attributes},
                           plain.value(node.results.front()).type, bindings);
  }
  return work;
}

}  // namespace weir::bench
