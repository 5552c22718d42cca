// Sizes at run time: the symbols' values, polynomials over them, and the layout of the workspace.
#pragma once

#include <cstdint>
#include <vector>

#include "compiler/codegen/llvm_headers.h"
#include "compiler/codegen/primitive_emitter.h"
#include "compiler/lowering/program.h"

namespace weir {

// Emits into one function at a time, wherever the builder stands; `read` begins with each.
class SizeArithmetic {
 public:
  // `word` is the target's ptrdiff_t.
  SizeArithmetic(llvm::IRBuilder<>& builder, PrimitiveEmitter& primitives, const Program& program,
                 llvm::IntegerType* word)
      : b_(builder),
        primitives_(primitives),
        program_(program),
        word_(word),
        dims_(program.symbols.size()) {}

  llvm::Value* i64(std::int64_t value) { return b_.getInt64(static_cast<std::uint64_t>(value)); }

  // Reads the symbols' values from `array`, which weir_call::dims is.
  void read(llvm::Value* array);

  // Branches to `invalid` when a symbol, or a size made of them, is out of range.
  void check(llvm::BasicBlock* invalid);

  // Goes on only under the condition.
  void require(llvm::Value* condition, llvm::BasicBlock* otherwise);

  llvm::Value* dimension(const Dim& dim);

  // A size that divides.
  llvm::Value* at_least_1(const Dim& dim);

  // Rows of the second call in a band, at most, and the bytes that a worker needs for one; see
  // rows_of_band and bytes_of_band in compiler/lowering/band_calls.h.
  llvm::Value* rows_of_band(const Bands& bands);
  llvm::Value* bytes_of_band(const Bands& bands);

  // The offset of each workspace slot, and the total, in bytes; branches to `invalid` when that is
  // too large.
  std::vector<llvm::Value*> slot_offsets(llvm::BasicBlock* invalid);

 private:
  llvm::Value* aligned(llvm::Value* bytes);
  llvm::Value* aligned_size(const SlotSize& size);
  llvm::Value* value_of(const std::string& symbol);
  int word_bits() const { return static_cast<int>(word_->getBitWidth()); }

  llvm::IRBuilder<>& b_;
  PrimitiveEmitter& primitives_;
  const Program& program_;
  llvm::IntegerType* word_;
  std::vector<llvm::Value*> dims_;
};

}  // namespace weir
