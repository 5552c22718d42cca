// How a kernel's units go to threads: weir.run, weir.parallel and weir.task, functions for all
// kernels, so that a program of many stays small.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>

#include "compiler/codegen/debug_info.h"
#include "compiler/codegen/llvm_headers.h"
#include "compiler/codegen/prefetch.h"
#include "compiler/codegen/primitive_emitter.h"

namespace weir {

// How long the lists of a weir_call are.
struct CallLists {
  std::size_t inputs = 0, outputs = 0, dims = 0;
};

class ParallelEmitter {
 public:
  // `single`: the program is one phase of one kernel, which brackets its run itself, whose
  // functions return a weir_status, and whose frame is the weir_call, with these lists. Otherwise a
  // flag of the run tells whether the executor has begun. `whole`: the program is one module.
  ParallelEmitter(llvm::Module& module, llvm::IRBuilder<>& builder, PrimitiveEmitter& primitives,
                  DebugInfo& debug, llvm::IntegerType* word, std::optional<CallLists> single,
                  bool whole);

  // Defines the functions; in one of the program's modules, before any other call. `asks_apart`:
  // whether any of them calls `apart`.
  void emit(bool asks_apart);

  // Runs `units` of a kernel here, or through the executor where that is worth it. `cost` is in
  // units of single vectors (about cycles); `exchanged` are bytes of which workers read what others
  // have written; `begun` is the run's flag, an i1 in memory.
  void run(llvm::Function* kernel, llvm::Value* frame, llvm::Value* units, llvm::Value* cost,
           llvm::Value* exchanged, llvm::Value* executor, llvm::Value* begun);

  // The second half of that: runs them and goes to `after` where the executor is worth it, or where
  // it may be, if `single`, runs them and returns a weir_status; `exchanged`, `begun` and `after`
  // are then null. `read_executor` gives it where it is asked; one of a single worker
  // is none. The builder then stands where it is not.
  void run_parallel(llvm::Value* kernel, llvm::Value* frame, llvm::Value* units, llvm::Value* cost,
                    llvm::Value* exchanged, const std::function<llvm::Value*()>& read_executor,
                    llvm::Value* begun, llvm::BasicBlock* after);

  // What a task calls: kernel(frame*, i64 begin, i64 end, i32 worker).
  llvm::FunctionType* kernel_type();

  // Whether an executor, which may be null, has several workers, an i1. The builder then stands in
  // another block.
  llvm::Value* has_workers(llvm::Value* executor);

  // Whether the threads of an executor, which may be null, run on processors that are far from each
  // other, an i1: a call of a function.
  llvm::Value* apart(llvm::Value* executor);

  // The same in a task of a single kernel, which has a copy of the weir_call; any i1 where the call
  // is not shared.
  llvm::Value* apart_of_task(llvm::Value* call, llvm::Value* shared);

  // Ends a run that has begun.
  void end_run(llvm::Value* executor, llvm::Value* begun);

  // A function of the program's own, seen by its modules alone; without a body unless it has one
  // already.
  llvm::Function* declare(const std::string& name, llvm::FunctionType* type);

  // Code that is passed through once in a call is generated plainly: that takes 0.4 of the time,
  // and makes a twentieth more of it (docs/decisions/light-llvm-pipeline.md).
  enum class Code { plain, optimized };

  // Begins a function's body: its first block is where the builder then stands.
  void enter(llvm::Function& function, Code code = Code::plain);

  // Both, for a function with a linkage of its own.
  llvm::Function* function(const std::string& name, llvm::Type* result,
                           llvm::ArrayRef<llvm::Type*> arguments,
                           llvm::GlobalValue::LinkageTypes linkage, Code code = Code::plain);

 private:
  struct HandOver {
    llvm::Value* cost;
    llvm::Value* doubled_lead;
  };

  llvm::StructType* closure_type(const std::optional<CallLists>& single) const;
  void prefetch_closure(llvm::Value* closure, std::uint64_t begin, PrefetchTo use);
  llvm::Value* copied_call(llvm::AllocaInst* closure, llvm::Value* call);
  void emit_task();
  void emit_parallel();
  void emit_run();
  void emit_apart();
  llvm::Function* apart_function();
  HandOver hand_over_of(llvm::Value* executor, llvm::Value* units, llvm::Value* cost);
  llvm::Value* nanoseconds_of(llvm::Value* executor, llvm::Value* callback);
  llvm::FunctionType* run_type();
  void begin_run(llvm::Value* executor, llvm::Value* begun);
  void bracket(llvm::Value* executor, unsigned field);
  llvm::Value* executor_field(llvm::Value* executor, unsigned i);
  llvm::BasicBlock* block(const char* name);
  llvm::Value* i64(std::int64_t value) { return b_.getInt64(static_cast<std::uint64_t>(value)); }

  llvm::Module& module_;
  llvm::IRBuilder<>& b_;
  PrimitiveEmitter& primitives_;
  DebugInfo& debug_;
  llvm::IntegerType* word_;
  llvm::PointerType* pointer_;
  llvm::StructType* executor_type_;
  bool single_;
  bool copies_call_;          // into the closure
  bool tells_apart_ = false;  // tasks are told whether the threads are apart
  llvm::StructType* closure_type_;
  llvm::Function* task_ = nullptr;
  llvm::Function* parallel_ = nullptr;
  llvm::Function* run_ = nullptr;
  bool whole_;
};

}  // namespace weir
