/* A C program with a model inside: examples/leaky_relu/default_slope.weir, compiled to an object
 * file. It needs runtime/abi.h and the object, and no library. The model's batch size is a symbol,
 * bound here to 1. */
#include <stdio.h>

#include "abi.h"

int weir_default_slope(const weir_call* call);

int main(void) {
  const float x[4] = {-1.0f, 2.0f, -0.5f, 3.0f};
  float y[4];
  const ptrdiff_t dims[1] = {1};
  const void* inputs[1];
  void* outputs[1];
  weir_call call = {0};
  inputs[0] = x;
  outputs[0] = y;
  call.inputs = inputs;
  call.outputs = outputs;
  call.dims = dims;
  if (weir_default_slope(&call) != WEIR_OK) return 1;
  printf("%g %g %g %g\n", y[0], y[1], y[2], y[3]);
  return 0;
}
