// Columns that do not fill a tile, with some of those before them.
//
// A row of a tile has a few vectors. What is left behind the last whole tile takes vectors one by
// one, each of which waits for its own multiply-adds, and the last of which has a mask; what lies
// along the steps of a fold is gathered under it. Where that takes longer than a tile does, or as
// long under a mask, the last tile has as many columns as the others and begins before those that
// are left: it works out a few results once more, and leaves them the same values.
#pragma once

#include <cstdint>

#include "compiler/lowering/schedule.h"

namespace weir {

// Multiply-adds that begin while one takes place: two in a cycle, and each takes four.
inline constexpr std::int64_t kFieldsInTime = 8;

// Whether the last tile, of so many rows, begins early, if there are so many columns.
bool repeats_columns(const Schedule& schedule, std::int64_t columns, std::int64_t rows);
// Whether so many columns, fewer than a tile has but more than a vector, are whole vectors side by
// side, of which the last one begins before the one before it ends.
bool shares_columns(const Schedule& schedule, std::int64_t columns);
// Whether the last rows of a map that is done in squares are a square, too, which begins among the
// rows before them: fewer rows are loaded element by element.
bool repeats_rows(const Schedule& schedule);

}  // namespace weir
