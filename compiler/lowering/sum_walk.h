// How a kernel that stores a value goes through the sums of another one (row_sum.h), so that it can
// make them (fold_across.h).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "compiler/lowering/kernel.h"
#include "compiler/lowering/row_sum.h"

namespace weir {

// How the rows of a kernel go through the elements of sums.
struct SumWalk {
  std::uint32_t axis = 0;    // of the elements
  std::int64_t lanes = 1;    // sums that they go to in turn
  std::uint32_t column = 0;  // the row axis of the sum along the columns, the kernel's last
  std::vector<std::optional<scalar::Id>>
      positions;       // by row axis of the sum: where a point of the kernel is
  scalar::Id element;  // and which element of that sum it is
  // The row axis of the sum that is the remainder of the columns, where the kernel goes through all
  // of these and the sums of all remainders are one row.
  std::optional<std::uint32_t> remainder = {};
};

// If the kernel goes through the elements of each sum along one axis, and its columns, which are
// those of the sums, lie side by side. Where that axis is the columns' own, they go to as many sums
// side by side.
std::optional<SumWalk> find_walk(scalar::Arena& arena, std::size_t rows,
                                 const std::vector<scalar::Id>& indices, const Kernel& folds,
                                 const RowSum& sum);

}  // namespace weir
