#pragma once

#include "runtime/weir_trainer.h"

#ifdef __cplusplus
extern "C" {
#endif

int weir_test_train_in_c(const weir_step* step, const void* const* batch, ptrdiff_t rows, int steps,
                         float* loss);
int weir_test_fault_in_c(const weir_step* step, const void* const* batch, const void* const* wrong,
                         ptrdiff_t rows, ptrdiff_t position, ptrdiff_t index);

#ifdef __cplusplus
}
#endif
