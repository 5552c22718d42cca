#include "compiler/codegen/call_reach.h"

namespace weir {
namespace {

llvm::Value* is_past(llvm::IRBuilder<>& b, SizeArithmetic& sizes, const Schedule& schedule,
                     const BytesFrom& from, llvm::Value* shared) {
  llvm::Value* least = sizes.i64(from.alone);
  if (from.several != from.alone) least = b.CreateSelect(shared, sizes.i64(from.several), least);
  return b.CreateICmpSGE(sizes.dimension(schedule.bytes), least);
}

// From the nearest on, of those loops that the schedule has.
llvm::Value* reach_from(Reach nearest, llvm::IRBuilder<>& b, SizeArithmetic& sizes,
                        const Schedule& schedule, llvm::Value* shared) {
  llvm::Value* reach = reach_value(b, nearest);
  auto beyond = [&](const BytesFrom& from, Reach next) {
    if (next <= nearest) return;
    reach = b.CreateSelect(is_past(b, sizes, schedule, from, shared), reach_value(b, next), reach);
  };
  if (schedule.lines_together > 0) beyond(schedule.far, Reach::far);
  beyond(schedule.past_caches, Reach::memory);
  return reach;
}

}  // namespace

llvm::ConstantInt* reach_value(llvm::IRBuilder<>& b, Reach reach) {
  return b.getInt64(static_cast<std::uint64_t>(reach));
}

llvm::Value* reach_of(llvm::IRBuilder<>& b, SizeArithmetic& sizes, const Schedule& schedule,
                      llvm::Value* shared) {
  if (!schedule.streams) return reach_value(b, Reach::near);
  return reach_from(Reach::near, b, sizes, schedule, shared);
}

llvm::Value* far_reach_of(llvm::IRBuilder<>& b, SizeArithmetic& sizes, const Schedule& schedule,
                          llvm::Value* shared) {
  const Reach nearest = schedule.lines_together > 0 ? Reach::far : Reach::memory;
  return reach_from(nearest, b, sizes, schedule, shared);
}

}  // namespace weir
