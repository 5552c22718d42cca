// Sums over the rows of what another kernel stores, in the pass that stores it.
//
// The gradient of a bias is the sum over the batch of a gradient that the epilogue of a contraction, or the map of a loss,
// has just stored. A kernel of its own would read all of that again. Instead, the kernel that stores the value folds it
// chunk by chunk while it stores it (RowFolds), and what is left of the other one merges the results of the chunks: a fold
// of which every chunk is one element. The chunks, the order in them and the tree over them are those of the reduction, so
// no bit depends on it.
//
// A chunk of rows is then the least that a thread takes of a block of columns. Where blocks are few and rows take long, the
// sum is left to a kernel of its own.
#pragma once

#include <cstdint>
#include <optional>

#include "compiler/lowering/build_kernel.h"
#include "compiler/lowering/program.h"
#include "compiler/lowering/target.h"

namespace weir {

// What a kernel folds of one value across its rows, and nothing else.
struct RowSum {
  std::uint32_t parameter;  // the value
  std::size_t dimension;    // of the value: the one that is folded
  std::size_t column;       // and that of the kernel's rows; all others are 1
};

// If that is all that a kernel folds.
std::optional<RowSum> find_row_sum(const Kernel& kernel);

// Makes `stores`, which is prepared, fold what it stores in a parameter, which lies in memory in this
// layout, and leave the results of chunks in a new parameter, its last. False, and nothing is changed,
// if its rows do not run that way, or if that would leave threads without work.
bool fold_across(Kernel& stores, std::uint32_t parameter, const MemoryLayout& layout,
                 const Kernel& folds, const RowSum& sum, const VectorRegisters& vectors);

// Makes `folds` merge the results of chunks, which take the place of the value.
void read_chunks(BuiltKernel& folds, const RowSum& sum);

}  // namespace weir
