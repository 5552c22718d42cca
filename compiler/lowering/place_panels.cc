#include "compiler/lowering/place_panels.h"

#include <cstdint>
#include <vector>

#include "compiler/lowering/estimated_size.h"
#include "compiler/lowering/order_rows.h"

namespace weir {
namespace {

using scalar::Id;
using scalar::Primitive;

// What a second cache holds beside all else that passes through it: half of it.
double near_bytes(const Core& core) { return static_cast<double>(core.second.bytes / 2); }

// What a run of memory, which is read ahead, costs beside a line of each of several pixels.
constexpr double kAhead = 0.25;
// A dimension that is known only at the call.
constexpr std::int64_t kOneAtATime = 1;

double size_with_one(const Dim& dim) { return estimated_size(dim, kOneAtATime); }

}  // namespace

void place_panels(Kernel& kernel, const Core& core) {
  // The panel, rows of the image, a row's pixels, a panel's columns.
  if (kernel.rows.size() < 4) return;
  double weights = 0, image = 0;
  bool has_window = false;
  for (const Stage& stage : kernel.stages) {
    if (!stage.fold) continue;
    has_window = has_window || !stage.digits.empty();
    for (Id load : scalar::reachable(kernel.arena, stage.fold->elements)) {
      const scalar::Node& node = kernel.arena[load];
      if (!scalar::is_load(node.primitive)) continue;
      const TensorType& type = kernel.parameters[node.payload].type;
      bool of_panel = false;
      for (Id id : scalar::reachable(kernel.arena, kernel.arena.load_indices(load)))
        of_panel = of_panel ||
                   (kernel.arena[id].primitive == Primitive::axis && kernel.arena[id].payload == 0);
      (of_panel ? weights : image) +=
          size_with_one(element_count(type.shape)) * byte_size(type.dtype);
    }
  }
  // Without a window all pixels of the image are rows of tiles.
  const double near = near_bytes(core);
  if (!has_window || image <= near) return;
  const auto pixels = static_cast<std::uint32_t>(kernel.rows.size() - 2);
  double passes = 1;
  for (std::uint32_t axis = 1; axis < pixels; ++axis) passes *= size_with_one(kernel.rows[axis]);
  const double outermost = weights + image * size_with_one(kernel.rows[0]);
  const double inside = image + weights * (weights > near ? passes * kAhead : 1);
  if (inside >= outermost) return;
  std::vector<std::uint32_t> order;
  for (std::uint32_t axis = 1; axis < kernel.rows.size(); ++axis) {
    if (axis == pixels) order.push_back(0);
    order.push_back(axis);
  }
  reorder_rows(kernel, order);
}

}  // namespace weir
