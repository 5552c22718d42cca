#include "compiler/lowering/split_folds.h"

#include "compiler/lowering/choose_tile_axes.h"
#include "compiler/lowering/elements.h"
#include "compiler/lowering/estimated_size.h"

namespace weir {
namespace {

using scalar::Id;
using scalar::Primitive;

// With more rows than this there is work for every thread without splitting.
constexpr std::int64_t kMaxRows = 4096;
// Fewer chunks are not worth a second phase.
constexpr std::int64_t kMinChunks = 8;
// Steps that are read again by other rows are, with this in the place of each symbol, more than a chunk.
constexpr std::int64_t kSymbol = 16;
// With vectors of more registers a step has more columns: not measured.
constexpr int kFewVectors = 2;

// Whether the fold over windows loads something whose innermost dimension is the row axis.
bool reads_along(const Kernel& kernel, const Fold& fold, std::size_t axis) {
  for (Id id : scalar::reachable(kernel.arena, fold.elements)) {
    const scalar::Node& node = kernel.arena[id];
    if (!scalar::is_load(node.primitive)) continue;
    const std::span<const Id> indices = kernel.arena.load_indices(id);
    if (indices.empty()) continue;
    const scalar::Node& last = kernel.arena[indices.back()];
    if (last.primitive == Primitive::axis && last.payload == axis &&
        kernel.parameters[node.payload].type.shape.back() == kernel.rows[axis])
      return true;
  }
  return false;
}

// Whether all rows had better go through a chunk before the next: the fold is one over windows, in
// several chunks, and a tile reads a line of either operand at each step.
bool goes_by_chunks(const Kernel& kernel, const Stage& stage, const VectorRegisters& vectors) {
  const std::size_t rows = kernel.rows.size();
  return vectors.bytes > 0 && tile_vectors(vectors) <= kFewVectors &&
         stage.fold->order == Reduction::Order::chain && stage.digits.size() > 1 && rows > 1 &&
         estimated_size(kernel.arena.axis_extent(*stage.axis), kSymbol) >
             static_cast<double>(stage.fold->chunk) &&
         reads_along(kernel, *stage.fold, rows - 1) && reads_along(kernel, *stage.fold, rows - 2);
}

}  // namespace

std::vector<SlotSize> split_folds(Kernel& kernel, const VectorRegisters& vectors) {
  std::vector<SlotSize> sizes;
  Dim rows = 1;
  for (const Dim& row : kernel.rows) rows = rows * row;
  if (!rows.is_constant() || rows.value() == 0) return sizes;
  for (Stage& stage : kernel.stages) {
    if (!stage.fold) continue;
    Fold& fold = *stage.fold;
    Dim extent = kernel.arena.axis_extent(*stage.axis);
    // Elements that are results of chunks themselves.
    if (fold.chunk == 1) continue;
    if (!goes_by_chunks(kernel, stage, vectors)) {
      if (rows.value() > kMaxRows) continue;
      if (extent.is_constant() && extent.value() < fold.chunk * kMinChunks) continue;
      // Rows in lanes order are units of their own, and more than a few of them share well enough.
      if (fold.order == Reduction::Order::lanes && rows.value() > 8) continue;
    }
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
