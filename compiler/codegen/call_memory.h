// Where the memory of a call lies: what a weir_call points to, and from it the address of each
// buffer.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "compiler/codegen/llvm_headers.h"
#include "compiler/codegen/size_arithmetic.h"
#include "compiler/lowering/program.h"

namespace weir {

// Emits into one function at a time, wherever the builder stands; `read` begins with each.
class CallMemory {
 public:
  // `word` is the target's ptrdiff_t.
  CallMemory(llvm::IRBuilder<>& builder, SizeArithmetic& sizes, const Program& program,
             llvm::IntegerType* word);

  // Reads the fields of a weir_call, and nothing else of what an earlier function had is known any
  // more.
  void read(llvm::Value* call);
  // The symbols' values.
  llvm::Value* dims() const { return dims_; }
  llvm::Value* workspace() const { return workspace_; }
  // Read anew wherever it is needed, so that what does without it need not wait for it.
  llvm::Value* executor();
  // Whether the fields that the program needs are there; no value if it needs none.
  llvm::Value* has_fields();

  // The offsets of the workspace's slots, and behind them that of what the workers have: as they
  // are known, or as an array that they are read from when they are needed.
  void set_offsets(std::vector<llvm::Value*> offsets) { offsets_ = std::move(offsets); }
  void set_offsets(llvm::Value* array);
  const std::vector<llvm::Value*>& offsets() const { return offsets_; }

  // The address of a buffer. Made where it is needed first, which is never in a branch.
  llvm::Value* pointer(std::uint32_t number);
  // Of what the workers have.
  llvm::Value* of_workers();
  // Whether each of these buffers has memory, or no elements; no value where there are none.
  llvm::Value* are_present(std::span<const std::uint32_t> buffers);

 private:
  llvm::Value* make_pointer(const Buffer& buffer);
  llvm::Value* offset(std::uint32_t slot);
  llvm::Value* address(llvm::Value* pointer) { return b_.CreatePtrToInt(pointer, word_); }
  llvm::Value* lesser(llvm::Value* least, llvm::Value* next);
  llvm::Value* is_address(llvm::Value* value);

  llvm::IRBuilder<>& b_;
  SizeArithmetic& sizes_;
  const Program& program_;
  llvm::IntegerType* word_;
  llvm::PointerType* pointer_;
  llvm::StructType* call_type_;

  llvm::Value* call_ = nullptr;
  llvm::Value* inputs_ = nullptr;
  llvm::Value* outputs_ = nullptr;
  llvm::Value* weights_ = nullptr;
  llvm::Value* state_ = nullptr;
  llvm::Value* workspace_ = nullptr;
  llvm::Value* dims_ = nullptr;
  llvm::Value* offset_array_ = nullptr;
  std::vector<llvm::Value*> offsets_;   // null until needed
  std::vector<llvm::Value*> pointers_;  // of the buffers; null until needed
};

}  // namespace weir
