/* Loops that move bytes and do nothing else: the limit of an elementwise kernel. */
#include "benchmarks/loops.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
typedef __m512 vector;
#define stream(where, value) _mm512_stream_ps(where, value)
#elif defined(__AVX__)
typedef __m256 vector;
#define stream(where, value) _mm256_stream_ps(where, value)
#elif defined(__SSE2__)
typedef __m128 vector;
#define stream(where, value) _mm_stream_ps(where, value)
#else
typedef float vector __attribute__((vector_size(16)));
#define stream(where, value) (*(vector*)(where) = (value))
#endif
#if defined(__SSE2__)
#define stream_fence() _mm_sfence()
#else
#define stream_fence() ((void)0)
#endif

enum { lanes = sizeof(vector) / sizeof(float), unroll = 4, step = lanes * unroll };

static vector load(const float* where) { return *(const vector*)where; }

LOOPS_AS_WIDE_AS_WRITTEN void copy_plain(const float* x, float* y, ptrdiff_t count) {
  for (ptrdiff_t i = 0; i < count; i += step)
    for (int k = 0; k < unroll; ++k) *(vector*)(y + i + k * lanes) = load(x + i + k * lanes);
}

LOOPS_AS_WIDE_AS_WRITTEN void copy_streaming(const float* x, float* y, ptrdiff_t count) {
  for (ptrdiff_t i = 0; i < count; i += step)
    for (int k = 0; k < unroll; ++k) stream(y + i + k * lanes, load(x + i + k * lanes));
  stream_fence();
}

LOOPS_AS_WIDE_AS_WRITTEN void merge_plain(const float* x, const float* g, float* y,
                                          ptrdiff_t count) {
  for (ptrdiff_t i = 0; i < count; i += step)
    for (int k = 0; k < unroll; ++k)
      *(vector*)(y + i + k * lanes) = load(x + i + k * lanes) + load(g + i + k * lanes);
}

LOOPS_AS_WIDE_AS_WRITTEN void merge_streaming(const float* x, const float* g, float* y,
                                              ptrdiff_t count) {
  for (ptrdiff_t i = 0; i < count; i += step)
    for (int k = 0; k < unroll; ++k)
      stream(y + i + k * lanes, load(x + i + k * lanes) + load(g + i + k * lanes));
  stream_fence();
}

LOOPS_AS_WIDE_AS_WRITTEN float read_loop(const float* x, ptrdiff_t count) {
  vector sums[2 * unroll] = {{0}};
  for (ptrdiff_t i = 0; i < count; i += 2 * step)
    for (int k = 0; k < 2 * unroll; ++k) sums[k] += load(x + i + k * lanes);
  float total = 0;
  for (int k = 0; k < 2 * unroll; ++k)
    for (int lane = 0; lane < lanes; ++lane) total += sums[k][lane];
  return total;
}
