#include "compiler/codegen/units_emitter.h"

#include <string>

#include <llvm/TargetParser/Triple.h>
#include <llvm/Transforms/Utils/Cloning.h>

#include "compiler/codegen/kernel_emitter.h"
#include "compiler/codegen/unit_count.h"
#include "runtime/abi.h"

namespace weir {
namespace {

// In place of a kernel's last unit.
constexpr std::int64_t kAllUnits = -1;

}  // namespace

llvm::BasicBlock* UnitsEmitter::block(const char* name) {
  return llvm::BasicBlock::Create(b_.getContext(), name, b_.GetInsertBlock()->getParent());
}

void UnitsEmitter::declare() {
  std::string name = kernel_->getName().str();
  kernel_->setName("");
  units_ = parallel_.declare(name, parallel_.kernel_type());
}

llvm::Function* UnitsEmitter::pass_from(llvm::Function& program) {
  llvm::CallInst* status = b_.CreateCall(
      units_, {program.getArg(0), b_.getInt64(0), sizes_.i64(kAllUnits), b_.getInt32(0)});
  status->setTailCall();
  b_.CreateRet(status);
  parallel_.enter(*units_, ParallelEmitter::Code::optimized);
  return units_;
}

void UnitsEmitter::emit(llvm::Value* count, llvm::Value* cost) {
  llvm::BasicBlock* all = block("all");
  llvm::BasicBlock* here = block("here");
  llvm::Value* is_all = b_.CreateICmpEQ(units_->getArg(2), sizes_.i64(kAllUnits));
  b_.CreateCondBr(is_all, all, here);
  b_.SetInsertPoint(all);
  parallel_.run_parallel(
      units_, units_->getArg(0), count, cost, nullptr, [&] { return memory_.executor(); }, nullptr,
      nullptr);
  b_.CreateBr(here);
  b_.SetInsertPoint(here);
  llvm::Value* end = b_.CreateSelect(is_all, count, units_->getArg(2));
  if (has_far_units()) {
    far_units_ = parallel_.declare(units_->getName().str() + ".far", parallel_.kernel_type());
    llvm::BasicBlock* near = block("near");
    llvm::BasicBlock* far = block("far");
    b_.CreateCondBr(is_surely_near(end, count), near, far);
    b_.SetInsertPoint(far);
    llvm::CallInst* status =
        b_.CreateCall(far_units_, {units_->getArg(0), units_->getArg(1), end, b_.getInt32(0)});
    status->setTailCall();
    b_.CreateRet(status);
    b_.SetInsertPoint(near);
  }
  llvm::Value* reach = far_units_
                           ? reach_value(b_, Reach::near)
                           : reach_of(b_, sizes_, schedule_, sharing_of(*units_, end, count));
  inline_kernel(reach, units_->getArg(1), end, units_->getArg(3));
}

void UnitsEmitter::finish() {
  if (far_units_ != nullptr) emit_far_units();
  kernel_->eraseFromParent();
}

// Where it depends on whether threads are apart, which is found out with less haste.
llvm::Value* UnitsEmitter::is_surely_near(llvm::Value* end, llvm::Value* count) {
  if (has_reach_apart(schedule_)) return b_.CreateNot(asks_apart(b_, sizes_, schedule_));
  llvm::Value* reach = reach_of(b_, sizes_, schedule_, sharing_of(*units_, end, count));
  return b_.CreateICmpEQ(reach, reach_value(b_, Reach::near));
}

// Of units that go to `units` from their beginning to `end`, of so many.
Sharing UnitsEmitter::sharing_of(llvm::Function& units, llvm::Value* end, llvm::Value* count) {
  llvm::Value* shared = b_.CreateICmpNE(b_.CreateSub(end, units.getArg(1)), count);
  llvm::Value* apart =
      has_reach_apart(schedule_) ? parallel_.apart_of_task(units.getArg(0), shared) : nullptr;
  return {shared, apart};
}

// Whether what has to know of caches stands in a function of its own: what is near then runs with
// few registers to save.
bool UnitsEmitter::has_far_units() const {
  return schedule_.streams && program_.slots.empty() &&
         llvm::Triple(units_->getParent()->getTargetTriple()).isX86();
}

// i32 far_units(weir_call*, i64 begin, i64 end, i32 worker): units of a call that has been checked,
// and is not near, unless that depends on whether threads are apart.
void UnitsEmitter::emit_far_units() {
  parallel_.enter(*far_units_, ParallelEmitter::Code::optimized);
  memory_.read(far_units_->getArg(0));
  sizes_.read(memory_.dims());
  frames_.clear();
  llvm::Value* count =
      unit_count(b_, [&](const Dim& size) { return sizes_.dimension(size); }, schedule_);
  const Sharing sharing = sharing_of(*far_units_, far_units_->getArg(2), count);
  llvm::Value* reach = has_reach_apart(schedule_) ? reach_of(b_, sizes_, schedule_, sharing)
                                                  : far_reach_of(b_, sizes_, schedule_, sharing);
  inline_kernel(reach, far_units_->getArg(1), far_units_->getArg(2), far_units_->getArg(3));
  b_.CreateRet(b_.getInt32(WEIR_OK));
}

void UnitsEmitter::inline_kernel(llvm::Value* reach, llvm::Value* begin, llvm::Value* end,
                                 llvm::Value* worker) {
  llvm::CallInst* run =
      b_.CreateCall(kernel_, {frames_.filled(program_.calls[0], reach), begin, end, worker});
  llvm::BasicBlock* done = block("done");
  b_.CreateBr(done);
  b_.SetInsertPoint(done);
  if (kernel_->hasFnAttribute(kRealignsStack)) run->getFunction()->addFnAttr(kRealignsStack);
  llvm::InlineFunctionInfo info;
  bool inlined = llvm::InlineFunction(*run, info).isSuccess();
  WEIR_CHECK(inlined, "a kernel can be inlined");
}

}  // namespace weir
