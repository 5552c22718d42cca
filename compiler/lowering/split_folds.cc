#include "compiler/lowering/split_folds.h"

#include <algorithm>

#include "compiler/lowering/cache_line.h"
#include "compiler/lowering/choose_tile_axes.h"
#include "compiler/lowering/elements.h"
#include "compiler/lowering/estimated_size.h"

namespace weir {
namespace {

using scalar::Id;
using scalar::Primitive;

// With more rows than this there is work for every thread without splitting.
constexpr std::int64_t kMaxRows = 4096;
// Fewer chunks are not worth a second phase; those of a row in lanes are longer, and fewer are, but
// where more follows: what a softmax goes through three times takes longer in four phases than what
// two threads gain.
constexpr std::int64_t kMinChunks = 8;
constexpr std::int64_t kMinChunksInLanes = 4;
// With fewer register tiles than this threads find too little work in them...
constexpr std::int64_t kFewTiles = 4;
// ...where a chain has this many steps, each of which waits for the one before it: two
// microseconds, however few its columns.
constexpr std::int64_t kLongChain = 1536;
// Steps that tiles go through again are, with this in the place of each symbol, so many.
constexpr std::int64_t kSymbol = 16;
// As many bytes in a cycle, and more, the last cache does not give.
constexpr double kFarBytesOfCycle = 16;

// What a tile's lines of both operands take in all steps, at most, where it reads a line of either
// at each of them...
std::int64_t most_line_bytes(const Core& core) { return core.second.bytes / 4; }
// ...and its columns, where they are what it reads: they stay in the second cache for the next
// rows.
std::int64_t most_column_bytes(const Core& core) { return core.second.bytes / 2; }

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

// The vectors and rows of a tile of the two innermost row axes, as far as registers decide it.
TileShape innermost_tile(const Kernel& kernel, const Fold& fold, const Processor& processor) {
  const VectorRegisters& vectors = processor.vectors;
  const std::int64_t lanes = vectors.lanes(kernel.locals[fold.locals[0]]);
  const std::size_t rows = kernel.rows.size();
  TileShape tile{kTileRows, tile_vectors(vectors)};
  if (const std::optional<std::int64_t> columns = kernel.rows[rows - 1].constant())
    tile.columns = std::clamp<std::int64_t>((*columns + lanes - 1) / lanes, 1, tile.columns);
  if (tile.columns == 1) tile.rows = tile_rows_of_one(processor, vectors.bytes);
  if (tile.columns == 2 && tile_vectors(vectors) > 2) tile.rows = kFarRowsOfTwo;
  if (const std::optional<std::int64_t> extent = kernel.rows[rows - 2].constant())
    tile.rows = even_part(*extent, tile.rows);
  return tile;
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

// Register tiles of a kernel whose rows are known: rows that share what is read along the columns,
// or one of the rows.
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

bool goes_by_chunks(const Kernel& kernel, const Stage& stage, const Processor& processor) {
  const auto& [vectors, core] = processor;
  const std::size_t rows = kernel.rows.size();
  const Fold& fold = *stage.fold;
  if (vectors.bytes == 0 || fold.order != Reduction::Order::chain || fold.locals.size() != 1 ||
      stage.digits.empty() || rows < 2 || !reads_along(kernel, fold, rows - 1))
    return false;
  const double steps = estimated_size(kernel.arena.axis_extent(*stage.axis), kSymbol);
  if (reads_along(kernel, fold, rows - 2))
    return steps * static_cast<double>(tile_vectors(vectors) * vectors.bytes + kLineBytes) >
           static_cast<double>(most_line_bytes(core));
  // Vectors of half a line: measured, no gain.
  if (vectors.bytes < kLineBytes) return false;
  const TileShape tile = innermost_tile(kernel, fold, processor);
  return steps > static_cast<double>(fold.chunk) && !step_condition(kernel, fold) &&
         steps * static_cast<double>(tile.columns * vectors.bytes) >
             static_cast<double>(most_column_bytes(core)) &&
         static_cast<double>(core.fma_ports * core.fma_bytes) >=
             kFarBytesOfCycle * static_cast<double>(tile.rows);
}

std::vector<SlotSize> split_folds(Kernel& kernel, const Processor& processor, bool sums_rows) {
  std::vector<SlotSize> sizes;
  Dim rows = 1;
  for (const Dim& row : kernel.rows) rows = rows * row;
  if (rows == Dim(0)) return sizes;
  for (Stage& stage : kernel.stages) {
    if (!stage.fold) continue;
    Fold& fold = *stage.fold;
    Dim extent = kernel.arena.axis_extent(*stage.axis);
    // Elements that are results of chunks themselves.
    if (fold.chunk == 1) continue;
    if (sums_rows || !goes_by_chunks(kernel, stage, processor)) {
      if (!rows.is_constant() || rows.value() > kMaxRows) continue;
      const bool are_long = fold.order == Reduction::Order::lanes && kernel.stages.size() <= 2;
      const std::int64_t least = are_long ? kMinChunksInLanes : kMinChunks;
      if (extent.is_constant() && extent.value() < fold.chunk * least &&
          !is_long_chain(kernel, stage, processor.vectors))
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
