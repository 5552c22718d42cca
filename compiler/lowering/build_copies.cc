#include "compiler/lowering/build_copies.h"

#include <cstdint>
#include <utility>

#include "compiler/lowering/elements.h"
#include "compiler/lowering/linear_offset.h"
#include "ir/scalar/affine.h"

namespace weir {

using scalar::Id;
using scalar::Primitive;

Kernel build_pack_kernel(const TensorType& source, const PackedCopy& copy) {
  Kernel kernel;
  kernel.name = "pack";
  Shape inside = copy.type.shape;
  const std::size_t first = copy.panel == 0 ? 0 : 1;  // of the source's dimensions
  for (std::size_t i = 0; i < copy.low.size(); ++i)
    if (copy.panel == 0 || i + 1 < copy.low.size()) inside[first + i] = source.shape[copy.order[i]];
  kernel.rows = without_ones(inside);
  kernel.stages.emplace_back();
  // A row of a panel is a vector or two, and lies apart from the next one in the source: where
  // nothing is turned, a loop of nothing else over the rows has many of them under way.
  const std::size_t axis_count = kernel.rows.size(), looped = axis_count - 2;
  const bool has_loop =
      copy.panel != 0 && axis_count > 2 && is_innermost(source.shape, copy.order.back());
  std::vector<Id> axes;
  for (std::uint32_t i = 0; i < axis_count; ++i) {
    const bool is_loop = has_loop && i == looped;
    const std::uint32_t number = is_loop ? static_cast<std::uint32_t>(axis_count - 1)
                                 : has_loop && i > looped ? i - 1
                                                          : i;
    axes.push_back(kernel.arena.axis(number, kernel.rows[i]));
    if (is_loop) kernel.stages.back().axis = number;
  }
  if (has_loop) kernel.rows.erase(kernel.rows.begin() + static_cast<std::ptrdiff_t>(looped));
  std::vector<Id> target = spread_indices(kernel.arena, inside, axes);
  std::vector<Id> place = target;
  for (std::size_t i = 0; i < copy.low.size(); ++i)
    if (copy.low[i] != 0)
      target[first + i] =
          kernel.arena.make(Primitive::add, {target[first + i], kernel.arena.index(copy.low[i])});
  if (copy.panel != 0) {
    Id piece = kernel.arena.make(Primitive::mul, {place.front(), kernel.arena.index(copy.panel)});
    place.back() = kernel.arena.make(Primitive::add, {piece, place.back()});
    place.erase(place.begin());
  }
  std::vector<Id> from(place.size());
  for (std::size_t i = 0; i < place.size(); ++i) from[copy.order[i]] = place[i];
  kernel.parameters = {{"source", source, false}, {"packed", copy.type, true}};
  kernel.stages.back().stores.push_back({1, target, kernel.arena.load(0, source.dtype, from)});
  kernel.locations.resize(kernel.arena.size());
  return kernel;
}

std::vector<Kernel> build_frame_kernels(const TensorType& source, const PackedCopy& copy) {
  std::vector<Kernel> kernels;
  const std::size_t first = copy.panel == 0 ? 0 : 1;  // of the source's dimensions
  Shape framed = copy.type.shape;
  framed.back() = framed.back() - Dim(copy.spare);
  // The last dimension of panels has no frame.
  for (std::size_t i = 0; i + first < copy.low.size(); ++i) {
    const std::size_t dimension = first + i;
    const Dim end = source.shape[copy.order[i]] + Dim(copy.low[i]);
    const Dim high = framed[dimension] - end;
    // Sides of equal size are one kernel's.
    std::vector<std::pair<Dim, std::vector<Dim>>> sides;
    for (const auto& [size, begin] : {std::pair(Dim(copy.low[i]), Dim(0)), {high, end}}) {
      if (size == Dim(0)) continue;
      if (sides.empty() || sides.back().first != size) sides.push_back({size, {}});
      sides.back().second.push_back(begin);
    }
    for (const auto& [size, begins] : sides) {
      Kernel& kernel = kernels.emplace_back();
      kernel.name = "frame";
      Shape side = framed;
      side[dimension] = size;
      kernel.rows = without_ones(side);
      std::vector<Id> axes;
      for (const Dim& row : kernel.rows)
        axes.push_back(kernel.arena.axis(static_cast<std::uint32_t>(axes.size()), row));
      const std::vector<Id> target = spread_indices(kernel.arena, side, axes);
      kernel.parameters = {{"framed", copy.type, true}};
      kernel.stages.emplace_back();
      for (const Dim& begin : begins) {
        std::vector<Id> place = target;
        if (begin != Dim(0))
          place[dimension] = scalar::simplify_index(
              kernel.arena,
              kernel.arena.make(Primitive::add, {place[dimension], kernel.arena.size_of(begin)}));
        kernel.stages.back().stores.push_back(
            {0, place, kernel.arena.constant(copy.type.dtype, scalar::Bits{})});
      }
      kernel.locations.resize(kernel.arena.size());
    }
  }
  return kernels;
}

}  // namespace weir
