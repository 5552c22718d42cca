/* The loops in C that compiled programs are compared with. They are built on their own, with
 * `clang-22 -O3 -march=native` where CMake finds it and the project's C compiler otherwise. */
#ifndef WEIR_BENCHMARKS_LOOPS_H
#define WEIR_BENCHMARKS_LOOPS_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* For loops that are a limit: vectors as wide as they are written. For some processors clang takes two of 32 bytes for one of 64 where
 * it is not told, which is what loops as anybody would write them get. */
#if defined(__clang__) && defined(__AVX512F__)
#define LOOPS_AS_WIDE_AS_WRITTEN __attribute__((min_vector_width(512)))
#else
#define LOOPS_AS_WIDE_AS_WRITTEN
#endif

/* The compiler that built the loops. */
const char* loop_compiler(void);

/* What moving the bytes alone costs, in whole vectors: `count` is a multiple of 64 and the pointers are
 * aligned to 64 bytes. The streaming forms write past the caches; where the target has no such stores
 * they are the plain ones. */
void copy_plain(const float* x, float* y, ptrdiff_t count); /* reads one array, writes one */
void copy_streaming(const float* x, float* y, ptrdiff_t count);
void merge_plain(const float* x, const float* g, float* y,
                 ptrdiff_t count); /* reads two, writes one */
void merge_streaming(const float* x, const float* g, float* y, ptrdiff_t count);

/* Reads one array, `count` being a multiple of 128, and returns the sum of it. */
float read_loop(const float* x, ptrdiff_t count);

/* y = leaky(x*a + b)*c + leaky(d - x), slope 0.01, as anybody would write it: copies, for equal code is not equally fast at every
 * place. */
enum { chain_copies = 4 };
typedef void (*chain_function)(const float* x, const float* a, const float* b, const float* c,
                               const float* d, float* y, ptrdiff_t count);
extern const chain_function chain_loops[chain_copies];
/* The same with every operation rounded, none contracted into a multiply-add: the bits of a Weir program that is not
 * told to contract. */
extern const chain_function chain_loops_rounding[chain_copies];

/* c[m, n] = a[m, k] b[k, n], row-major: three loops, the innermost along n. */
void matmul_loop(const float* a, const float* b, float* c, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k);

/* Independent multiply-adds in registers of 16, 32 or 64 bytes, `repeats` rounds of them; returns
 * their sum. One round is fma_flops_per_round() floating-point operations. */
float fma_rounds(int vector_bytes, ptrdiff_t repeats);
double fma_flops_per_round(int vector_bytes);

#ifdef __cplusplus
}
#endif

#endif
