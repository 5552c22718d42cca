/* A C program with a compiled model inside: the layer that ../host writes to an object file. It runs on the
 * runtime's thread pool and workspace, and is compared with plain loops. */
#include <stdio.h>

#include "runtime/weir_runtime.h"

#define ROWS 1000
#define IN 8
#define OUT 4

int weir_layer(const weir_call* call);
int weir_layer_workspace_size(const ptrdiff_t* dims, size_t* fixed, size_t* per_worker);

static float x[ROWS * IN], w[OUT * IN], b[OUT], y[ROWS * OUT], gradient[ROWS * IN];

static int is_near(double value, double expected) {
  double difference = value - expected,
         allowed = 1e-5 * (1 + (expected < 0 ? -expected : expected));
  return difference <= allowed && difference >= -allowed;
}

static int is_right(void) {
  int n, o, i;
  for (n = 0; n < ROWS; ++n) {
    double expected[IN] = {0};
    for (o = 0; o < OUT; ++o) {
      double sum = b[o], slope;
      for (i = 0; i < IN; ++i) sum += (double)x[n * IN + i] * w[o * IN + i];
      slope = sum > 0 ? 1 : 0.05;
      if (!is_near(y[n * OUT + o], slope * sum)) return 0;
      for (i = 0; i < IN; ++i) expected[i] += slope * w[o * IN + i];
    }
    for (i = 0; i < IN; ++i)
      if (!is_near(gradient[n * IN + i], expected[i])) return 0;
  }
  return 1;
}

int main(void) {
  const void* inputs[3];
  void* outputs[2];
  ptrdiff_t dims[1] = {ROWS};
  size_t fixed, per_worker;
  weir_call call = {0};
  weir_thread_pool* pool = weir_thread_pool_create(3);
  weir_workspace* workspace = weir_workspace_create();
  int i, status;

  for (i = 0; i < ROWS * IN; ++i) x[i] = (float)(i % 17) / 8 - 1;
  for (i = 0; i < OUT * IN; ++i) w[i] = (float)(i % 5) / 2 - 1;
  for (i = 0; i < OUT; ++i) b[i] = (float)i / 3;
  inputs[0] = x;
  inputs[1] = w;
  inputs[2] = b;
  outputs[0] = y;
  outputs[1] = gradient;
  call.inputs = inputs;
  call.outputs = outputs;
  call.dims = dims;
  call.executor = weir_thread_pool_executor(pool);
  if (weir_layer_workspace_size(dims, &fixed, &per_worker) != WEIR_OK) return 1;
  call.workspace =
      weir_workspace_reserve(workspace, fixed + per_worker * (size_t)call.executor->max_workers);
  status = weir_layer(&call);
  weir_workspace_destroy(workspace);
  weir_thread_pool_destroy(pool);
  if (status != WEIR_OK || !is_right()) return 1;
  puts("the layer in the object file agrees with plain loops");
  return 0;
}
