// Calls that run in bands (compiler/lowering/band_calls.h), as one function of a kernel's type:
//
//   void bands(frame*, i64 begin, i64 end, i32 worker)
//
// Its units are bands. For each it has the first kernel's function run what the second one's reads
// of a band, into the worker's memory, and then that. Both are called with frames of their own, in
// which the address of the buffer is that where it would begin, were it all there.
#pragma once

#include "compiler/codegen/call_frames.h"
#include "compiler/codegen/call_memory.h"
#include "compiler/codegen/llvm_headers.h"
#include "compiler/codegen/parallel_emitter.h"
#include "compiler/codegen/primitive_emitter.h"
#include "compiler/codegen/size_arithmetic.h"
#include "compiler/lowering/program.h"

namespace weir {

// One of two calls.
struct BandedCall {
  llvm::Function* kernel;
  llvm::Value* frame;
  llvm::StructType* frame_type;
  unsigned buffer;     // the field of the frame that holds the buffer's address
  llvm::Value* units;  // in all, an i64
};

class BandEmitter {
 public:
  BandEmitter(llvm::IRBuilder<>& b, PrimitiveEmitter& primitives, SizeArithmetic& sizes,
              CallMemory& memory, ParallelEmitter& parallel)
      : b_(b), primitives_(primitives), sizes_(sizes), memory_(memory), parallel_(parallel) {}

  // What ParallelEmitter::run is given: made where the builder stands.
  struct Run {
    llvm::Function* function;
    llvm::Value* frame;
    llvm::Value* units;
  };
  // `number` is that of the bands in the program.
  Run emit(const Bands& bands, std::size_t number, const BandedCall& first,
           const BandedCall& second);

 private:
  void emit_function(llvm::Function& function, const BandedCall& first, const BandedCall& second);

  llvm::IRBuilder<>& b_;
  PrimitiveEmitter& primitives_;
  SizeArithmetic& sizes_;
  CallMemory& memory_;
  ParallelEmitter& parallel_;
};

}  // namespace weir
