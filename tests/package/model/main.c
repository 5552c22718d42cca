/* The same model linked and loaded: returns 0 if both give the same bits, 5 if they differ. */
#include <stdio.h>
#include <string.h>

#include "digits.h"
#include "runtime/weir_runtime.h"

int main(int argc, char** argv) {
  static float x[2 * 64], linked[2 * 10], loaded[2 * 10], grad_x[2 * 64];
  char reason[200];
  const void* inputs[1];
  void* outputs[1];
  ptrdiff_t rows = 2;
  weir_call call;
  digits_forward_sizes sizes;
  digits_forward_inputs in;
  digits_forward_outputs out;
  digits_gradient_inputs gradient_in;
  digits_gradient_outputs gradient_out;
  weir_loaded_model* model;
  const weir_program_info* forward;
  weir_workspace* workspace = weir_workspace_create();
  int i;
  if (argc != 2) return 1;
  for (i = 0; i < 2 * 64; ++i) x[i] = (float)(i % 17) / 16.0f;
  in.x = gradient_in.x = x;
  out.logits = linked;
  gradient_out.logits = loaded;
  gradient_out.grad_x = grad_x;
  digits_forward_get_sizes(rows, &sizes);
  sizes.workspace += sizes.workspace_per_worker;
  if (digits_forward(&in, &out, rows, weir_workspace_reserve(workspace, sizes.workspace), NULL) !=
      WEIR_OK)
    return 2;
  model = weir_model_open(argv[1], reason, sizeof(reason));
  if (model == NULL) {
    fprintf(stderr, "%s\n", reason);
    return 3;
  }
  forward = weir_model_program(model, "forward");
  inputs[0] = x;
  outputs[0] = loaded;
  memset(&call, 0, sizeof(call));
  call.inputs = inputs;
  call.outputs = outputs;
  call.weights = weir_model_describe(model)->weights;
  call.workspace = weir_workspace_reserve(workspace, sizes.workspace);
  call.dims = &rows;
  if (forward == NULL || forward->run(&call) != WEIR_OK) return 4;
  if (memcmp(linked, loaded, sizeof(linked)) != 0) return 5;
  if (digits_gradient(&gradient_in, &gradient_out, rows, weir_workspace_reserve(workspace, 1 << 20),
                      NULL) != WEIR_OK)
    return 6;
  if (memcmp(linked, loaded, sizeof(linked)) != 0 || grad_x[0] == 0) return 7;
  weir_model_close(model);
  weir_workspace_destroy(workspace);
  printf("%.9g\n", linked[0]);
  return 0;
}
