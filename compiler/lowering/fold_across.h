// Sums over the rows of what another kernel stores, in the pass that stores it.
//
// The gradient of a bias is the sum over the batch of a gradient that the epilogue of a
// contraction, or the map of a loss, has just stored; that of a convolution's bias is summed along
// the rows of the images first. A kernel of its own would read all of that again. Instead, the
// kernel that stores the value folds it chunk by chunk while it stores it (RowFolds): along a row
// axis of its tiles, along one outside of them, or in lanes of its vectors. Rows that the sum goes
// through as one become one row axis of the kernel first (join_rows.h). Where a chunk has all of a
// row, that is the result; otherwise what is left of the other kernel merges the results of the
// chunks: a fold of which every chunk is one element. The chunks, the order in them and the tree
// over them are those of the reduction, so no bit depends on it.
//
// A chunk of a tile's rows is then the least that a thread takes of a block of columns, and
// otherwise all that lies within the axis. Where these are few and take long, the sum is left to a
// kernel of its own.
#pragma once

#include <cstdint>
#include <optional>

#include "compiler/lowering/build_kernel.h"
#include "compiler/lowering/program.h"
#include "compiler/lowering/row_sum.h"
#include "compiler/lowering/stored_element.h"
#include "compiler/lowering/target.h"

namespace weir {

// Where the sums belong: in what order of dimensions, and whether they may lie in another one.
struct SumPlace {
  MemoryLayout layout;
  bool may_move = false;
};

// What folds across the rows leave, and where.
struct ChunkResults {
  TensorType type;  // as it lies in memory
  std::vector<std::uint32_t>
      rows;  // axes of the sum that its dimensions are, but for that of the chunks
  std::optional<std::size_t>
      chunks;  // the dimension that counts them; none if a chunk has all elements of a sum
  // Of sums whose columns lie side by side in another order only: that order.
  std::optional<MemoryLayout> layout = {};
};

// Makes `stores`, which is prepared, fold what it stores in a parameter, which lies in memory in
// this layout, and leave the results in a new parameter, its last: those of chunks, or the sums
// themselves, which are sum.result, at `place`. Of what is read of other parameters of `folds`,
// `operands` says by these where it is. Nothing, and nothing is changed, if the kernel's rows do not
// run that way, if they do not read the operands side by side, or if that would leave threads
// without work.
std::optional<ChunkResults> fold_across(Kernel& stores, std::uint32_t parameter,
                                        const MemoryLayout& layout, const Kernel& folds,
                                        const RowSum& sum, const SumOperands& operands,
                                        const SumPlace& place, const VectorRegisters& vectors);

// Makes `folds` merge the results of chunks, which take the place of the value, as the first
// parameter.
constexpr std::uint32_t kChunksParameter = 0;
void read_chunks(BuiltKernel& folds, const RowSum& sum, const ChunkResults& chunks);

}  // namespace weir
