// The frames that kernels are called with (KernelEmitter has their layout): the addresses of a
// call's buffers, its sizes, how far its operands reach, and where its panels go.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "compiler/codegen/call_memory.h"
#include "compiler/codegen/llvm_headers.h"
#include "compiler/codegen/size_arithmetic.h"
#include "compiler/lowering/program.h"
#include "compiler/lowering/schedule.h"

namespace weir {

// A slot of the function that is being emitted.
llvm::AllocaInst* entry_slot(llvm::IRBuilder<>& b, llvm::Type* type);

class CallFrames {
 public:
  CallFrames(llvm::IRBuilder<>& b, SizeArithmetic& sizes, CallMemory& memory,
             const std::vector<Schedule>& schedules)
      : b_(b), sizes_(sizes), memory_(memory), schedules_(schedules) {}

  // Another function begins.
  void clear() { frames_.clear(); }

  // A frame with what belongs to the call, one of those that are filled at a time. `reach` is of
  // reach_of (call_reach.h).
  llvm::AllocaInst* filled(const KernelCall& call, llvm::Value* reach, std::size_t number = 0);
  llvm::StructType* type_of(const KernelCall& call) const;

 private:
  llvm::AllocaInst* frame_for(llvm::StructType* type, std::size_t number);

  llvm::IRBuilder<>& b_;
  SizeArithmetic& sizes_;
  CallMemory& memory_;
  const std::vector<Schedule>& schedules_;
  std::vector<std::pair<llvm::AllocaInst*, std::size_t>> frames_;
};

}  // namespace weir
