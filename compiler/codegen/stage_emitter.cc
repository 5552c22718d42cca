// Rows that go through a stage before the next one (compiler/lowering/rows_by_stage.h).
#include "compiler/codegen/kernel_emitter.h"

namespace weir {

void KernelEmitter::emit_by_stages(llvm::Value* begin, llvm::Value* end) {
  rows_ = 1;
  unroll_ = schedule_.unroll;
  const std::int64_t together = schedule_.rows_by_stage;
  // By local: its value for each row of the group.
  std::vector<llvm::AllocaInst*> kept;
  for (DType local : kernel_.locals)
    kept.push_back(slot(primitives_.type(local, 1), "row", together));
  auto place = [&](std::size_t local, llvm::Value* row) {
    return b_.CreateGEP(kept[local]->getAllocatedType(), kept[local], row);
  };
  loop(begin, end, together, [&](llvm::Value* first) {
    llvm::Value* count =
        b_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, i64(together), b_.CreateSub(end, first));
    std::vector<bool> is_known(kept.size());
    for (std::size_t i = 0; i < kernel_.stages.size(); ++i) {
      const Stage& stage = kernel_.stages[i];
      loop(i64(0), count, 1, [&](llvm::Value* row) {
        Scope scope(*this);
        row_ = b_.CreateAdd(first, row);
        emit_row(row_, schedule_.rows.size());
        for (std::size_t local = 0; local < kept.size(); ++local) {
          locals_[local].clear();
          if (is_known[local])
            locals_[local].push_back(
                b_.CreateLoad(kept[local]->getAllocatedType(), place(local, row)));
        }
        Lanes scalar;
        scalar.start = i64(0);
        if (!stage.fold) return emit_map(stage, schedule_.stores[i], scalar);
        const Values results = emit_fold(stage, scalar);
        for (std::size_t k = 0; k < results.size(); ++k)
          b_.CreateStore(results[k], place(stage.fold->locals[k], row));
      });
      if (stage.fold)
        for (std::uint32_t local : stage.fold->locals) is_known[local] = true;
    }
  });
  for (auto& local : locals_) local.clear();
}

}  // namespace weir
