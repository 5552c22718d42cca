// A program that is a single kernel, as one function with the kernel's name and body:
//
//   i32 units(weir_call*, i64 begin, i64 end, i32 worker)
//
// Up to kAllUnits it is the whole run, which may go through the executor; that run's tasks have
// some of the units each. The kernel is inlined, which makes registers of its frame: that costs a
// short run more than anything else of a call.
#pragma once

#include "compiler/codegen/call_frames.h"
#include "compiler/codegen/call_memory.h"
#include "compiler/codegen/call_reach.h"
#include "compiler/codegen/llvm_headers.h"
#include "compiler/codegen/parallel_emitter.h"
#include "compiler/codegen/size_arithmetic.h"
#include "compiler/lowering/program.h"
#include "compiler/lowering/schedule.h"

namespace weir {

class UnitsEmitter {
 public:
  // `kernel` is the only one's function; it is gone after finish().
  UnitsEmitter(llvm::IRBuilder<>& b, const Program& program, const Schedule& schedule,
               llvm::Function* kernel, SizeArithmetic& sizes, CallMemory& memory,
               CallFrames& frames, ParallelEmitter& parallel)
      : b_(b),
        program_(program),
        schedule_(schedule),
        kernel_(kernel),
        sizes_(sizes),
        memory_(memory),
        frames_(frames),
        parallel_(parallel) {}

  void declare();
  // Ends the program's function, which the builder is in, with a call of the units. What is emitted
  // next belongs to their function, which is returned.
  llvm::Function* pass_from(llvm::Function& program);
  // The units of a call that has been checked: `count` in all, worth `cost`.
  void emit(llvm::Value* count, llvm::Value* cost);
  // What emit() has left to a function of its own; and removes the kernel.
  void finish();

 private:
  llvm::BasicBlock* block(const char* name);
  llvm::Value* is_surely_near(llvm::Value* end, llvm::Value* count);
  Sharing sharing_of(llvm::Function& units, llvm::Value* end, llvm::Value* count);
  bool has_far_units() const;
  void emit_far_units();
  void inline_kernel(llvm::Value* reach, llvm::Value* begin, llvm::Value* end, llvm::Value* worker);

  llvm::IRBuilder<>& b_;
  const Program& program_;
  const Schedule& schedule_;
  llvm::Function* kernel_;
  SizeArithmetic& sizes_;
  CallMemory& memory_;
  CallFrames& frames_;
  ParallelEmitter& parallel_;
  llvm::Function* units_ = nullptr;      // made by declare
  llvm::Function* far_units_ = nullptr;  // made by emit, where it is needed
};

}  // namespace weir
