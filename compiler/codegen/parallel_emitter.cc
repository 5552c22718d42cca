#include "compiler/codegen/parallel_emitter.h"

#include <llvm/TargetParser/Triple.h>

#include "compiler/codegen/entry_emitter.h"
#include "compiler/lowering/cache_line.h"
#include "runtime/abi.h"

namespace weir {
namespace {

// Cost units that one thread gets done in a nanosecond, about.
constexpr std::int64_t kCostPerNanosecond = 8;
// A task shall be worth a thread's attention, in cost units. A loop that is not worth one is not
// worth asking the executor either.
constexpr std::int64_t kTaskCost = 4096;
// Where workers have more than one task, each shall be worth twice that: to begin one takes 20 ns
// and more.
constexpr std::int64_t kFurtherTaskCost = 2 * kTaskCost;
// And 32 microseconds where it has more than four: when a worker comes last, the others wait for
// half of a task, about, and of a long loop's that is long.
constexpr std::int64_t kLongTaskCost = 64 * kTaskCost;
// How often the work of a loop that is divided has to be worth what dividing costs. At twice that,
// and with shares that make up for it, a loop takes three quarters of the time; it still gains
// nothing, and loses nothing, where dividing costs twice what the executor says.
constexpr std::int64_t kLeastGain = 2;
// Bytes that workers have from each other in as long as a loop takes to hand over: of 768 lines not
// all are elsewhere, and several are on their way at a time.
constexpr std::int64_t kBytesOfHandOver = 3 << 14;
// And where they have no cache in common.
constexpr std::int64_t kBytesOfFarHandOver = 1 << 14;
// Processors that need longer than this, in nanoseconds, have no cache in common: those that have
// need 100 to 250.
constexpr std::int64_t kNearHandOver = WEIR_HAND_OVER;
// Beyond all that can be divided; keeps products small.
constexpr std::int64_t kMostHandOver = 1 << 20;
// A call with longer lists is not worth copying.
constexpr std::size_t kMostCopied = 16;
// Fields of weir_executor, runtime/abi.h.
enum Field : unsigned { context, max_workers, parallel_for, begin, end, hand_over };
// Fields of a closure, what a task is given. A program that is a single kernel has a copy of its
// weir_call there, with its lists behind: a thread then finds all that it needs in neighbouring
// lines, where it would follow pointers from line to line that the caller has just written.
// Where tasks are told whether the threads are apart, the lead is doubled, and odd if they are: one
// more field would be one more line.
enum Closure : unsigned { kKernel, kFrame, kUnits, kGrain, kLead, kCall, kInputs, kOutputs, kDims };

bool is_worth_copying(const CallLists& lists) {
  return lists.inputs + lists.outputs + lists.dims <= kMostCopied;
}

}  // namespace

ParallelEmitter::ParallelEmitter(llvm::Module& module, llvm::IRBuilder<>& builder,
                                 PrimitiveEmitter& primitives, DebugInfo& debug,
                                 llvm::IntegerType* word, std::optional<CallLists> single,
                                 bool whole)
    : module_(module),
      b_(builder),
      primitives_(primitives),
      debug_(debug),
      word_(word),
      pointer_(llvm::PointerType::get(module.getContext(), 0)),
      executor_type_(llvm::StructType::get(
          module.getContext(),
          {pointer_, builder.getInt32Ty(), pointer_, pointer_, pointer_, pointer_})),
      single_(single.has_value()),
      copies_call_(single && is_worth_copying(*single)),
      closure_type_(closure_type(single)),
      whole_(whole) {}

llvm::StructType* ParallelEmitter::closure_type(const std::optional<CallLists>& single) const {
  llvm::Type* number = b_.getInt64Ty();
  std::vector<llvm::Type*> fields{pointer_, pointer_, number, number, number};
  if (copies_call_) {
    fields.push_back(call_type(module_.getContext()));
    fields.push_back(llvm::ArrayType::get(pointer_, single->inputs));
    fields.push_back(llvm::ArrayType::get(pointer_, single->outputs));
    fields.push_back(llvm::ArrayType::get(word_, single->dims));
  }
  return llvm::StructType::get(module_.getContext(), fields);
}

void ParallelEmitter::emit(bool asks_apart) {
  tells_apart_ = copies_call_ && asks_apart;
  emit_task();
  emit_parallel();
  if (single_) return;
  emit_run();
  if (asks_apart) emit_apart();
}

llvm::Function* ParallelEmitter::declare(const std::string& name, llvm::FunctionType* type) {
  if (llvm::Function* known = module_.getFunction(name)) return known;
  auto linkage = whole_ ? llvm::GlobalValue::InternalLinkage : llvm::GlobalValue::ExternalLinkage;
  auto* made = llvm::Function::Create(type, linkage, name, module_);
  if (!whole_) made->setVisibility(llvm::GlobalValue::HiddenVisibility);
  return made;
}

void ParallelEmitter::enter(llvm::Function& function, Code code) {
  debug_.enter(function);
  if (code == Code::plain && llvm::Triple(module_.getTargetTriple()).isX86()) {
    function.addFnAttr(llvm::Attribute::OptimizeNone);
    function.addFnAttr(llvm::Attribute::NoInline);
  }
  b_.SetInsertPoint(llvm::BasicBlock::Create(b_.getContext(), "entry", &function));
  b_.SetCurrentDebugLocation(llvm::DebugLoc());
  if (auto* scope = function.getSubprogram())
    b_.SetCurrentDebugLocation(llvm::DILocation::get(b_.getContext(), 0, 0, scope));
}

llvm::Function* ParallelEmitter::function(const std::string& name, llvm::Type* result,
                                          llvm::ArrayRef<llvm::Type*> arguments,
                                          llvm::GlobalValue::LinkageTypes linkage, Code code) {
  auto* made = llvm::Function::Create(llvm::FunctionType::get(result, arguments, false), linkage,
                                      name, module_);
  enter(*made, code);
  return made;
}

void ParallelEmitter::run(llvm::Function* kernel, llvm::Value* frame, llvm::Value* units,
                          llvm::Value* cost, llvm::Value* exchanged, llvm::Value* executor,
                          llvm::Value* begun) {
  if (run_ == nullptr) run_ = declare("weir.run", run_type());
  b_.CreateCall(run_, {kernel, frame, units, cost, exchanged, executor, begun});
}

void ParallelEmitter::run_parallel(llvm::Value* kernel, llvm::Value* frame, llvm::Value* units,
                                   llvm::Value* cost, llvm::Value* exchanged,
                                   const std::function<llvm::Value*()>& read_executor,
                                   llvm::Value* begun, llvm::BasicBlock* after) {
  llvm::BasicBlock* large_block = block("large");
  llvm::BasicBlock* serial_block = block("serial");
  llvm::BasicBlock* parallel_block = block("parallel");
  llvm::Value* worth =
      b_.CreateAnd(b_.CreateICmpUGE(cost, i64(kTaskCost)), b_.CreateICmpSGT(units, i64(1)));
  b_.CreateCondBr(worth, large_block, serial_block);
  b_.SetInsertPoint(large_block);
  llvm::Value* executor = read_executor();
  b_.CreateCondBr(has_workers(executor), parallel_block, serial_block);
  b_.SetInsertPoint(parallel_block);
  std::vector<llvm::Value*> arguments{kernel, frame, units, cost, executor};
  if (single_) {
    // Nothing then lives across a call, so that a short run saves no registers.
    llvm::CallInst* status = b_.CreateCall(parallel_, arguments);
    status->setTailCall();
    b_.CreateRet(status);
  } else {
    arguments.insert(arguments.end(), {exchanged, begun});
    b_.CreateCondBr(b_.CreateCall(parallel_, arguments), after, serial_block);
  }
  b_.SetInsertPoint(serial_block);
}

void ParallelEmitter::end_run(llvm::Value* executor, llvm::Value* begun) {
  llvm::BasicBlock* last = block("end");
  llvm::BasicBlock* after = block("return");
  b_.CreateCondBr(b_.CreateLoad(b_.getInt1Ty(), begun), last, after);
  b_.SetInsertPoint(last);
  bracket(executor, Field::end);
  b_.CreateBr(after);
  b_.SetInsertPoint(after);
}

// void task(closure*, word task, int worker): runs one task's share of a kernel's units.
void ParallelEmitter::emit_task() {
  task_ = function("weir.task", b_.getVoidTy(), {pointer_, word_, b_.getInt32Ty()},
                   llvm::GlobalValue::InternalLinkage);
  auto field = [&](unsigned i) {
    return b_.CreateLoad(closure_type_->getElementType(i),
                         b_.CreateStructGEP(closure_type_, task_->getArg(0), i));
  };
  prefetch_closure(task_->getArg(0), kLineBytes, PrefetchTo::read);
  llvm::Value* kernel = field(kKernel);
  llvm::Value* frame = field(kFrame);
  llvm::Value* units = field(kUnits);
  llvm::Value* grain = field(kGrain);
  llvm::Value* lead = field(kLead);
  if (tells_apart_) lead = b_.CreateLShr(lead, i64(1));
  llvm::Value* number = b_.CreateSExt(task_->getArg(1), b_.getInt64Ty());
  llvm::Value* equal = b_.CreateMul(number, grain);
  llvm::Value* first =
      b_.CreateSelect(b_.CreateICmpEQ(number, i64(0)), i64(0), b_.CreateAdd(equal, lead));
  llvm::Value* last = b_.CreateAdd(b_.CreateAdd(equal, grain), lead);
  last = b_.CreateSelect(b_.CreateICmpSLT(last, units), last, units);
  b_.CreateCall(kernel_type(), kernel, {frame, first, last, task_->getArg(2)});
  b_.CreateRetVoid();
}

// void run(kernel, frame, i64 units, i64 cost, i64 exchanged, executor*, i1* begun)
void ParallelEmitter::emit_run() {
  run_ = declare("weir.run", run_type());
  enter(*run_);
  auto argument = [&](unsigned i) { return run_->getArg(i); };
  llvm::BasicBlock* after = block("next");
  run_parallel(
      argument(0), argument(1), argument(2), argument(3), argument(4), [&] { return argument(5); },
      argument(6), after);
  b_.CreateCall(kernel_type(), argument(0), {argument(1), i64(0), argument(2), b_.getInt32(0)});
  b_.CreateBr(after);
  b_.SetInsertPoint(after);
  b_.CreateRetVoid();
}

llvm::FunctionType* ParallelEmitter::run_type() {
  return llvm::FunctionType::get(
      b_.getVoidTy(),
      {pointer_, pointer_, b_.getInt64Ty(), b_.getInt64Ty(), b_.getInt64Ty(), pointer_, pointer_},
      false);
}

llvm::Value* ParallelEmitter::has_workers(llvm::Value* executor) {
  llvm::BasicBlock* before = b_.GetInsertBlock();
  llvm::BasicBlock* some = block("some");
  llvm::BasicBlock* counted = block("counted");
  b_.CreateCondBr(b_.CreateIsNull(executor), counted, some);
  b_.SetInsertPoint(some);
  llvm::Value* several =
      b_.CreateICmpSGT(executor_field(executor, Field::max_workers), b_.getInt32(1));
  b_.CreateBr(counted);
  b_.SetInsertPoint(counted);
  llvm::PHINode* result = b_.CreatePHI(b_.getInt1Ty(), 2);
  result->addIncoming(b_.getFalse(), before);
  result->addIncoming(several, some);
  return result;
}

llvm::FunctionType* ParallelEmitter::kernel_type() {
  llvm::Type* result = single_ ? b_.getInt32Ty() : b_.getVoidTy();
  return llvm::FunctionType::get(
      result, {pointer_, b_.getInt64Ty(), b_.getInt64Ty(), b_.getInt32Ty()}, false);
}

llvm::Function* ParallelEmitter::apart_function() {
  return declare("weir.apart", llvm::FunctionType::get(b_.getInt1Ty(), {pointer_}, false));
}

llvm::Value* ParallelEmitter::apart(llvm::Value* executor) {
  return b_.CreateCall(apart_function(), {executor});
}

llvm::Value* ParallelEmitter::apart_of_task(llvm::Value* call, llvm::Value* shared) {
  if (!tells_apart_) return b_.getFalse();
  const llvm::StructLayout& layout = *module_.getDataLayout().getStructLayout(closure_type_);
  const auto back = static_cast<std::int64_t>(layout.getElementOffset(kCall)) -
                    static_cast<std::int64_t>(layout.getElementOffset(kLead));
  llvm::Value* lead = b_.CreateGEP(b_.getInt8Ty(), call, i64(-back));
  llvm::Value* told = b_.CreateLoad(b_.getInt64Ty(), b_.CreateSelect(shared, lead, call));
  return b_.CreateTrunc(told, b_.getInt1Ty());
}

// i1 apart(executor*)
void ParallelEmitter::emit_apart() {
  llvm::Function& made = *apart_function();
  enter(made);
  llvm::Value* executor = made.getArg(0);
  llvm::BasicBlock* some = block("some");
  llvm::BasicBlock* told = block("told");
  llvm::BasicBlock* none = block("none");
  b_.CreateCondBr(b_.CreateIsNotNull(executor), some, none);
  b_.SetInsertPoint(some);
  llvm::Value* callback = executor_field(executor, Field::hand_over);
  b_.CreateCondBr(b_.CreateIsNotNull(callback), told, none);
  b_.SetInsertPoint(told);
  b_.CreateRet(b_.CreateICmpSGT(nanoseconds_of(executor, callback), i64(kNearHandOver)));
  b_.SetInsertPoint(none);
  b_.CreateRet(b_.getFalse());
}

// i1 parallel(kernel, frame, i64 units, i64 cost, executor*, i64 exchanged, i1* begun): whether it
// is worth it; nothing is run if it is not. If `single`, i32 parallel(kernel, frame, i64 units, i64
// cost, executor*): runs the units anyhow, and returns a weir_status.
void ParallelEmitter::emit_parallel() {
  std::vector<llvm::Type*> types{pointer_, pointer_, b_.getInt64Ty(), b_.getInt64Ty(), pointer_};
  if (!single_) types.insert(types.end(), {b_.getInt64Ty(), pointer_});
  parallel_ = function("weir.parallel", single_ ? b_.getInt32Ty() : b_.getInt1Ty(), types,
                       llvm::GlobalValue::InternalLinkage);
  parallel_->addFnAttr(llvm::Attribute::NoInline);
  llvm::Value* units = parallel_->getArg(2);
  llvm::Value* cost = parallel_->getArg(3);
  llvm::Value* executor = parallel_->getArg(4);
  llvm::AllocaInst* closure = b_.CreateAlloca(closure_type_);
  if (copies_call_) closure->setAlignment(llvm::Align(2 * kLineBytes));
  auto [hand_over, doubled_lead] = hand_over_of(executor, units, cost);
  llvm::Value* least = b_.CreateMul(hand_over, i64(kLeastGain));
  if (!single_) {
    constexpr std::int64_t kPart = 1 << 10;  // keeps the product small
    constexpr std::int64_t kOnce = kBytesOfHandOver / kPart;
    static_assert(kBytesOfHandOver % kBytesOfFarHandOver == 0);
    llvm::Value* are_apart = b_.CreateICmpSGT(hand_over, i64(kNearHandOver * kCostPerNanosecond));
    llvm::Value* parts = b_.CreateUDiv(parallel_->getArg(5), i64(kPart));
    llvm::Value* far_parts = b_.CreateMul(parts, i64(kBytesOfHandOver / kBytesOfFarHandOver));
    parts = b_.CreateAdd(b_.CreateSelect(are_apart, far_parts, parts), i64(kOnce));
    least = b_.CreateUDiv(b_.CreateMul(least, parts), i64(kOnce));
  }
  llvm::BasicBlock* worth_block = block("worth");
  llvm::BasicBlock* whole_block = block("whole");
  b_.CreateCondBr(b_.CreateICmpUGE(cost, least), worth_block, whole_block);
  b_.SetInsertPoint(whole_block);
  b_.CreateRet(single_ ? b_.CreateCall(kernel_type(), parallel_->getArg(0),
                                       {parallel_->getArg(1), i64(0), units, b_.getInt32(0)})
                       : static_cast<llvm::Value*>(b_.getFalse()));
  b_.SetInsertPoint(worth_block);
  // The threads of the last call have read it.
  prefetch_closure(closure, 0, PrefetchTo::write);
  if (single_)
    bracket(executor, Field::begin);
  else
    begin_run(executor, parallel_->getArg(6));
  llvm::Value* workers =
      b_.CreateSExt(executor_field(executor, Field::max_workers), b_.getInt64Ty());
  // What makes a task worth a thread's attention is more where the threads are far apart.
  llvm::Value* size = b_.CreateBinaryIntrinsic(llvm::Intrinsic::umax, hand_over, i64(kTaskCost));
  llvm::Value* beyond = b_.CreateSub(cost, least);
  llvm::Value* worth = primitives_.quotient(b_.CreateAdd(beyond, b_.CreateShl(size, i64(1))), size);
  auto smaller = [&](llvm::Value* a, llvm::Value* b) {
    return b_.CreateSelect(b_.CreateICmpSLT(a, b), a, b);
  };
  // More tasks than workers even out, but each costs a little: one, two, four, eight or sixteen for
  // each worker, so that all have as many.
  llvm::Value* tasks = smaller(worth, workers);
  llvm::Value* further =
      b_.CreateBinaryIntrinsic(llvm::Intrinsic::umax, hand_over, i64(kFurtherTaskCost));
  for (std::int64_t each : {2, 4, 8, 16}) {
    llvm::Value* more = b_.CreateMul(workers, i64(each));
    llvm::Value* needed =
        b_.CreateMul(b_.CreateSub(more, i64(2)), each > 4 ? i64(kLongTaskCost) : further);
    tasks = b_.CreateSelect(b_.CreateICmpSGE(beyond, needed), more, tasks);
  }
  tasks = smaller(tasks, units);
  // The nearest size of a share, so that all workers have as many: what it leaves over or takes is
  // the lead's.
  llvm::Value* shared = b_.CreateSub(b_.CreateShl(units, i64(1)), doubled_lead);
  llvm::Value* grain =
      primitives_.quotient(b_.CreateAdd(shared, tasks), b_.CreateShl(tasks, i64(1)));
  grain = b_.CreateBinaryIntrinsic(llvm::Intrinsic::smax, grain, i64(1));
  llvm::Value* lead = b_.CreateBinaryIntrinsic(
      llvm::Intrinsic::smax, b_.CreateSub(units, b_.CreateMul(grain, tasks)), i64(0));
  llvm::Value* last = b_.CreateSub(grain, i64(1));
  tasks = primitives_.quotient(b_.CreateAdd(b_.CreateSub(units, lead), last), grain);
  auto put = [&](unsigned i, llvm::Value* value) {
    b_.CreateStore(value, b_.CreateStructGEP(closure_type_, closure, i));
  };
  llvm::Value* frame = parallel_->getArg(1);
  put(kKernel, parallel_->getArg(0));
  put(kFrame, copies_call_ ? copied_call(closure, frame) : frame);
  put(kUnits, units);
  put(kGrain, grain);
  if (tells_apart_) {
    llvm::Value* are_apart = b_.CreateICmpSGT(hand_over, i64(kNearHandOver * kCostPerNanosecond));
    lead = b_.CreateOr(b_.CreateShl(lead, i64(1)), b_.CreateZExt(are_apart, b_.getInt64Ty()));
  }
  put(kLead, lead);
  auto* type =
      llvm::FunctionType::get(b_.getVoidTy(), {pointer_, word_, pointer_, pointer_}, false);
  b_.CreateCall(
      type, executor_field(executor, Field::parallel_for),
      {executor_field(executor, Field::context), b_.CreateTrunc(tasks, word_), task_, closure});
  if (single_) bracket(executor, Field::end);
  b_.CreateRet(single_ ? b_.getInt32(WEIR_OK) : b_.getTrue());
}

// What dividing a loop costs, in cost units, and how many units more than the others the first task
// should have: those that are done until another thread has begun and the caller has heard of its
// end, which is about half of the figure, for the caller works itself for the other half. None where
// the executor does not tell. It is twice as many, for half a unit decides what the nearest size of
// a share is.
ParallelEmitter::HandOver ParallelEmitter::hand_over_of(llvm::Value* executor, llvm::Value* units,
                                                        llvm::Value* cost) {
  llvm::Value* callback = executor_field(executor, Field::hand_over);
  llvm::BasicBlock* before = b_.GetInsertBlock();
  llvm::BasicBlock* told = block("told");
  llvm::BasicBlock* after = block("known");
  b_.CreateCondBr(b_.CreateIsNotNull(callback), told, after);
  b_.SetInsertPoint(told);
  llvm::Value* nanoseconds = nanoseconds_of(executor, callback);
  llvm::Value* told_cost = b_.CreateMul(nanoseconds, i64(kCostPerNanosecond));
  llvm::Value* told_lead = primitives_.quotient(
      b_.CreateAdd(b_.CreateMul(units, told_cost), b_.CreateLShr(cost, i64(1))), cost);
  told = b_.GetInsertBlock();
  b_.CreateBr(after);
  b_.SetInsertPoint(after);
  auto either = [&](llvm::Value* if_told, std::int64_t otherwise) {
    llvm::PHINode* result = b_.CreatePHI(b_.getInt64Ty(), 2);
    result->addIncoming(if_told, told);
    result->addIncoming(i64(otherwise), before);
    return result;
  };
  return {either(told_cost, WEIR_HAND_OVER * kCostPerNanosecond), either(told_lead, 0)};
}

// What an executor says that handing over costs, an i64.
llvm::Value* ParallelEmitter::nanoseconds_of(llvm::Value* executor, llvm::Value* callback) {
  llvm::Value* told = b_.CreateCall(llvm::FunctionType::get(b_.getInt32Ty(), {pointer_}, false),
                                    callback, {executor_field(executor, Field::context)});
  return b_.CreateBinaryIntrinsic(llvm::Intrinsic::umin, b_.CreateZExt(told, b_.getInt64Ty()),
                                  i64(kMostHandOver));
}

// Asks for the closure's lines from the one at `begin` on.
void ParallelEmitter::prefetch_closure(llvm::Value* closure, std::uint64_t begin, PrefetchTo use) {
  const std::uint64_t bytes = module_.getDataLayout().getTypeAllocSize(closure_type_);
  for (std::uint64_t line = begin; line < bytes; line += std::uint64_t{kLineBytes})
    emit_prefetch(b_, b_.CreateConstGEP1_64(b_.getInt8Ty(), closure, line), use);
}

// The weir_call as the closure has it.
llvm::Value* ParallelEmitter::copied_call(llvm::AllocaInst* closure, llvm::Value* call) {
  llvm::StructType* type = call_type(module_.getContext());
  llvm::Value* copy = b_.CreateStructGEP(closure_type_, closure, kCall);
  for (unsigned i = 0; i < kCallFields; ++i) {
    llvm::Value* value = b_.CreateLoad(pointer_, b_.CreateStructGEP(type, call, i));
    std::optional<Closure> list;
    if (i == kCallInputs) list = kInputs;
    if (i == kCallOutputs) list = kOutputs;
    if (i == kCallDims) list = kDims;
    if (list) {
      auto* array = llvm::cast<llvm::ArrayType>(closure_type_->getElementType(*list));
      llvm::Value* elements = b_.CreateStructGEP(closure_type_, closure, *list);
      for (std::uint64_t k = 0; k < array->getNumElements(); ++k)
        b_.CreateStore(b_.CreateLoad(array->getElementType(),
                                     b_.CreateConstGEP1_64(array->getElementType(), value, k)),
                       b_.CreateConstGEP2_64(array, elements, 0, k));
      if (array->getNumElements() > 0) value = elements;
    }
    b_.CreateStore(value, b_.CreateStructGEP(type, copy, i));
  }
  return copy;
}

// The executor is woken by the first kernel that has work for it, so small runs never pay for it.
void ParallelEmitter::begin_run(llvm::Value* executor, llvm::Value* begun) {
  llvm::BasicBlock* first = block("begin");
  llvm::BasicBlock* after = block("begun");
  b_.CreateCondBr(b_.CreateLoad(b_.getInt1Ty(), begun), after, first);
  b_.SetInsertPoint(first);
  bracket(executor, Field::begin);
  b_.CreateStore(b_.getTrue(), begun);
  b_.CreateBr(after);
  b_.SetInsertPoint(after);
}

// Calls an optional function of the executor.
void ParallelEmitter::bracket(llvm::Value* executor, unsigned field) {
  llvm::Value* callback = executor_field(executor, field);
  llvm::BasicBlock* present = block("bracket");
  llvm::BasicBlock* after = block("bracketed");
  b_.CreateCondBr(b_.CreateIsNotNull(callback), present, after);
  b_.SetInsertPoint(present);
  b_.CreateCall(llvm::FunctionType::get(b_.getVoidTy(), {pointer_}, false), callback,
                {executor_field(executor, Field::context)});
  b_.CreateBr(after);
  b_.SetInsertPoint(after);
}

llvm::Value* ParallelEmitter::executor_field(llvm::Value* executor, unsigned i) {
  return b_.CreateLoad(executor_type_->getElementType(i),
                       b_.CreateStructGEP(executor_type_, executor, i));
}

llvm::BasicBlock* ParallelEmitter::block(const char* name) {
  return llvm::BasicBlock::Create(b_.getContext(), name, b_.GetInsertBlock()->getParent());
}

}  // namespace weir
