#include "compiler/codegen/entry_emitter.h"

#include <algorithm>
#include <cctype>

#include "compiler/codegen/kernel_emitter.h"
#include "compiler/codegen/primitive_emitter.h"
#include "compiler/codegen/size_checks.h"
#include "runtime/abi.h"

namespace weir {
namespace {

// A task shall be worth starting a thread's attention for, in cost units of single vectors (about
// cycles).
constexpr std::int64_t kTaskCost = 2048;
// More tasks than workers even out, but each costs a little.
constexpr std::int64_t kTasksPerWorker = 4;
// Outputs of kernels that touch more than this do not stay in any cache; see docs/performance.md.
constexpr std::int64_t kStreamBytes = 24 << 20;

std::string identifier(const std::string& name) {
  std::string result;
  for (char c : name) result += std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
  if (result.empty() || std::isdigit(static_cast<unsigned char>(result[0])) != 0)
    result = "_" + result;
  return result;
}

// Shared by the two functions: symbol values in `dims`, polynomials over them.
class Arithmetic {
 public:
  Arithmetic(llvm::IRBuilder<>& builder, const Program& program)
      : b_(builder), program_(program), dims_(program.symbols.size()) {}

  llvm::Value* i64(std::int64_t value) { return b_.getInt64(static_cast<std::uint64_t>(value)); }

  // Reads the symbols' values; branches to `invalid` when one, or a size made of them, is out of
  // range.
  void load_dims(llvm::Value* array, llvm::IntegerType* word, PrimitiveEmitter& primitives,
                 llvm::BasicBlock* invalid) {
    largest_ = largest_size(static_cast<int>(word->getBitWidth()));
    for (std::size_t i = 0; i < dims_.size(); ++i) {
      llvm::Value* where = b_.CreateConstGEP1_64(word, array, i);
      dims_[i] = b_.CreateSExt(b_.CreateLoad(word, where), b_.getInt64Ty());
      dims_[i]->setName(program_.symbols[i]);
    }
    require(
        emit_size_checks(b_, primitives, program_, dims_, static_cast<int>(word->getBitWidth())),
        invalid);
  }

  void require(llvm::Value* condition, llvm::BasicBlock* otherwise) {
    auto* next =
        llvm::BasicBlock::Create(b_.getContext(), "valid", b_.GetInsertBlock()->getParent());
    b_.CreateCondBr(condition, next, otherwise);
    b_.SetInsertPoint(next);
  }

  llvm::Value* dimension(const Dim& dim) {
    llvm::Value* sum = i64(0);
    for (const Dim::Term& term : dim.terms()) {
      llvm::Value* product = i64(term.coefficient);
      for (const std::string& symbol : term.symbols)
        product = b_.CreateMul(product, value_of(symbol));
      sum = b_.CreateAdd(sum, product);
    }
    return sum;
  }

  // The offset of each workspace slot, and the total, in bytes; branches to `invalid` when that is
  // too large.
  std::vector<llvm::Value*> slot_offsets(llvm::BasicBlock* invalid) {
    std::vector<llvm::Value*> offsets{i64(0)};
    for (const WorkspaceSlot& slot : program_.slots) {
      llvm::Value* size = i64(0);
      for (const SlotSize& candidate : slot.sizes) {
        llvm::Value* bytes = dimension(candidate.dividend);
        if (candidate.divisor != 1)
          bytes = b_.CreateUDiv(b_.CreateAdd(bytes, i64(candidate.divisor - 1)),
                                i64(candidate.divisor));
        bytes = b_.CreateAdd(bytes, dimension(candidate.extra));
        size = b_.CreateSelect(b_.CreateICmpSGT(bytes, size), bytes, size);
      }
      llvm::Value* rounded =
          b_.CreateAnd(b_.CreateAdd(size, i64(WEIR_ALIGNMENT - 1)), i64(-WEIR_ALIGNMENT));
      offsets.push_back(b_.CreateAdd(offsets.back(), rounded));
    }
    require(b_.CreateICmpULE(offsets.back(), i64(largest_)), invalid);
    return offsets;
  }

 private:
  llvm::Value* value_of(const std::string& symbol) {
    auto found = std::find(program_.symbols.begin(), program_.symbols.end(), symbol);
    WEIR_CHECK(found != program_.symbols.end(), symbol);
    return dims_[static_cast<std::size_t>(found - program_.symbols.begin())];
  }

  llvm::IRBuilder<>& b_;
  const Program& program_;
  std::vector<llvm::Value*> dims_;
  std::int64_t largest_ = 0;
};

class EntryEmitter {
 public:
  EntryEmitter(llvm::Module& module, const Program& program, const Target& target,
               const std::vector<std::vector<KernelPhase>>& kernels,
               const std::vector<Schedule>& schedules, DebugInfo& debug, bool shapes)
      : module_(module),
        context_(module.getContext()),
        program_(program),
        kernels_(kernels),
        schedules_(schedules),
        debug_(debug),
        shapes_(shapes),
        b_(context_),
        arithmetic_(b_, program),
        primitives_(b_, module, target),
        word_(llvm::IntegerType::get(context_, static_cast<unsigned>(target.pointer_bits))),
        pointer_(llvm::PointerType::get(context_, 0)),
        status_(b_.getInt32Ty()) {
    // weir_call and weir_executor of runtime/abi.h.
    call_type_ = llvm::StructType::get(
        context_, {pointer_, pointer_, pointer_, pointer_, pointer_, pointer_});
    executor_type_ =
        llvm::StructType::get(context_, {pointer_, status_, pointer_, pointer_, pointer_});
    closure_type_ =
        llvm::StructType::get(context_, {pointer_, pointer_, b_.getInt64Ty(), b_.getInt64Ty()});
  }

  void emit() {
    single_ = program_.calls.size() == 1 && kernels_[program_.calls[0].kernel].size() == 1;
    emit_workspace_size();
    if (shapes_) emit_shapes();
    emit_task();
    emit_parallel();
    emit_program();
  }

 private:
  llvm::Value* i64(std::int64_t value) { return arithmetic_.i64(value); }

  llvm::Function* function(const std::string& name, llvm::Type* result,
                           std::vector<llvm::Type*> arguments,
                           llvm::GlobalValue::LinkageTypes linkage) {
    auto* made = llvm::Function::Create(llvm::FunctionType::get(result, arguments, false), linkage,
                                        name, module_);
    debug_.enter(*made);
    b_.SetInsertPoint(llvm::BasicBlock::Create(context_, "entry", made));
    b_.SetCurrentDebugLocation(llvm::DebugLoc());
    if (auto* scope = made->getSubprogram())
      b_.SetCurrentDebugLocation(llvm::DILocation::get(context_, 0, 0, scope));
    return made;
  }

  llvm::BasicBlock* block(const char* name) {
    return llvm::BasicBlock::Create(context_, name, b_.GetInsertBlock()->getParent());
  }

  void emit_workspace_size() {
    llvm::Function* made =
        function(workspace_symbol(program_), status_, {pointer_, pointer_, pointer_},
                 llvm::GlobalValue::ExternalLinkage);
    llvm::BasicBlock* invalid = block("invalid");
    for (int i = program_.symbols.empty() ? 1 : 0; i < 3; ++i)
      arithmetic_.require(b_.CreateIsNotNull(made->getArg(static_cast<unsigned>(i))), invalid);
    arithmetic_.load_dims(made->getArg(0), word_, primitives_, invalid);
    llvm::Value* total = arithmetic_.slot_offsets(invalid).back();
    b_.CreateStore(b_.CreateTrunc(total, word_), made->getArg(1));
    b_.CreateStore(llvm::ConstantInt::get(word_, 0), made->getArg(2));
    b_.CreateRet(b_.getInt32(WEIR_OK));
    b_.SetInsertPoint(invalid);
    b_.CreateRet(b_.getInt32(WEIR_INVALID_CALL));
  }

  // int shapes(const word* dims, word* sizes): a weir_shapes.
  void emit_shapes() {
    llvm::Function* made = function(shapes_symbol(program_), status_, {pointer_, pointer_},
                                    llvm::GlobalValue::ExternalLinkage);
    llvm::BasicBlock* invalid = block("invalid");
    for (unsigned i = program_.symbols.empty() ? 1 : 0; i < 2; ++i)
      arithmetic_.require(b_.CreateIsNotNull(made->getArg(i)), invalid);
    arithmetic_.load_dims(made->getArg(0), word_, primitives_, invalid);
    std::uint64_t next = 0;
    for (const auto* side : {&program_.inputs, &program_.outputs})
      for (const auto& [name, type] : *side)
        for (const Dim& dim : type.shape)
          b_.CreateStore(b_.CreateTrunc(arithmetic_.dimension(dim), word_),
                         b_.CreateConstGEP1_64(word_, made->getArg(1), next++));
    b_.CreateRet(b_.getInt32(WEIR_OK));
    b_.SetInsertPoint(invalid);
    b_.CreateRet(b_.getInt32(WEIR_INVALID_CALL));
  }

  // void task(closure*, word task, int worker): runs one task's share of a kernel's units.
  void emit_task() {
    task_ = function("weir.task", b_.getVoidTy(), {pointer_, word_, status_},
                     llvm::GlobalValue::InternalLinkage);
    auto field = [&](unsigned i) {
      return b_.CreateLoad(closure_type_->getElementType(i),
                           b_.CreateStructGEP(closure_type_, task_->getArg(0), i));
    };
    llvm::Value* kernel = field(0);
    llvm::Value* frame = field(1);
    llvm::Value* units = field(2);
    llvm::Value* grain = field(3);
    llvm::Value* begin = b_.CreateMul(b_.CreateSExt(task_->getArg(1), b_.getInt64Ty()), grain);
    llvm::Value* end = b_.CreateAdd(begin, grain);
    end = b_.CreateSelect(b_.CreateICmpSLT(end, units), end, units);
    b_.CreateCall(kernel_type(), kernel, {frame, begin, end});
    b_.CreateRetVoid();
  }

  llvm::FunctionType* kernel_type() {
    return llvm::FunctionType::get(b_.getVoidTy(), {pointer_, b_.getInt64Ty(), b_.getInt64Ty()},
                                   false);
  }

  void emit_program() {
    program_function_ =
        function(program_symbol(program_), status_, {pointer_}, llvm::GlobalValue::ExternalLinkage);
    llvm::BasicBlock* invalid = block("invalid");
    llvm::Value* call = program_function_->getArg(0);
    arithmetic_.require(b_.CreateIsNotNull(call), invalid);
    auto field = [&](unsigned i) {
      return b_.CreateLoad(pointer_, b_.CreateStructGEP(call_type_, call, i));
    };
    llvm::Value* inputs = field(0);
    llvm::Value* outputs = field(1);
    llvm::Value* weights = field(2);
    llvm::Value* workspace = field(3);
    llvm::Value* dims = field(4);
    llvm::Value* executor = field(5);
    std::vector<llvm::Value*> needed;
    if (!program_.inputs.empty()) needed.push_back(inputs);
    if (!program_.outputs.empty()) needed.push_back(outputs);
    if (program_.weight_bytes > 0) needed.push_back(weights);
    if (!program_.symbols.empty()) needed.push_back(dims);
    if (!needed.empty()) arithmetic_.require(none_null(needed), invalid);
    arithmetic_.load_dims(dims, word_, primitives_, invalid);
    std::vector<llvm::Value*> offsets = arithmetic_.slot_offsets(invalid);
    arithmetic_.require(
        b_.CreateOr(b_.CreateIsNotNull(workspace), b_.CreateICmpEQ(offsets.back(), i64(0))),
        invalid);
    std::vector<llvm::Value*> pointers =
        buffer_pointers(inputs, outputs, weights, workspace, offsets);
    require_present(pointers, invalid);
    if (!single_) {
      begun_ = entry_slot(b_.getInt1Ty());
      b_.CreateStore(b_.getFalse(), begun_);
    }
    for (const KernelCall& kernel_call : program_.calls) emit_call(kernel_call, pointers, executor);
    if (!single_) end_run(executor);
    b_.CreateRet(b_.getInt32(WEIR_OK));
    b_.SetInsertPoint(invalid);
    b_.CreateRet(b_.getInt32(WEIR_INVALID_CALL));
  }

  // The least address tells whether one is null, with less arithmetic than a condition for each.
  llvm::Value* none_null(std::span<llvm::Value* const> pointers) {
    llvm::Value* least = nullptr;
    for (llvm::Value* pointer : pointers) {
      llvm::Value* address = b_.CreatePtrToInt(pointer, word_);
      least = least == nullptr ? address
                               : b_.CreateBinaryIntrinsic(llvm::Intrinsic::umin, least, address);
    }
    return b_.CreateICmpNE(least, llvm::ConstantInt::get(word_, 0));
  }

  // Every input and output has memory, unless it has no elements.
  void require_present(const std::vector<llvm::Value*>& pointers, llvm::BasicBlock* invalid) {
    std::vector<std::pair<Dim, std::vector<llvm::Value*>>> groups;  // by number of elements
    for (std::size_t i = 0; i < pointers.size(); ++i) {
      const Buffer& buffer = program_.buffers[i];
      if (buffer.place != Buffer::Place::input && buffer.place != Buffer::Place::output) continue;
      Dim count = element_count(buffer.type.shape);
      auto group = std::find_if(groups.begin(), groups.end(),
                                [&](const auto& other) { return other.first == count; });
      if (group == groups.end()) group = groups.insert(group, {std::move(count), {}});
      group->second.push_back(pointers[i]);
    }
    for (const auto& [count, members] : groups) {
      llvm::BasicBlock* look = block("some");
      llvm::BasicBlock* after = block("present");
      b_.CreateCondBr(b_.CreateICmpEQ(arithmetic_.dimension(count), i64(0)), after, look);
      b_.SetInsertPoint(look);
      b_.CreateCondBr(none_null(members), after, invalid);
      b_.SetInsertPoint(after);
    }
  }

  std::vector<llvm::Value*> buffer_pointers(llvm::Value* inputs, llvm::Value* outputs,
                                            llvm::Value* weights, llvm::Value* workspace,
                                            const std::vector<llvm::Value*>& offsets) {
    std::vector<llvm::Value*> pointers;
    auto bytes_from = [&](llvm::Value* base, llvm::Value* offset) {
      return b_.CreateGEP(b_.getInt8Ty(), base, offset);
    };
    for (const Buffer& buffer : program_.buffers) {
      switch (buffer.place) {
        case Buffer::Place::input:
          pointers.push_back(
              b_.CreateLoad(pointer_, b_.CreateConstGEP1_32(pointer_, inputs, buffer.index)));
          break;
        case Buffer::Place::output:
          pointers.push_back(
              b_.CreateLoad(pointer_, b_.CreateConstGEP1_32(pointer_, outputs, buffer.index)));
          break;
        case Buffer::Place::weights:
          pointers.push_back(bytes_from(weights, i64(static_cast<std::int64_t>(buffer.offset))));
          break;
        case Buffer::Place::workspace:
          pointers.push_back(bytes_from(workspace, offsets[buffer.index]));
          break;
      }
    }
    return pointers;
  }

  llvm::AllocaInst* entry_slot(llvm::Type* type) {
    llvm::BasicBlock& entry = program_function_->getEntryBlock();
    llvm::IRBuilder<> builder(&entry, entry.begin());
    return builder.CreateAlloca(type);
  }

  // A frame of each layout serves all calls of that layout, one after the other.
  llvm::AllocaInst* frame_for(llvm::StructType* type) {
    for (llvm::AllocaInst* frame : frames_)
      if (frame->getAllocatedType() == type) return frame;
    frames_.push_back(entry_slot(type));
    return frames_.back();
  }

  llvm::Value* unit_count(const Schedule& schedule) {
    llvm::Value* units = i64(1);
    for (const LoopAxis& axis : schedule.rows) {
      llvm::Value* count = arithmetic_.dimension(axis.extent);
      if (&axis == &schedule.rows.back() && schedule.rows_at_once > 1)
        count = b_.CreateUDiv(b_.CreateAdd(count, i64(schedule.rows_at_once - 1)), i64(schedule.rows_at_once));
      units = b_.CreateMul(units, count);
    }
    if (!schedule.vector_row) return units;
    const Dim& extent = schedule.vector_row->extent;
    if (extent.is_constant() && extent.value() <= schedule.block)
      return extent.value() == 0 ? i64(0) : units;
    llvm::Value* blocks = b_.CreateUDiv(
        b_.CreateAdd(arithmetic_.dimension(extent), i64(schedule.block - 1)), i64(schedule.block));
    return b_.CreateMul(units, blocks);
  }

  void emit_call(const KernelCall& call, const std::vector<llvm::Value*>& pointers,
                 llvm::Value* executor) {
    const Schedule& schedule = schedules_[call.kernel];
    llvm::StructType* type = frame_type(context_, call.buffers.size(), call.dims.size());
    llvm::AllocaInst* frame = frame_for(type);
    unsigned next = 0;
    for (std::uint32_t buffer : call.buffers)
      b_.CreateStore(pointers[buffer], b_.CreateStructGEP(type, frame, next++));
    for (const Dim& dim : call.dims)
      b_.CreateStore(arithmetic_.dimension(dim), b_.CreateStructGEP(type, frame, next++));
    llvm::Value* stream = i64(0);
    if (schedule.streams)
      stream =
          b_.CreateZExt(b_.CreateICmpSGE(arithmetic_.dimension(schedule.bytes), i64(kStreamBytes)),
                        b_.getInt64Ty());
    b_.CreateStore(stream, b_.CreateStructGEP(type, frame, next));
    llvm::Value* units = unit_count(schedule);
    llvm::Value* cost = b_.CreateUDiv(arithmetic_.dimension(schedule.work), i64(schedule.width));
    for (const KernelPhase& phase : kernels_[call.kernel]) {
      if (!phase.split) {
        emit_phase(phase.function, frame, units, cost, executor);
        continue;
      }
      const Dim& extent = schedule.kernel.arena.axis_extent(*phase.split->axis);
      std::int64_t chunk = phase.split->fold->chunk;
      llvm::Value* chunks =
          b_.CreateUDiv(b_.CreateAdd(arithmetic_.dimension(extent), i64(chunk - 1)), i64(chunk));
      emit_phase(phase.function, frame, b_.CreateMul(units, chunks), cost, executor);
    }
  }

  void emit_phase(llvm::Function* kernel, llvm::Value* frame, llvm::Value* units, llvm::Value* cost,
                  llvm::Value* executor) {
    llvm::BasicBlock* large_block = block("large");
    llvm::BasicBlock* serial_block = block("serial");
    llvm::BasicBlock* parallel_block = block("parallel");
    llvm::BasicBlock* after = block("next");
    b_.CreateCondBr(b_.CreateIsNull(executor), serial_block, large_block);
    b_.SetInsertPoint(large_block);
    llvm::Value* worth =
        b_.CreateAnd(b_.CreateICmpUGE(cost, i64(2 * kTaskCost)), b_.CreateICmpSGT(units, i64(1)));
    b_.CreateCondBr(worth, parallel_block, serial_block);
    b_.SetInsertPoint(serial_block);
    b_.CreateCall(kernel, {frame, i64(0), units});
    b_.CreateBr(after);
    b_.SetInsertPoint(parallel_block);
    std::vector<llvm::Value*> arguments{kernel, frame, units, cost, executor};
    if (!single_) arguments.push_back(begun_);
    b_.CreateCall(parallel_, arguments);
    b_.CreateBr(after);
    b_.SetInsertPoint(after);
  }

  llvm::Value* executor_field(llvm::Value* executor, unsigned i) {
    return b_.CreateLoad(executor_type_->getElementType(i),
                         b_.CreateStructGEP(executor_type_, executor, i));
  }

  // void parallel(kernel, frame, i64 units, i64 cost, executor*[, i1* begun]): runs a kernel's
  // units on the executor's threads. One function for all kernels, so that a program of many stays
  // small.
  void emit_parallel() {
    std::vector<llvm::Type*> types{pointer_, pointer_, b_.getInt64Ty(), b_.getInt64Ty(), pointer_};
    if (!single_) types.push_back(pointer_);
    parallel_ =
        function("weir.parallel", b_.getVoidTy(), types, llvm::GlobalValue::InternalLinkage);
    parallel_->addFnAttr(llvm::Attribute::NoInline);
    llvm::Value* units = parallel_->getArg(2);
    llvm::Value* executor = parallel_->getArg(4);
    llvm::AllocaInst* closure = b_.CreateAlloca(closure_type_);
    if (single_)
      bracket(executor, 3);
    else
      begin_run(executor, parallel_->getArg(5));
    llvm::Value* workers = b_.CreateSExt(executor_field(executor, 1), b_.getInt64Ty());
    llvm::Value* most = b_.CreateMul(workers, i64(kTasksPerWorker));
    llvm::Value* worth = b_.CreateUDiv(parallel_->getArg(3), i64(kTaskCost));
    auto smaller = [&](llvm::Value* a, llvm::Value* b) {
      return b_.CreateSelect(b_.CreateICmpSLT(a, b), a, b);
    };
    llvm::Value* tasks = smaller(smaller(worth, most), units);
    llvm::Value* grain =
        primitives_.quotient(b_.CreateAdd(units, b_.CreateSub(tasks, i64(1))), tasks);
    tasks = primitives_.quotient(b_.CreateAdd(units, b_.CreateSub(grain, i64(1))), grain);
    auto put = [&](unsigned i, llvm::Value* value) {
      b_.CreateStore(value, b_.CreateStructGEP(closure_type_, closure, i));
    };
    put(0, parallel_->getArg(0));
    put(1, parallel_->getArg(1));
    put(2, units);
    put(3, grain);
    auto* type =
        llvm::FunctionType::get(b_.getVoidTy(), {pointer_, word_, pointer_, pointer_}, false);
    b_.CreateCall(type, executor_field(executor, 2),
                  {executor_field(executor, 0), b_.CreateTrunc(tasks, word_), task_, closure});
    if (single_) bracket(executor, 4);
    b_.CreateRetVoid();
  }

  void bracket(llvm::Value* executor, unsigned field) {
    llvm::Value* callback = executor_field(executor, field);
    llvm::BasicBlock* present = block("bracket");
    llvm::BasicBlock* after = block("bracketed");
    b_.CreateCondBr(b_.CreateIsNotNull(callback), present, after);
    b_.SetInsertPoint(present);
    b_.CreateCall(llvm::FunctionType::get(b_.getVoidTy(), {pointer_}, false), callback,
                  {executor_field(executor, 0)});
    b_.CreateBr(after);
    b_.SetInsertPoint(after);
  }

  // The executor is woken by the first kernel that has work for it, so small runs never pay for it.
  void begin_run(llvm::Value* executor, llvm::Value* begun) {
    llvm::BasicBlock* first = block("begin");
    llvm::BasicBlock* after = block("begun");
    b_.CreateCondBr(b_.CreateLoad(b_.getInt1Ty(), begun), after, first);
    b_.SetInsertPoint(first);
    bracket(executor, 3);
    b_.CreateStore(b_.getTrue(), begun);
    b_.CreateBr(after);
    b_.SetInsertPoint(after);
  }

  void end_run(llvm::Value* executor) {
    llvm::BasicBlock* last = block("end");
    llvm::BasicBlock* after = block("return");
    b_.CreateCondBr(b_.CreateLoad(b_.getInt1Ty(), begun_), last, after);
    b_.SetInsertPoint(last);
    bracket(executor, 4);
    b_.CreateBr(after);
    b_.SetInsertPoint(after);
  }

  llvm::Module& module_;
  llvm::LLVMContext& context_;
  const Program& program_;
  const std::vector<std::vector<KernelPhase>>& kernels_;
  const std::vector<Schedule>& schedules_;
  DebugInfo& debug_;
  bool shapes_;
  llvm::IRBuilder<> b_;
  Arithmetic arithmetic_;
  PrimitiveEmitter primitives_;
  llvm::IntegerType* word_;
  llvm::PointerType* pointer_;
  llvm::IntegerType* status_;
  llvm::StructType* call_type_;
  llvm::StructType* executor_type_;
  llvm::StructType* closure_type_;
  llvm::Function* task_ = nullptr;
  llvm::Function* parallel_ = nullptr;
  llvm::Function* program_function_ = nullptr;
  // A program of one phase brackets it where it runs; others note whether the run has begun.
  bool single_ = false;
  llvm::AllocaInst* begun_ = nullptr;
  std::vector<llvm::AllocaInst*> frames_;
};

}  // namespace

std::string program_symbol(const Program& program) { return "weir_" + identifier(program.name); }
std::string workspace_symbol(const Program& program) {
  return program_symbol(program) + "_workspace_size";
}
std::string shapes_symbol(const Program& program) { return program_symbol(program) + "_shapes"; }

void emit_entry(llvm::Module& module, const Program& program, const Target& target,
                const std::vector<std::vector<KernelPhase>>& kernels,
                const std::vector<Schedule>& schedules, DebugInfo& debug, bool shapes) {
  EntryEmitter(module, program, target, kernels, schedules, debug, shapes).emit();
}

}  // namespace weir
