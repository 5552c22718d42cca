#include "compiler/codegen/store_single_lanes.h"

#include <optional>
#include <vector>

#include <llvm/IR/Function.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/InstIterator.h>
#include <llvm/IR/IntrinsicInst.h>

namespace weir {
namespace {

// The lane of a mask that is known and has no other.
std::optional<unsigned> only_lane(const llvm::Value* mask) {
  const auto* lanes = llvm::dyn_cast<llvm::Constant>(mask);
  const auto* type = llvm::dyn_cast<llvm::FixedVectorType>(mask->getType());
  if (lanes == nullptr || type == nullptr) return std::nullopt;
  std::optional<unsigned> only;
  for (unsigned i = 0; i < type->getNumElements(); ++i) {
    const auto* lane = llvm::dyn_cast_or_null<llvm::ConstantInt>(lanes->getAggregateElement(i));
    if (lane == nullptr || (lane->isOne() && only)) return std::nullopt;
    if (lane->isOne()) only = i;
  }
  return only;
}

}  // namespace

void store_single_lanes(llvm::Function& function) {
  std::vector<llvm::IntrinsicInst*> stores;
  for (llvm::Instruction& instruction : llvm::instructions(function)) {
    auto* call = llvm::dyn_cast<llvm::IntrinsicInst>(&instruction);
    if (call == nullptr || call->getIntrinsicID() != llvm::Intrinsic::masked_store) continue;
    if (call->getArgOperand(0)->getType()->isIntOrIntVectorTy()) stores.push_back(call);
  }
  for (llvm::IntrinsicInst* store : stores) {
    // Where the alignment is an operand, it stands before the mask.
    const std::optional<unsigned> lane = only_lane(store->getArgOperand(store->arg_size() - 1));
    if (!lane) continue;
    llvm::IRBuilder<> b(store);
    llvm::Value* element = b.CreateExtractElement(store->getArgOperand(0), *lane);
    const llvm::Align align(element->getType()->getScalarSizeInBits() / 8);
    b.CreateAlignedStore(
        element, b.CreateConstGEP1_64(element->getType(), store->getArgOperand(1), *lane), align);
    store->eraseFromParent();
  }
}

}  // namespace weir
