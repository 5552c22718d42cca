/* Plain C89: four steps of a WGAN-GP critic that was compiled ahead of time, beside those of PyTorch. Returns 0 if the
 * losses, and the weights after the last step, are the same up to rounding. */
#include <stdio.h>

#include "critic.h"
#include "reference.h"

#define ROWS 9
#define STEPS 4
#define TOLERANCE 2e-4

static union {
  double aligned;
  char bytes[CRITIC_STATE_BYTES + WEIR_ALIGNMENT];
} state_memory;
static union {
  double aligned;
  char bytes[65536];
} workspace_memory;

static char* aligned(char* p) {
  return p + (WEIR_ALIGNMENT - (size_t)p % WEIR_ALIGNMENT) % WEIR_ALIGNMENT;
}

static int is_near(double a, double b) {
  double difference = a < b ? b - a : a - b, size = b < 0 ? -b : b;
  return difference <= TOLERANCE * (size + 0.1);
}

int main(void) {
  float real[ROWS * 6], fake[ROWS * 6], between[ROWS * 6], weights[8 * 6], wanted, loss;
  char *state = aligned(state_memory.bytes), *workspace = aligned(workspace_memory.bytes);
  critic_step_inputs inputs;
  critic_step_outputs outputs;
  critic_step_sizes sizes;
  reference_forward_inputs at;
  reference_forward_outputs rows;
  const float* trained = (const float*)(state + CRITIC_STATE_W1_OFFSET);
  int step, i, status, good = 1;
  inputs.real = rows.real = real;
  inputs.fake = rows.fake = fake;
  inputs.between = rows.between = between;
  rows.loss = &wanted;
  rows.final_w1 = weights;
  outputs.loss = &loss;
  at.step = &step;
  status = critic_step_get_sizes(ROWS, &sizes);
  if (status == WEIR_OK &&
      sizes.workspace + sizes.workspace_per_worker + WEIR_ALIGNMENT > sizeof workspace_memory)
    return 2;
  if (status == WEIR_OK) status = critic_init_state(state);
  for (step = 0; step < STEPS && status == WEIR_OK; ++step) {
    status = reference_forward(&at, &rows, workspace, NULL);
    if (status == WEIR_OK) status = critic_step(&inputs, &outputs, ROWS, state, workspace, NULL);
    printf("step %d: loss %8.4f, and PyTorch's is %8.4f\n", step, loss, wanted);
    good = good && is_near(loss, wanted);
  }
  if (status != WEIR_OK) {
    fprintf(stderr, "%s\n", critic_message(status));
    return 1;
  }
  for (i = 0; i < 8 * 6; ++i) good = good && is_near(trained[i], weights[i]);
  puts(good ? "all of it agrees" : "something DIFFERS");
  return good ? 0 : 3;
}
