#include "compiler/codegen/size_arithmetic.h"

#include <algorithm>

#include "compiler/codegen/size_checks.h"
#include "runtime/abi.h"

namespace weir {

void SizeArithmetic::read(llvm::Value* array) {
  for (std::size_t i = 0; i < dims_.size(); ++i) {
    llvm::Value* where = b_.CreateConstGEP1_64(word_, array, i);
    dims_[i] = b_.CreateSExt(b_.CreateLoad(word_, where), b_.getInt64Ty());
    dims_[i]->setName(program_.symbols[i]);
  }
}

void SizeArithmetic::check(llvm::BasicBlock* invalid) {
  require(emit_size_checks(b_, primitives_, program_, dims_, word_bits()), invalid);
}

void SizeArithmetic::require(llvm::Value* condition, llvm::BasicBlock* otherwise) {
  auto* next = llvm::BasicBlock::Create(b_.getContext(), "valid", b_.GetInsertBlock()->getParent());
  b_.CreateCondBr(condition, next, otherwise);
  b_.SetInsertPoint(next);
}

llvm::Value* SizeArithmetic::dimension(const Dim& dim) {
  return primitives_.dimension(dim, [&](const std::string& symbol) { return value_of(symbol); });
}

llvm::Value* SizeArithmetic::aligned_size(const SlotSize& size) {
  llvm::Value* bytes = dimension(size.dividend);
  if (size.divisor != 1)
    bytes = b_.CreateUDiv(b_.CreateAdd(bytes, i64(size.divisor - 1)), i64(size.divisor));
  bytes = b_.CreateAdd(bytes, dimension(size.extra));
  return b_.CreateAnd(b_.CreateAdd(bytes, i64(WEIR_ALIGNMENT - 1)), i64(-WEIR_ALIGNMENT));
}

std::vector<llvm::Value*> SizeArithmetic::slot_offsets(llvm::BasicBlock* invalid) {
  std::vector<llvm::Value*> offsets;
  auto largest = [&](const std::vector<SlotEnd>& ends) {
    llvm::Value* result = i64(0);
    for (const auto& [slot, size] : ends) {
      llvm::Value* end = b_.CreateAdd(offsets[slot], aligned_size(size));
      result = b_.CreateSelect(b_.CreateICmpSGT(end, result), end, result);
    }
    return result;
  };
  for (const WorkspaceSlot& slot : program_.slots) offsets.push_back(largest(slot.behind));
  offsets.push_back(largest(program_.workspace));
  require(b_.CreateICmpULE(offsets.back(), i64(largest_size(word_bits()))), invalid);
  return offsets;
}

llvm::Value* SizeArithmetic::value_of(const std::string& symbol) {
  auto found = std::find(program_.symbols.begin(), program_.symbols.end(), symbol);
  WEIR_CHECK(found != program_.symbols.end(), symbol);
  return dims_[static_cast<std::size_t>(found - program_.symbols.begin())];
}

}  // namespace weir
