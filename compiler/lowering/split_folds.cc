#include "compiler/lowering/split_folds.h"

#include <algorithm>

#include "compiler/lowering/choose_tile_axes.h"
#include "compiler/lowering/elements.h"
#include "compiler/lowering/estimated_size.h"

namespace weir {
namespace {

using scalar::Id;
using scalar::Primitive;

// With more rows than this there is work for every thread without splitting.
constexpr std::int64_t kMaxRows = 4096;
// Fewer chunks are not worth a second phase; those of a row in lanes are longer, and fewer are, but where more follows: what a
// softmax goes through three times takes longer in four phases than what two threads gain.
constexpr std::int64_t kMinChunks = 8;
constexpr std::int64_t kMinChunksInLanes = 4;
// With fewer register tiles than this threads find too little work in them...
constexpr std::int64_t kFewTiles = 4;
// ...where a chain has this many steps, each of which waits for the one before it: two microseconds, however few its columns.
constexpr std::int64_t kLongChain = 1536;
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
         stage.fold->order == Reduction::Order::chain && !stage.digits.empty() && rows > 1 &&
         estimated_size(kernel.arena.axis_extent(*stage.axis), kSymbol) >
             static_cast<double>(stage.fold->chunk) &&
         reads_along(kernel, *stage.fold, rows - 1) && reads_along(kernel, *stage.fold, rows - 2);
}

// Whether some load of the fold depends on one axis and not on the other.
bool shares(const Kernel& kernel, const Fold& fold, std::size_t axis, std::size_t not_on) {
  auto depends = [&](Id id, std::size_t number) {
    for (Id reached : scalar::reachable(kernel.arena, std::span(&id, 1)))
      if (kernel.arena[reached].primitive == Primitive::axis &&
          kernel.arena[reached].payload == number)
        return true;
    return false;
  };
  for (Id id : scalar::reachable(kernel.arena, fold.elements))
    if (scalar::is_load(kernel.arena[id].primitive) && depends(id, axis) && !depends(id, not_on))
      return true;
  return false;
}

// Register tiles of a kernel whose rows are known: rows that share what is read along the columns, or one of the rows.
std::int64_t tile_count(const Kernel& kernel, const Fold& fold, const VectorRegisters& vectors) {
  const std::int64_t wide = vectors.lanes(kernel.locals[fold.locals[0]]) * tile_vectors(vectors);
  std::int64_t tiles = 1;
  for (std::size_t i = kernel.rows.size(); i-- > 0;) {
    const bool is_column = i + 1 == kernel.rows.size();
    const bool is_shared = i + 2 == kernel.rows.size() && shares(kernel, fold, i + 1, i);
    const std::int64_t size = is_column ? wide : is_shared ? kTileRows : 1;
    tiles *= (kernel.rows[i].value() + size - 1) / size;
  }
  return tiles;
}

// Whether there is too little work for threads in the rows, and enough in the steps.
bool is_long_chain(const Kernel& kernel, const Stage& stage, const VectorRegisters& vectors) {
  const Dim& steps = kernel.arena.axis_extent(*stage.axis);
  return stage.fold->order == Reduction::Order::chain && steps.is_constant() &&
         steps.value() >= std::max(kLongChain, stage.fold->chunk + 1) &&
         tile_count(kernel, *stage.fold, vectors) < kFewTiles;
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
      const bool are_long = fold.order == Reduction::Order::lanes && kernel.stages.size() <= 2;
      const std::int64_t least = are_long ? kMinChunksInLanes : kMinChunks;
      if (extent.is_constant() && extent.value() < fold.chunk * least &&
          !is_long_chain(kernel, stage, vectors))
        continue;
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
