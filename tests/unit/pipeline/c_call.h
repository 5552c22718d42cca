/* A compiled program called from plain C: see c_call_test.cc. */
#ifndef WEIR_TESTS_UNIT_PIPELINE_C_CALL_H
#define WEIR_TESTS_UNIT_PIPELINE_C_CALL_H

#include "runtime/abi.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Runs a program of one input, one output and one symbol. Returns the program's status. */
int call_from_c(weir_program program, const void* weights, size_t workspace_bytes, ptrdiff_t rows,
                const float* x, float* y, int threads);

#ifdef __cplusplus
}
#endif

#endif
