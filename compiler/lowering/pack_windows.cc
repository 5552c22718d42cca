#include "compiler/lowering/pack_windows.h"

#include <algorithm>
#include <utility>

#include "compiler/lowering/estimated_size.h"

namespace weir {
namespace {

using scalar::Arena;
using scalar::Id;
using scalar::Primitive;

// An operand is copied if each of its elements is read so often, by estimated_size: gathering one
// takes longer than copying it.
constexpr double kReads = 1;

// The order of dimensions that brings the one innermost along which the vector axis runs, where
// that is a plain dimension, others are read through a window, and it is not innermost yet.
std::optional<std::vector<std::uint32_t>> order_across(const Kernel& kernel, const Stage& stage,
                                                       Id load, std::uint32_t vector_axis) {
  const Arena& arena = kernel.arena;
  const Shape& shape = kernel.parameters[arena[load].payload].type.shape;
  std::span<const Id> indices = arena.load_indices(load);
  bool is_window = arena[load].primitive == Primitive::load_if;
  std::optional<std::uint32_t> along;
  std::vector<std::uint32_t> order;
  for (std::uint32_t i = 0; i < indices.size(); ++i) {
    const scalar::Node& index = arena[indices[i]];
    if (index.primitive == Primitive::axis && index.payload == vector_axis && !along) {
      along = i;
      continue;
    }
    order.push_back(i);
    if (shape[i] == Dim(1)) continue;
    is_window = is_window || index.primitive != Primitive::axis;
    for (Id id : scalar::reachable(arena, indices.subspan(i, 1))) {
      const scalar::Node& node = arena[id];
      if (scalar::is_load(node.primitive) || node.primitive == Primitive::local ||
          (node.primitive == Primitive::axis && node.payload == vector_axis))
        return std::nullopt;
    }
  }
  if (!along || !is_window) return std::nullopt;
  order.push_back(*along);
  put_outer_steps_first(arena, stage, indices, order);
  const bool is_innermost = std::all_of(shape.begin() + *along + 1, shape.end(),
                                        [](const Dim& dim) { return dim == Dim(1); });
  return is_innermost ? std::nullopt : std::optional(order);
}

}  // namespace

PackedCopy framed_copy(const BuiltKernel& built, const FramedWindow& window,
                       std::vector<std::uint32_t> order) {
  const std::vector<KernelParameter>& parameters = built.kernel.parameters;
  PackedCopy copy{built.values[window.source], window.parameter, parameters[window.parameter].type,
                  std::move(order)};
  for (std::uint32_t i = 0; copy.order.size() < window.low.size(); ++i) copy.order.push_back(i);
  const Shape& source = parameters[window.source].type.shape;
  for (std::size_t i = 0; i < copy.order.size(); ++i) {
    const std::uint32_t dimension = copy.order[i];
    copy.low.push_back(window.low[dimension]);
    copy.high.push_back(
        (copy.type.shape[i] - source[dimension] - Dim(copy.low[i])).constant().value_or(0));
  }
  return copy;
}

std::vector<PackedCopy> pack_windows(BuiltKernel& built,
                                     const std::function<bool(ValueId)>& is_weight) {
  Kernel& kernel = built.kernel;
  std::vector<PackedCopy> copies;
  if (kernel.rows.empty()) return copies;
  const auto vector_axis = static_cast<std::uint32_t>(kernel.rows.size() - 1);
  double points = 1;
  for (const Dim& row : kernel.rows) points *= estimated_size(row);
  std::vector<std::optional<std::vector<std::uint32_t>>> wanted(kernel.parameters.size());
  std::vector<bool> refused(kernel.parameters.size());
  std::vector<Id> in_folds;
  for (const Stage& stage : kernel.stages) {
    if (!stage.fold) continue;
    if (stage.fold->order != Reduction::Order::chain) return copies;
    const double reads = points * estimated_size(kernel.arena.axis_extent(*stage.axis));
    for (Id id : scalar::reachable(kernel.arena, stage.fold->elements)) {
      if (!scalar::is_load(kernel.arena[id].primitive)) continue;
      const auto parameter = static_cast<std::uint32_t>(kernel.arena[id].payload);
      auto order = order_across(kernel, stage, id, vector_axis);
      const double elements = estimated_elements(kernel.parameters[parameter].type.shape);
      if (order && (!wanted[parameter] || wanted[parameter] == order) &&
          reads >= kReads * elements) {
        wanted[parameter] = order;
        in_folds.push_back(id);
      }
    }
  }
  for (Id id : scalar::reachable(kernel.arena, roots_of(kernel)))
    if (scalar::is_load(kernel.arena[id].primitive) &&
        std::find(in_folds.begin(), in_folds.end(), id) == in_folds.end())
      refused[kernel.arena[id].payload] = true;
  auto is_copied = [&](std::uint32_t parameter) {
    return wanted[parameter] && !refused[parameter] && !kernel.parameters[parameter].written &&
           built.values[parameter].valid();
  };
  // A copy that is made anyway has its frame for nothing, unless that is more than what is read: a
  // window of two taps may reach a million elements beyond an image.
  const std::vector<FramedWindow> framed = frame_windows(
      kernel,
      [&](std::uint32_t parameter) {
        return is_copied(parameter) && !is_weight(built.values[parameter]);
      },
      kReads);
  built.values.resize(kernel.parameters.size());
  std::vector<bool> is_read(kernel.parameters.size());
  for (Id id : scalar::reachable(kernel.arena, roots_of(kernel)))
    if (scalar::is_load(kernel.arena[id].primitive)) is_read[kernel.arena[id].payload] = true;
  std::vector<std::vector<std::uint32_t>> orders(kernel.parameters.size());
  for (std::uint32_t i = 0; i < wanted.size(); ++i)
    if (is_copied(i) && is_read[i]) orders[i] = *wanted[i];
  for (const FramedWindow& window : framed) orders[window.parameter] = *wanted[window.source];
  reorder_dimensions(kernel, orders);
  for (const FramedWindow& window : framed) {
    copies.push_back(framed_copy(built, window, orders[window.parameter]));
  }
  for (std::uint32_t i = 0; i < wanted.size(); ++i) {
    if (orders[i].empty()) continue;
    KernelParameter& parameter = kernel.parameters[i];
    if (!parameter.name.empty()) parameter.name += "_packed";
    copies.push_back({built.values[i], i, parameter.type, orders[i]});
    built.values[i] = {};
  }
  return copies;
}

}  // namespace weir
