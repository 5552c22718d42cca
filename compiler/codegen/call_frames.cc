#include "compiler/codegen/call_frames.h"

#include "compiler/codegen/kernel_emitter.h"

namespace weir {

llvm::AllocaInst* entry_slot(llvm::IRBuilder<>& b, llvm::Type* type) {
  llvm::BasicBlock& entry = b.GetInsertBlock()->getParent()->getEntryBlock();
  llvm::IRBuilder<> builder(&entry, entry.begin());
  return builder.CreateAlloca(type);
}

// A frame of each layout serves all calls of that layout, one after the other.
llvm::AllocaInst* CallFrames::frame_for(llvm::StructType* type) {
  for (llvm::AllocaInst* frame : frames_)
    if (frame->getAllocatedType() == type) return frame;
  frames_.push_back(entry_slot(b_, type));
  return frames_.back();
}

llvm::Value* CallFrames::filled(const KernelCall& call, llvm::Value* reach) {
  const Schedule& schedule = schedules_[call.kernel];
  llvm::StructType* type = frame_type(b_.getContext(), call.buffers.size(), call.dims.size(),
                                      schedule.panel.has_value());
  llvm::AllocaInst* frame = frame_for(type);
  unsigned next = 0;
  for (std::uint32_t buffer : call.buffers)
    b_.CreateStore(memory_.pointer(buffer), b_.CreateStructGEP(type, frame, next++));
  for (const Dim& dim : call.dims)
    b_.CreateStore(sizes_.dimension(dim), b_.CreateStructGEP(type, frame, next++));
  b_.CreateStore(reach, b_.CreateStructGEP(type, frame, next++));
  if (schedule.panel) b_.CreateStore(memory_.of_workers(), b_.CreateStructGEP(type, frame, next));
  return frame;
}

}  // namespace weir
