#include "compiler/codegen/size_arithmetic.h"

#include <algorithm>

#include "compiler/codegen/size_checks.h"
#include "compiler/lowering/band_calls.h"
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

llvm::Value* SizeArithmetic::at_least_1(const Dim& dim) {
  return b_.CreateBinaryIntrinsic(llvm::Intrinsic::umax, dimension(dim), i64(1));
}

llvm::Value* SizeArithmetic::rows_of_band(const Bands& bands) {
  llvm::Value* row = at_least_1(bands.source_bytes * Dim(bands.stride));
  llvm::Value* shared =
      primitives_.quotient(dimension(bands.images * bands.rows), i64(kSharedBands));
  llvm::Value* rows = b_.CreateBinaryIntrinsic(llvm::Intrinsic::umax, shared,
                                               primitives_.quotient(i64(kLeastBandBytes), row));
  for (llvm::Value* most : {primitives_.quotient(i64(bands.bytes), row), dimension(bands.rows)})
    rows = b_.CreateBinaryIntrinsic(llvm::Intrinsic::umin, rows, most);
  return b_.CreateBinaryIntrinsic(llvm::Intrinsic::umax, rows, i64(1));
}

llvm::Value* SizeArithmetic::bytes_of_band(const Bands& bands) {
  llvm::Value* row = dimension(bands.source_bytes * Dim(bands.stride));
  return aligned(b_.CreateMul(rows_of_band(bands), row));
}

llvm::Value* SizeArithmetic::aligned(llvm::Value* bytes) {
  return b_.CreateAnd(b_.CreateAdd(bytes, i64(WEIR_ALIGNMENT - 1)), i64(-WEIR_ALIGNMENT));
}

llvm::Value* SizeArithmetic::aligned_size(const SlotSize& size) {
  llvm::Value* bytes = dimension(size.dividend);
  if (size.divisor != 1)
    bytes = b_.CreateUDiv(b_.CreateAdd(bytes, i64(size.divisor - 1)), i64(size.divisor));
  return aligned(b_.CreateAdd(bytes, dimension(size.extra)));
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
