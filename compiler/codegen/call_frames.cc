#include "compiler/codegen/call_frames.h"

#include "compiler/codegen/kernel_emitter.h"

namespace weir {

llvm::AllocaInst* entry_slot(llvm::IRBuilder<>& b, llvm::Type* type) {
  llvm::BasicBlock& entry = b.GetInsertBlock()->getParent()->getEntryBlock();
  llvm::IRBuilder<> builder(&entry, entry.begin());
  return builder.CreateAlloca(type);
}

// A frame of each layout serves all calls of that layout, one after the other.
llvm::AllocaInst* CallFrames::frame_for(llvm::StructType* type, std::size_t number) {
  for (const auto& [frame, used_as] : frames_)
    if (frame->getAllocatedType() == type && used_as == number) return frame;
  frames_.emplace_back(entry_slot(b_, type), number);
  return frames_.back().first;
}

llvm::StructType* CallFrames::type_of(const KernelCall& call) const {
  return frame_type(b_.getContext(), call.buffers.size(), call.dims.size(),
                    schedules_[call.kernel].panel.has_value());
}

llvm::AllocaInst* CallFrames::filled(const KernelCall& call, llvm::Value* reach,
                                     std::size_t number) {
  const Schedule& schedule = schedules_[call.kernel];
  llvm::StructType* type = type_of(call);
  llvm::AllocaInst* frame = frame_for(type, number);
  unsigned next = 0;
  for (std::size_t i = 0; i < call.buffers.size(); ++i) {
    llvm::Value* pointer = memory_.pointer(call.buffers[i]);
    if (!call.begins.empty() && call.begins[i] != Dim(0))
      pointer = b_.CreateGEP(b_.getInt8Ty(), pointer, sizes_.dimension(call.begins[i]));
    b_.CreateStore(pointer, b_.CreateStructGEP(type, frame, next++));
  }
  for (const Dim& dim : call.dims)
    b_.CreateStore(sizes_.dimension(dim), b_.CreateStructGEP(type, frame, next++));
  b_.CreateStore(reach, b_.CreateStructGEP(type, frame, next++));
  if (schedule.panel) b_.CreateStore(memory_.of_workers(), b_.CreateStructGEP(type, frame, next));
  return frame;
}

}  // namespace weir
