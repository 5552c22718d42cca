// The functions that tell before a call of a program what it takes: its workspace, and the sizes of
// its inputs and outputs.
#pragma once

#include <vector>

#include "compiler/codegen/llvm_headers.h"
#include "compiler/codegen/parallel_emitter.h"
#include "compiler/codegen/size_arithmetic.h"
#include "compiler/lowering/program.h"
#include "compiler/lowering/schedule.h"

namespace weir {

// int workspace_size(const word* dims, word* bytes, word* bytes_per_worker): a weir_workspace_size.
void emit_workspace_size(llvm::IRBuilder<>& b, ParallelEmitter& functions, SizeArithmetic& sizes,
                         const Program& program, const std::vector<Schedule>& schedules,
                         llvm::IntegerType* word);

// int shapes(const word* dims, word* sizes): a weir_shapes.
void emit_shapes(llvm::IRBuilder<>& b, ParallelEmitter& functions, SizeArithmetic& sizes,
                 const Program& program, llvm::IntegerType* word);

// The bytes of the largest panel of these kernels, or of a band of the program's: each worker has
// one at a time.
llvm::Value* bytes_per_worker(llvm::IRBuilder<>& b, SizeArithmetic& sizes, const Program& program,
                              const std::vector<Schedule>& schedules);

}  // namespace weir
