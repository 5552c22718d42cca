// The shape of a contraction's register tile, and which row axes its rows are points of.
//
// A tile has a few points of the innermost row axis, unless that is so short that it leaves
// registers unused: then it may have all points of several axes, as of the taps and channels that a
// filter's gradient has for each filter. At each step an operand is loaded once for all rows or
// columns that it is the same for, so of the shapes that fit the registers the one is best that
// loads least for each multiply-add.
#pragma once

#include <algorithm>
#include <cstdint>

#include "compiler/lowering/schedule.h"
#include "compiler/lowering/target.h"

namespace weir {

// Rows of a tile of one axis. With four vectors a row, 24 of 32 registers accumulate; with two, 12
// of 16.
inline constexpr std::int64_t kTileRows = 6;
// With a single vector a row: twice as many as multiply-adds are under way at a time, for what
// registers there are beside those of a step, but not fewer than with several.
inline std::int64_t tile_rows_of_one(const Processor& processor, std::int64_t vector_bytes) {
  const std::int64_t under_way = processor.core.fmas_under_way(static_cast<int>(vector_bytes));
  return std::max(kTileRows, std::min<std::int64_t>(2 * under_way, processor.vectors.count - 4));
}

// Rows of a tile of several axes, at most, with 32 registers.
inline constexpr std::int64_t kMostTileRows = 30;

// Rows of a tile of two vectors, at most, whose columns come from afar, with 32 registers.
inline constexpr std::int64_t kFarRowsOfTwo = 14;

// Parts of about one size, of at most so many.
inline std::int64_t even_part(std::int64_t count, std::int64_t most) {
  std::int64_t parts = std::max<std::int64_t>((count + most - 1) / most, 1);
  return (count + parts - 1) / parts;
}

// Vectors of a row of a tile, at most: with six rows as many accumulators as registers hold beside
// what they work on.
inline std::int64_t tile_vectors(const VectorRegisters& registers) {
  return registers.count == 32 ? 4 : 2;
}

struct TileShape {
  std::int64_t rows = 1;
  std::int64_t columns = 1;  // vectors along the vector axis
};

// 32 vector registers, not 16.
bool has_many_registers(const Processor& processor);

// Whether the rows of a tile, of which there are so many, are stored between one another, after a
// fold that is written out, so that it is known for each row which steps count. Such a tile is one
// vector wide.
bool stores_between(const Schedule& schedule, std::int64_t rows);

// The largest shape for a tile of so many row axes.
TileShape tile_shape(const Schedule& schedule, const Processor& processor, int tile_axes);

// How many of the innermost row axes a tile is best made of, for a schedule that has its axes and
// accesses.
int choose_tile_axes(const Schedule& schedule, const Processor& processor);

}  // namespace weir
