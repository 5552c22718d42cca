#include "compiler/lowering/choose_tile_axes.h"

#include <algorithm>

#include "compiler/lowering/choose_tile.h"
#include "ir/scalar/affine.h"

namespace weir {
namespace {

using scalar::Id;
using scalar::Primitive;

// What a tile of more axes has to be better by.
constexpr double kMargin = 1.1;
// Vectors of a row of a tile, at most, where few rows leave registers to more.
constexpr std::int64_t kManyColumns = 4;
// Rows of a tile of two vectors where registers are left, if their number is known: more than of a
// wider one, for a step loads as many elements of rows for half as many multiply-adds. And where
// the columns of all steps take more than a quarter of the second cache, and each step waits for a
// part of it: as many as registers hold (kFarRowsOfTwo).
constexpr std::int64_t kRowsOfTwo = 8;
// What a vector costs that is gathered, or turned in registers.
constexpr double kGathered = 6;

// Vector registers that accumulate, beside those for a row of columns and one field of a column of
// rows.
std::int64_t accumulators(const Processor& processor, std::int64_t columns) {
  return processor.vectors.count - 1 - columns;
}

// Of what is folded.
std::int64_t vector_bytes(const Schedule& schedule) {
  for (const Stage& stage : schedule.kernel.stages)
    if (stage.fold)
      return byte_size(schedule.kernel.locals[stage.fold->locals[0]]) *
             std::int64_t{schedule.width};
  return 0;
}

const LoopAxis& tile_row(const Schedule& schedule, int tile_axis) {
  return schedule.rows[schedule.rows.size() - 1 - static_cast<std::size_t>(tile_axis)];
}

// Whether results are stored between those of other rows, which is done for one vector of each.
bool interleaves(const Schedule& schedule) {
  for (const auto& stage : schedule.stores)
    for (const Access& access : stage)
      if (access.interleaves) return true;
  return false;
}

// What a tile reads at each step, in vectors of memory, for each of its multiply-adds.
double loads_for_each(const Schedule& schedule, const TileShape& shape, int tile_axes) {
  const scalar::Arena& arena = schedule.kernel.arena;
  double loads = 0, folds = 0;
  for (const Stage& stage : schedule.kernel.stages) {
    if (!stage.fold) continue;
    ++folds;
    for (Id id : scalar::reachable(arena, stage.fold->elements)) {
      auto load = schedule.loads.find(id.index);
      if (!scalar::is_load(arena[id].primitive) || load == schedule.loads.end()) continue;
      const bool by_column = load->second.kind != Access::Kind::uniform;
      std::vector<Id> of_rows{load->second.offset};
      double times = by_column ? static_cast<double>(shape.columns) : 1;
      if (by_column && load->second.kind != Access::Kind::contiguous && !is_near(load->second))
        times *= kGathered;
      for (Id reached : scalar::reachable(arena, of_rows)) {
        if (arena[reached].primitive != Primitive::axis) continue;
        for (int i = 0; i < tile_axes; ++i) {
          const LoopAxis& row = tile_row(schedule, i);
          if (row.number != arena[reached].payload) continue;
          times *= static_cast<double>(tile_axes == 1 ? shape.rows : row.extent.value());
        }
      }
      loads += times;
    }
  }
  return loads / (folds * static_cast<double>(shape.rows * shape.columns));
}

// Rows of a tile of one axis, at most, whose lines stay in the first cache from step to step.
std::int64_t rows_that_stay(const Schedule& schedule, const Cache& cache) {
  const scalar::Arena& arena = schedule.kernel.arena;
  std::int64_t most = kMostTileRows;
  for (const Stage& stage : schedule.kernel.stages) {
    if (!stage.fold) continue;
    for (Id id : scalar::reachable(arena, stage.fold->elements)) {
      const auto load = schedule.loads.find(id.index);
      if (load == schedule.loads.end() || load->second.kind != Access::Kind::uniform) continue;
      for (const auto& [atom, stride] : scalar::decompose(arena, load->second.offset).terms) {
        if (arena[atom].primitive != Primitive::axis ||
            arena[atom].payload != tile_row(schedule, 0).number || !stride.is_constant())
          continue;
        const std::int64_t apart = stride.value() * byte_size(arena[id].type);
        most = std::min(most, cache.lines_kept(apart));
      }
    }
  }
  return most;
}

// Rows of a tile of two vectors, at most.
std::int64_t rows_of_two(const Schedule& schedule, const Core& core) {
  std::int64_t bytes = 0;
  for (const Stage& stage : schedule.kernel.stages)
    if (stage.fold)
      bytes += schedule.kernel.arena.axis_extent(*stage.axis).constant().value_or(0) * 2 *
               vector_bytes(schedule);
  if (bytes <= core.second.bytes / 4) return kRowsOfTwo;
  return std::clamp(rows_that_stay(schedule, core.first), kRowsOfTwo, kFarRowsOfTwo);
}

// Whether it depends on a row axis which steps count, in a fold that is not written out: then rows
// beside one another would compute what only some of them need.
bool decides_steps(const Schedule& schedule, int tile_axis, std::int64_t rows) {
  const Kernel& kernel = schedule.kernel;
  for (const Stage& stage : kernel.stages) {
    if (!stage.fold || is_written_out(kernel, stage, rows)) continue;
    std::optional<Id> condition = step_condition(kernel, *stage.fold);
    if (!condition) continue;
    for (Id id : scalar::reachable(kernel.arena, std::span(&*condition, 1)))
      if (kernel.arena[id].primitive == Primitive::axis &&
          kernel.arena[id].payload == tile_row(schedule, tile_axis).number)
        return true;
  }
  return false;
}

}  // namespace

bool has_many_registers(const Processor& processor) { return processor.vectors.count == 32; }

bool stores_between(const Schedule& schedule, std::int64_t rows) {
  for (const Stage& stage : schedule.kernel.stages)
    if (stage.fold && !is_written_out(schedule.kernel, stage, rows)) return false;
  return interleaves(schedule);
}

TileShape tile_shape(const Schedule& schedule, const Processor& processor, int tile_axes) {
  TileShape shape{1, tile_vectors(processor.vectors)};
  std::int64_t vectors = shape.columns;
  if (const Dim& extent = schedule.vector_row->extent; extent.is_constant())
    vectors = std::max<std::int64_t>((extent.value() + schedule.width - 1) / schedule.width, 1);
  shape.columns = std::min(shape.columns, vectors);
  if (tile_axes == 1) {
    shape.rows =
        shape.columns == 1 ? tile_rows_of_one(processor, vector_bytes(schedule)) : kTileRows;
    const Dim& extent = schedule.rows.back().extent;
    if (extent.is_constant()) {
      if (shape.columns == 2 && has_many_registers(processor))
        shape.rows = std::max(shape.rows, rows_of_two(schedule, processor.core));
      shape.rows = even_part(extent.value(), shape.rows);
    }
    if (stores_between(schedule, shape.rows)) shape.columns = 1;
    // Few rows leave registers to more columns.
    std::int64_t most = shape.columns;
    while (most < std::min(kManyColumns, vectors) && !interleaves(schedule) &&
           shape.rows * (most + 1) <= accumulators(processor, most + 1))
      ++most;
    if (most > shape.columns) shape.columns = even_part(vectors, most);
    return shape;
  }
  for (int i = 0; i < tile_axes; ++i) shape.rows *= tile_row(schedule, i).extent.value();
  if (stores_between(schedule, shape.rows)) shape.columns = 1;
  while (shape.columns > 1 && shape.rows * shape.columns > accumulators(processor, shape.columns))
    --shape.columns;
  shape.columns = even_part(vectors, shape.columns);
  return shape;
}

int choose_tile_axes(const Schedule& schedule, const Processor& processor) {
  if (!schedule.vector_row || schedule.width == 1 || schedule.rows.empty()) return 1;
  bool folds = false;
  for (const Stage& stage : schedule.kernel.stages) {
    if (stage.fold && stage.fold->order != Reduction::Order::chain) return 1;
    folds = folds || stage.fold.has_value();
  }
  if (!folds) return 1;
  int best = 1;
  double least = 0;
  std::int64_t rows = 1;
  bool stored_between = false;
  for (int axes = 1; axes <= static_cast<int>(schedule.rows.size()); ++axes) {
    // All points of a tile go to sums of their own.
    if (schedule.folds_outside() &&
        tile_row(schedule, axes - 1).number == schedule.kernel.across->axis)
      break;
    std::optional<std::int64_t> extent = tile_row(schedule, axes - 1).extent.constant();
    rows *= extent.value_or(0);
    if (axes > 1 &&
        (rows == 0 || rows > accumulators(processor, 1) || decides_steps(schedule, axes - 1, rows)))
      break;
    const TileShape shape = tile_shape(schedule, processor, axes);
    const bool are_between = stores_between(schedule, shape.rows);
    if (axes > 1 && stored_between && !are_between) break;
    stored_between = are_between;
    const double loads = loads_for_each(schedule, shape, axes);
    if (axes > 1 && loads * kMargin >= least) continue;
    best = axes;
    least = loads;
  }
  return best;
}

}  // namespace weir
