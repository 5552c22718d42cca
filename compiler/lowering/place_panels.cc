#include "compiler/lowering/place_panels.h"

#include <algorithm>
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
// What stands for a dimension that is known only at the call: a batch may be a single image, and it
// may be so many that all of them are far.
constexpr std::int64_t kOne = 1, kMany = kSymbolEstimate;

// What is read from afar with the panels outermost, and inside of the loops over an image's rows.
struct Reads {
  double outermost, inside;
};

Reads reads_of(const Kernel& kernel, std::int64_t symbol, const Core& core) {
  double weights = 0, image = 0;
  for (const Stage& stage : kernel.stages) {
    if (!stage.fold) continue;
    for (Id load : scalar::reachable(kernel.arena, stage.fold->elements)) {
      const scalar::Node& node = kernel.arena[load];
      if (!scalar::is_load(node.primitive)) continue;
      const TensorType& type = kernel.parameters[node.payload].type;
      bool of_panel = false;
      for (Id id : scalar::reachable(kernel.arena, kernel.arena.load_indices(load)))
        of_panel = of_panel ||
                   (kernel.arena[id].primitive == Primitive::axis && kernel.arena[id].payload == 0);
      (of_panel ? weights : image) +=
          estimated_size(element_count(type.shape), symbol) * byte_size(type.dtype);
    }
  }
  const double near = near_bytes(core);
  double passes = 1;
  for (std::uint32_t axis = 1; axis + 2 < kernel.rows.size(); ++axis)
    passes *= estimated_size(kernel.rows[axis], symbol);
  const double panels = estimated_size(kernel.rows[0], symbol);
  return {weights + image * (image > near ? panels : 1),
          image + weights * (weights > near ? passes * kAhead : 1)};
}

}  // namespace

void place_panels(Kernel& kernel, const Core& core) {
  // The panel, rows of the image, a row's pixels, a panel's columns.
  if (kernel.rows.size() < 4) return;
  // Without a window all pixels of the image are rows of tiles.
  const bool has_window = std::ranges::any_of(kernel.stages, [](const Stage& stage) {
    return stage.fold.has_value() && !stage.digits.empty();
  });
  if (!has_window) return;
  const Reads of_one = reads_of(kernel, kOne, core), of_many = reads_of(kernel, kMany, core);
  if (of_many.inside >= of_many.outermost || of_one.inside > of_one.outermost) return;
  const auto pixels = static_cast<std::uint32_t>(kernel.rows.size() - 2);
  std::vector<std::uint32_t> order;
  for (std::uint32_t axis = 1; axis < kernel.rows.size(); ++axis) {
    if (axis == pixels) order.push_back(0);
    order.push_back(axis);
  }
  reorder_rows(kernel, order);
}

}  // namespace weir
