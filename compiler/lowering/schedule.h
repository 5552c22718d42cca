// Schedules: how a kernel runs on a target.
//
// Row axes that every access walks through in one stride are collapsed into one. One axis is the
// vector axis: the axis of the stages if a fold runs in lanes order, unless all that it reads lies
// along the innermost row axis, and otherwise that. Every access is then uniform, contiguous,
// strided or computed along it. The rows that remain are cut into units, which is what tasks are
// made of.
//
// A contraction works on a register tile: rows_at_once points of the innermost of `rows` by
// tile_unroll vectors of the vector axis, so that an operand that one of the two does not index is
// loaded once for all of the tile. Its units are a group of rows within a block of the vector axis;
// the groups of a block follow one another, and find what they share in cache. Where the innermost
// of `rows` is short, as the taps of a filter's gradient are, the tile has all points of several of
// them, so that what none of these indexes is read once. And where they are residues
// (split_residues.h) that a store leaves apart, the results of a few rows are stored together, as
// whole vectors. Where the number of rows is known only at the call, as many groups as fit are
// rows_fewer lower, so that of the last one fewer than rows_fewer rows are beyond the end, unless
// it is the only one.
//
// What all rows of such a tile share of a block may be copied before its groups of rows read it
// (choose_panel.h).
//
// A map that only moves and computes, and reads along another axis than it writes, works on tiles,
// too: as many points of that axis as a vector has elements, by one vector. What lies along the
// axis is loaded so, and transposed in registers.
//
// Where something is folded across a row axis that is the innermost of `rows`, a unit has a chunk
// of it, in groups, or as one tile of several axes. Across another one, outside the tile, or across
// the vector axis, a unit has all of that axis, and all that lies within it: every point of them
// goes to the sum of its column, and those that a tile has at once go to sums of their own.
//
// Where a guard changes along the vector axis, as a window's does at the frame, each of its
// comparisons holds from some lane on or up to one: it is a comparison of lane numbers with one
// number, which is worked out as a scalar. Where it changes along the steps of a fold, it holds
// from some step on or up to one, so that most steps need not ask.
//
// Every expression has a level, the innermost loop that it depends on; code for it goes there.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "compiler/lowering/kernel.h"
#include "compiler/lowering/target.h"

namespace weir {

enum class Level : std::uint8_t {
  call,    // sizes and constants
  row,     // the row axes but the vector axis
  vector,  // the vector axis, where it is a row axis
  window,  // the digits of the stage's axis but the last
  stage,   // the stage's own axis, or the last of its digits
};

struct Access {
  enum class Kind : std::uint8_t { uniform, contiguous, strided, computed };
  Kind kind = Kind::uniform;
  scalar::Id offset;  // in elements; without the vector axis' part, except when computed
  Dim stride;         // in elements along the vector axis, when strided
  bool along_rows =
      false;  // of a strided load: contiguous along the innermost of the schedule's rows
  bool interleaves = false;  // of a strided store: the rows of a tile lie between the elements
  bool along_steps =
      false;  // of a strided load: contiguous along the steps of a fold, and the same for all rows of a tile
  // Of a load that differs from step to step of the innermost loop: the part of the offset that is
  // the same at all of its steps, and the rest.
  scalar::Id outside, inside;
};

// Elements so close together that a load takes the whole vectors in which they lie, and picks them.
inline constexpr std::int64_t kNearStride = 4;
inline bool is_near(const Access& access) {
  return access.kind == Access::Kind::strided && access.stride.is_constant() &&
         access.stride.value() >= 2 && access.stride.value() <= kNearStride;
}

// A comparison of indices that differs along an axis: at position i of it, it holds where
// offset + stride * i < 0.
struct IndexBound {
  scalar::Id offset;
  std::int64_t stride = 0;
  std::optional<std::int64_t> most;  // of the offset, whatever other axes are at
};

// What a row of a tile reads at position p of a digit of the stage's axis, the row before it reads
// at p + shift.
struct RowOverlap {
  std::size_t digit;
  std::int64_t shift;
  std::vector<scalar::Id> loads;  // to which this applies
};

struct LoopAxis {
  std::uint32_t number;
  Dim extent;
};

// A size that has to lie within limits.
struct SizeWithin {
  Dim size;
  std::int64_t least = 0, most = 0;
};

// A copy that each worker has of what all rows of a tile share, for one block of columns at a time.
// The columns of a tile are side by side, and all steps of these columns a run of memory.
struct Panel {
  scalar::Id operand;        // the value, at one step and column; no row of the tile changes it
  std::uint32_t axis = 0;    // of the steps
  Dim stride;                // where it is loaded as it lies: elements from a step to the next
  std::int64_t columns = 0;  // of a tile
  Dim bytes;                 // of all columns of a block, padded to whole vectors
  std::int64_t groups = 0;  // a block of fewer groups of rows, one after the other, goes without it
  // It is loaded along the steps, so that the copy turns it: rows of one tile read nothing else.
  bool turned = false;
  std::vector<SizeWithin> pays;  // it is worth its copy if all of these are so
};

// What a tile reads of its columns at a step is asked for so many bytes before it is read
// (choose_far_columns.h).
struct FarColumns {
  scalar::Id load;
  std::int64_t bytes_ahead = 0;
};

// Bytes that a kernel moves in the time of a vector operation.
inline constexpr std::int64_t kBytesOfUnit = 16;

// Bytes of a row that is stored past the caches; and of one that is whole lines, as it lies in
// memory of our own.
inline constexpr std::int64_t kLeastRow = 768, kLeastRowOfLines = 256;

// From so many bytes of all operands on: without an executor, with one, and with one whose threads
// run on processors that are far from each other.
struct BytesFrom {
  std::int64_t alone = 0, several = 0, apart = 0;

  std::int64_t least() const { return std::min({alone, several, apart}); }
};

// From `first` on, and less than `end`.
struct BytesWithin {
  std::int64_t first = 0, end = 0;
};

struct Schedule {
  Kernel kernel;                       // elementary functions expanded
  std::vector<LoopAxis> rows;          // without the vector axis, outermost first
  std::optional<LoopAxis> vector_row;  // the vector axis, where it is a row axis
  int width = 1;                       // elements of a vector
  int unroll = 1;                      // vectors at once along the vector axis
  std::int64_t block = 0;              // elements of vector_row in a unit
  int rows_at_once = 1;                // points of the innermost of `rows` in a unit
  int tile_axes = 1;      // of `rows`, innermost: if several, all of their points are in a unit
  int rows_by_stage = 1;  // points of `rows` that go through a stage before the next
  int rows_fewer = 0;     // of the lower of two heights; 0 if there is one
  bool rows_together = false;         // what follows the fold is written out for all rows at once
  std::optional<RowOverlap> overlap;  // of a tile of one axis, whose fold is written out
  int tile_unroll = 1;                // vectors at once beside so many rows
  bool slides = false;  // rows of a tile of several axes read what others read some steps later
  std::optional<Panel> panel;
  std::optional<FarColumns> far_columns;
  std::vector<FarColumns>
      next_images;            // of a tile that slides: what its loads find in the next one
  bool streams = false;       // may use streaming stores
  bool stores_lines = false;  // with them: a vector of the result is a line
  BytesFrom past_caches;      // uses them
  // And on one thread within these, where the second cache holds the operands and not the result as
  // well, which the program does not read; none if they are equal.
  BytesWithin leaves_alone;
  // Where there are several rows, what one has of the result: short ones are not stored so, for they
  // begin and end with single elements.
  std::optional<Dim> row_bytes;
  // So many lines of each operand ahead they ask for the next, of the second cache or of the first.
  int lines_ahead = 0;
  bool asks_second = false;
  // With such vectors: from `far` on as many vectors of each operand are read one after the other,
  // and so many of them are stored past the caches; if any, lines of the operands are asked for. 0:
  // all vectors are done in turn, and from `far` on, if not 0, so many lines of the result ahead are
  // asked for.
  int lines_together = 0, lines_past_caches = 0, result_lines_ahead = 0;
  BytesFrom far;
  bool has_far_loop() const { return lines_together > 0 || result_lines_ahead > 0; }
  std::unordered_map<std::uint32_t, Access> loads;  // by arena id
  std::vector<std::vector<Access>> stores;          // by stage and store
  std::vector<Access> sums;                         // of the kernel's folds across rows
  // By arena id of a comparison in a guard: along the vector axis, or along the innermost loop of a
  // fold.
  std::unordered_map<std::uint32_t, IndexBound> bounds, step_bounds;
  std::vector<Level> levels;        // by arena id
  std::vector<bool> varies;         // by arena id: along the vector axis
  std::vector<bool> varies_by_row;  // by arena id: along the tile's axes
  // Of the whole kernel: cost units (PrimitiveInfo::cost) of single elements; of a tile without
  // memory.
  Dim work;
  Dim bytes;  // of all parameters

  // Whether a contraction works on tiles of several rows.
  bool is_tile() const {
    return rows_at_once > 1 && !kernel.stages.empty() && kernel.stages.front().fold.has_value();
  }
  // Which of the tile's axes an axis is, from the innermost on.
  std::optional<std::size_t> tile_axis(std::uint32_t axis) const;
  // Whether something is folded across an axis that is not the innermost of `rows`.
  bool folds_outside() const;
  // Of `rows`: those that count units, the outermost ones. All of them but where that is so.
  std::size_t rows_of_units() const;
  // Points of the innermost of `rows` that are cut into groups: all, or those of a chunk; none if
  // chunks leave others than all of them, or that is known only at the call.
  std::optional<std::int64_t> known_rows() const;
  // The position along it of a row of the tile, if the tile has several axes.
  std::int64_t tile_position(std::size_t tile_axis, std::int64_t row) const;
};

Schedule make_schedule(const Kernel& kernel, const Processor& processor);

}  // namespace weir
