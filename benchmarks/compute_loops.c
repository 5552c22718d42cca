/* Loops that compute: an elementwise chain and a matmul as anybody would write them, and the
 * multiply-add units at their limit. */
#include "benchmarks/loops.h"

const char* loop_compiler(void) {
#if defined(__clang__)
  return "clang " __clang_version__;
#else
  return "gcc " __VERSION__;
#endif
}

static float leaky(float x) { return x > 0 ? x : 0.01f * x; }

/* The loop as C compiles it, and with every operation rounded. */
#define CHAIN_PARAMETERS                                                     \
  const float* restrict x, const float* restrict a, const float* restrict b, \
      const float* restrict c, const float* restrict d, float* restrict y, ptrdiff_t count
#define CHAIN_LOOP                      \
  for (ptrdiff_t i = 0; i < count; ++i) \
    y[i] = leaky(x[i] * a[i] + b[i]) * c[i] + leaky(d[i] - x[i]);
#if defined(__clang__)
#define ROUNDS
#define CONTRACTS_NOTHING _Pragma("clang fp contract(off)")
#else
#define ROUNDS __attribute__((optimize("fp-contract=off")))
#define CONTRACTS_NOTHING
#endif

#define COPY(n)                                                                  \
  static void chain_loop_##n(CHAIN_PARAMETERS){                                  \
      CHAIN_LOOP} ROUNDS static void chain_loop_rounding_##n(CHAIN_PARAMETERS) { \
    CONTRACTS_NOTHING CHAIN_LOOP                                                 \
  }
COPY(0)
COPY(1)
COPY(2)
COPY(3)
const chain_function chain_loops[chain_copies] = {chain_loop_0, chain_loop_1, chain_loop_2,
                                                  chain_loop_3};
const chain_function chain_loops_rounding[chain_copies] = {
    chain_loop_rounding_0, chain_loop_rounding_1, chain_loop_rounding_2, chain_loop_rounding_3};

void matmul_loop(const float* restrict a, const float* restrict b, float* restrict c, ptrdiff_t m,
                 ptrdiff_t n, ptrdiff_t k) {
  for (ptrdiff_t i = 0; i < m; ++i) {
    for (ptrdiff_t j = 0; j < n; ++j) c[i * n + j] = 0;
    for (ptrdiff_t l = 0; l < k; ++l)
      for (ptrdiff_t j = 0; j < n; ++j) c[i * n + j] += a[i * k + l] * b[l * n + j];
  }
}

enum { chains = 12 };

#define FMA_ROUNDS(bytes)                                                       \
  typedef float vector_##bytes __attribute__((vector_size(bytes)));             \
  LOOPS_AS_WIDE_AS_WRITTEN static float fma_rounds_##bytes(ptrdiff_t repeats) { \
    enum { lanes = bytes / sizeof(float) };                                     \
    vector_##bytes sums[chains], factor, term;                                  \
    for (int lane = 0; lane < lanes; ++lane) {                                  \
      factor[lane] = 0.999f;                                                    \
      term[lane] = 0.001f;                                                      \
      for (int k = 0; k < chains; ++k) sums[k][lane] = (float)(k + lane);       \
    }                                                                           \
    for (ptrdiff_t i = 0; i < repeats; ++i)                                     \
      for (int k = 0; k < chains; ++k) sums[k] = sums[k] * factor + term;       \
    float total = 0;                                                            \
    for (int k = 0; k < chains; ++k)                                            \
      for (int lane = 0; lane < lanes; ++lane) total += sums[k][lane];          \
    return total;                                                               \
  }
FMA_ROUNDS(16)
FMA_ROUNDS(32)
FMA_ROUNDS(64)

float fma_rounds(int vector_bytes, ptrdiff_t repeats) {
  return vector_bytes == 64   ? fma_rounds_64(repeats)
         : vector_bytes == 32 ? fma_rounds_32(repeats)
                              : fma_rounds_16(repeats);
}

double fma_flops_per_round(int vector_bytes) {
  return 2.0 * chains * vector_bytes / (double)sizeof(float);
}
