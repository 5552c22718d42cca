// The check at a program's entry that its sizes are possible: that no buffer's size is negative, or
// so large that addresses or the workspace's offsets would overflow.
//
// Sizes are polynomials in the symbols, and quotients of such. Bounded is each one's magnitude: the
// sum of the absolute values of its terms, quotients without rounding, which grows with every
// symbol. Those in one symbol become one upper limit of that symbol, found at compile time. Those
// in several are evaluated at the call, in f64, where nothing overflows and an error of a few parts
// in 2^52 does not matter.
#pragma once

#include <cstdint>
#include <span>

#include "compiler/codegen/primitive_emitter.h"
#include "compiler/lowering/program.h"

namespace weir {

// The largest size in bytes, and the largest value of a symbol: far below every overflow of 64-bit
// address arithmetic, and all that a 32-bit target has.
std::int64_t largest_size(int pointer_bits);

// An i1 that tells whether all sizes of the program are possible. `dims` are the symbols' values in
// the program's order, i64, each already known to lie in 0 ... largest_size().
llvm::Value* emit_size_checks(llvm::IRBuilder<>& builder, PrimitiveEmitter& primitives,
                              const Program& program, std::span<llvm::Value* const> dims,
                              int pointer_bits);

}  // namespace weir
