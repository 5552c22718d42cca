/* Steps of training in memory of exactly the size that is asked for, of which nothing is set that a program has to set. */
#include <stdio.h>
#include <stdlib.h>

#include "digits.h"

#define ROWS 5

/* Aligned, and ending where the system's block ends: blocks are taken until one fits. */
static char* block(size_t bytes) {
  int i;
  for (i = 0; i < 1000; ++i) {
    size_t skipped = (size_t)(i % 4) * 16;
    char* p = (char*)malloc(bytes + skipped);
    if (p != NULL && (size_t)(p + skipped) % WEIR_ALIGNMENT == 0) return p + skipped;
  }
  exit(9);
}

int main(void) {
  digits_step_sizes sizes;
  digits_step_inputs inputs;
  digits_step_outputs outputs;
  digits_evaluate_sizes evaluate_sizes;
  digits_evaluate_inputs evaluate_inputs;
  digits_evaluate_outputs evaluate_outputs;
  float *x, *rate, *loss, *logits;
  float first = 0;
  int *target, i;
  char *state, *workspace;
  if (digits_step_get_sizes(ROWS, &sizes) != WEIR_OK) return 1;
  if (digits_evaluate_get_sizes(ROWS, &evaluate_sizes) != WEIR_OK) return 1;
  x = (float*)malloc(sizes.x * sizeof *x);
  target = (int*)malloc(sizes.target * sizeof *target);
  rate = (float*)malloc(sizeof *rate);
  loss = (float*)malloc(sizeof *loss);
  logits = (float*)malloc(evaluate_sizes.logits * sizeof *logits);
  state = block(DIGITS_STATE_BYTES);
  for (i = 0; i < ROWS * 64; ++i) x[i] = (float)(i * 7 % 17) / 16;
  for (i = 0; i < ROWS; ++i) target[i] = i;
  *rate = 0.01f;
  inputs.x = evaluate_inputs.x = x;
  inputs.target = evaluate_inputs.target = target;
  inputs.learning_rate = rate;
  outputs.loss = evaluate_outputs.loss = loss;
  evaluate_outputs.logits = logits;
  if (digits_init_state(state) != WEIR_OK) return 2;
  for (i = 0; i < 3; ++i) {
    workspace = block(sizes.workspace + sizes.workspace_per_worker);
    if (digits_step(&inputs, &outputs, ROWS, state, workspace, NULL) != WEIR_OK) return 3;
    if (i == 0) first = *loss;
  }
  workspace = block(evaluate_sizes.workspace + evaluate_sizes.workspace_per_worker);
  if (digits_evaluate(&evaluate_inputs, &evaluate_outputs, ROWS, state, workspace, NULL) != WEIR_OK)
    return 4;
  printf("%s\n", *loss < first ? "learned" : "not learned");
  return 0;
}
