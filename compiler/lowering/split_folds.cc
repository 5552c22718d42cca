#include "compiler/lowering/split_folds.h"

namespace weir {
namespace {

// With more rows than this there is work for every thread without splitting.
constexpr std::int64_t kMaxRows = 4096;
// Fewer chunks are not worth a second phase.
constexpr std::int64_t kMinChunks = 8;

}  // namespace

std::vector<SlotSize> split_folds(Kernel& kernel) {
  std::vector<SlotSize> sizes;
  Dim rows = 1;
  for (const Dim& row : kernel.rows) rows = rows * row;
  if (!rows.is_constant() || rows.value() > kMaxRows || rows.value() == 0) return sizes;
  for (Stage& stage : kernel.stages) {
    if (!stage.fold) continue;
    Fold& fold = *stage.fold;
    Dim extent = kernel.arena.axis_extent(*stage.axis);
    if (extent.is_constant() && extent.value() < fold.chunk * kMinChunks) continue;
    // Elements that are results of chunks themselves.
    if (fold.chunk == 1) continue;
    // Rows in lanes order are units of their own, and more than a few of them share well enough.
    if (fold.order == Reduction::Order::lanes && rows.value() > 8) continue;
    for (std::uint32_t local : fold.locals) {
      DType type = kernel.locals[local];
      fold.partials.push_back(static_cast<std::uint32_t>(kernel.parameters.size()));
      kernel.parameters.push_back({"partial", {type, {}}, true});
      Dim chunk_bytes = rows * Dim(byte_size(type));
      sizes.push_back({extent * chunk_bytes, fold.chunk, chunk_bytes});
    }
  }
  return sizes;
}

}  // namespace weir
