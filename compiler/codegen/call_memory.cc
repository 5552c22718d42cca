#include "compiler/codegen/call_memory.h"

#include <map>
#include <string>

#include "compiler/codegen/entry_emitter.h"

namespace weir {

CallMemory::CallMemory(llvm::IRBuilder<>& builder, SizeArithmetic& sizes, const Program& program,
                       llvm::IntegerType* word)
    : b_(builder),
      sizes_(sizes),
      program_(program),
      word_(word),
      pointer_(b_.getPtrTy()),
      call_type_(call_type(b_.getContext())) {}

void CallMemory::read(llvm::Value* call) {
  auto field = [&](unsigned i) {
    return b_.CreateLoad(pointer_, b_.CreateStructGEP(call_type_, call, i));
  };
  inputs_ = field(kCallInputs);
  outputs_ = field(kCallOutputs);
  weights_ = field(kCallWeights);
  workspace_ = field(kCallWorkspace);
  dims_ = field(kCallDims);
  call_ = call;
  if (program_.state_bytes > 0) state_ = field(kCallState);
  pointers_.assign(program_.buffers.size(), nullptr);
}

llvm::Value* CallMemory::executor() {
  return b_.CreateLoad(pointer_, b_.CreateStructGEP(call_type_, call_, kCallExecutor));
}

llvm::Value* CallMemory::has_fields() {
  std::vector<llvm::Value*> needed;
  if (!program_.inputs.empty()) needed.push_back(inputs_);
  if (!program_.outputs.empty()) needed.push_back(outputs_);
  if (program_.weight_bytes > 0) needed.push_back(weights_);
  if (program_.state_bytes > 0) needed.push_back(state_);
  if (!program_.symbols.empty()) needed.push_back(dims_);
  llvm::Value* least = nullptr;
  for (llvm::Value* field : needed) least = lesser(least, address(field));
  return least == nullptr ? nullptr : is_address(least);
}

void CallMemory::set_offsets(llvm::Value* array) {
  offset_array_ = array;
  offsets_.assign(program_.slots.size() + 1, nullptr);
}

llvm::Value* CallMemory::pointer(std::uint32_t number) {
  llvm::Value*& found = pointers_[number];
  if (found == nullptr) found = make_pointer(program_.buffers[number]);
  return found;
}

llvm::Value* CallMemory::make_pointer(const Buffer& buffer) {
  auto element = [&](llvm::Value* array) {
    return b_.CreateLoad(pointer_, b_.CreateConstGEP1_32(pointer_, array, buffer.index));
  };
  auto bytes_from = [&](llvm::Value* base, llvm::Value* offset) {
    return b_.CreateGEP(b_.getInt8Ty(), base, offset);
  };
  const auto place = sizes_.i64(static_cast<std::int64_t>(buffer.offset));
  switch (buffer.place) {
    case Buffer::Place::input:
      return element(inputs_);
    case Buffer::Place::output:
      return element(outputs_);
    case Buffer::Place::weights:
      return bytes_from(weights_, place);
    case Buffer::Place::state:
      // State of no bytes has no memory.
      if (program_.state_bytes == 0) return llvm::ConstantPointerNull::get(pointer_);
      return bytes_from(state_, place);
    case Buffer::Place::band:
      // Where a worker's band lies it finds out itself.
      return llvm::ConstantPointerNull::get(pointer_);
    case Buffer::Place::workspace:
      return bytes_from(workspace_, offset(buffer.index));
  }
  WEIR_CHECK(false, "a buffer has one of five places");
}

llvm::Value* CallMemory::offset(std::uint32_t slot) {
  if (offsets_[slot] == nullptr)
    offsets_[slot] =
        b_.CreateLoad(b_.getInt64Ty(), b_.CreateConstGEP1_64(b_.getInt64Ty(), offset_array_, slot));
  return offsets_[slot];
}

llvm::Value* CallMemory::of_workers() {
  return b_.CreateGEP(b_.getInt8Ty(), workspace_,
                      offset(static_cast<std::uint32_t>(program_.slots.size())));
}

llvm::Value* CallMemory::are_present(std::span<const std::uint32_t> buffers) {
  std::map<std::string, std::vector<std::uint32_t>> groups;  // by number of elements
  for (std::uint32_t i : buffers)
    groups[element_count(program_.buffers[i].type.shape).to_string()].push_back(i);
  llvm::Value* least = nullptr;
  for (const auto& [name, members] : groups) {
    Dim count = element_count(program_.buffers[members.front()].type.shape);
    llvm::Value* empty = b_.CreateICmpEQ(sizes_.dimension(count), sizes_.i64(0));
    llvm::Value* least_member = nullptr;
    for (std::uint32_t i : members) least_member = lesser(least_member, address(pointer(i)));
    llvm::Value* any = llvm::ConstantInt::getAllOnesValue(word_);
    least = lesser(least, b_.CreateSelect(empty, any, least_member));
  }
  return least == nullptr ? nullptr : is_address(least);
}

// The least of several addresses tells whether one is null, with less arithmetic than a condition
// for each.
llvm::Value* CallMemory::lesser(llvm::Value* least, llvm::Value* next) {
  return least == nullptr ? next : b_.CreateBinaryIntrinsic(llvm::Intrinsic::umin, least, next);
}

llvm::Value* CallMemory::is_address(llvm::Value* value) {
  return b_.CreateICmpNE(value, llvm::ConstantInt::get(word_, 0));
}

}  // namespace weir
