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

std::vector<llvm::Value*> SizeArithmetic::slot_offsets(llvm::BasicBlock* invalid) {
  std::vector<llvm::Value*> offsets{i64(0)};
  for (const WorkspaceSlot& slot : program_.slots) {
    llvm::Value* size = i64(0);
    for (const SlotSize& candidate : slot.sizes) {
      llvm::Value* bytes = dimension(candidate.dividend);
      if (candidate.divisor != 1)
        bytes =
            b_.CreateUDiv(b_.CreateAdd(bytes, i64(candidate.divisor - 1)), i64(candidate.divisor));
      bytes = b_.CreateAdd(bytes, dimension(candidate.extra));
      size = b_.CreateSelect(b_.CreateICmpSGT(bytes, size), bytes, size);
    }
    llvm::Value* rounded =
        b_.CreateAnd(b_.CreateAdd(size, i64(WEIR_ALIGNMENT - 1)), i64(-WEIR_ALIGNMENT));
    offsets.push_back(b_.CreateAdd(offsets.back(), rounded));
  }
  require(b_.CreateICmpULE(offsets.back(), i64(largest_size(word_bits()))), invalid);
  return offsets;
}

llvm::Value* SizeArithmetic::value_of(const std::string& symbol) {
  auto found = std::find(program_.symbols.begin(), program_.symbols.end(), symbol);
  WEIR_CHECK(found != program_.symbols.end(), symbol);
  return dims_[static_cast<std::size_t>(found - program_.symbols.begin())];
}

}  // namespace weir
