// Which widths of vectors the tests of compiled code run here: what this machine lacks is not run,
// and this says so.

#include <gtest/gtest.h>

#include "compiler/pipeline.h"

namespace weir {
namespace {

#ifdef __x86_64__
TEST(VectorLevels, OfAvx512) {
  for (bool supported :
       {__builtin_cpu_supports("avx512f") != 0, __builtin_cpu_supports("avx512vl") != 0,
        __builtin_cpu_supports("avx512bw") != 0, __builtin_cpu_supports("avx512dq") != 0})
    if (!supported)
      GTEST_SKIP() << "this machine has no AVX-512: code for it is compiled, and not run";
  // The level of this machine, which every such test runs.
  EXPECT_EQ(resolve_target({}).vector_bytes, 64);
}

TEST(VectorLevels, OfAvx2) {
  if (__builtin_cpu_supports("avx2") == 0 || __builtin_cpu_supports("fma") == 0)
    GTEST_SKIP() << "this machine has no AVX2 and FMA: code for it is compiled, and not run";
  EXPECT_GE(resolve_target({}).vector_bytes, 32);
}
#endif

}  // namespace
}  // namespace weir
