#include "compiler/codegen/prefetch.h"

namespace weir {

void emit_prefetch(llvm::IRBuilder<>& builder, llvm::Value* where, PrefetchTo use) {
  constexpr int kAllCaches = 3, kFromSecond = 2, kData = 1;
  builder.CreateIntrinsic(
      llvm::Intrinsic::prefetch, {where->getType()},
      {where, builder.getInt32(use == PrefetchTo::write),
       builder.getInt32(use == PrefetchTo::read_later ? kFromSecond : kAllCaches),
       builder.getInt32(kData)});
}

}  // namespace weir
