/* A compiled program called from plain C: see c_call_test.cc. */
#include "tests/unit/pipeline/c_call.h"

#include "runtime/weir_runtime.h"

int call_from_c(weir_program program, const void* weights, size_t workspace_bytes, ptrdiff_t rows,
                const float* x, float* y, int threads) {
  weir_call call = {0};
  const void* inputs[1];
  void* outputs[1];
  weir_workspace* workspace = weir_workspace_create();
  weir_thread_pool* pool = threads > 1 ? weir_thread_pool_create(threads) : NULL;
  int status;
  inputs[0] = x;
  outputs[0] = y;
  call.inputs = inputs;
  call.outputs = outputs;
  call.weights = weights;
  call.workspace = weir_workspace_reserve(workspace, workspace_bytes);
  call.dims = &rows;
  call.executor = weir_thread_pool_executor(pool);
  status = program(&call);
  weir_thread_pool_destroy(pool);
  weir_workspace_destroy(workspace);
  return status;
}
