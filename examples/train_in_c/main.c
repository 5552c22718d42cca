/* A C program that trains: the step is compiled ahead of time, and a weir_trainer has its state.
 *
 *   weir compile disc.weir -o disc.o --train --loss cross_entropy --optimizer adamw
 */
#include <stdio.h>

#include "disc.h"
#include "runtime/weir_trainer.h"

#define ROWS 128
#define STEPS 1500

static unsigned long random_state = 1;

/* From -1 to 1. */
static float random_number(void) {
  random_state = (random_state * 1103515245ul + 12345ul) & 0x7ffffffful;
  return (float)(random_state >> 8) / (float)(1ul << 22) - 1.0f;
}

/* Points of a square, and whether they lie within a disc of half its area. */
static void draw_points(float* x, int* inside) {
  int i;
  for (i = 0; i < ROWS; ++i) {
    float a = x[2 * i] = random_number(), b = x[2 * i + 1] = random_number();
    inside[i] = a * a + b * b < 0.6366f;
  }
}

int main(void) {
  static float x[2 * ROWS], logits[2 * ROWS];
  static int inside[ROWS];
  float rate = 0.01f, loss = 0, first = 0;
  ptrdiff_t rows = ROWS;
  const weir_fault* fault;
  size_t bytes = 0;
  int i, right = 0, status = WEIR_OK;
  /* In the order of disc_step_inputs and of the other structs in disc.h. */
  const void* inputs[3];
  void* step_outputs[1];
  void* outputs[2];
  weir_trainer* trainer = weir_trainer_of_model(&disc_model);
  if (trainer == NULL) return 1;
  inputs[0] = x;
  inputs[1] = inside;
  inputs[2] = &rate;
  step_outputs[0] = &loss;
  outputs[0] = logits;
  outputs[1] = &loss;

  for (i = 0; i < STEPS && status == WEIR_OK; ++i) {
    draw_points(x, inside);
    status = weir_trainer_step(trainer, inputs, step_outputs, &rows, NULL);
    if (i == 0) first = loss;
  }
  if (status != WEIR_OK) {
    fprintf(stderr, "%s\n", disc_message(status));
    return 1;
  }
  printf("loss %.3f at first, %.3f at last\n", first, loss);

  /* Points that it has not seen, on the params as they are now. */
  draw_points(x, inside);
  status = weir_trainer_evaluate(trainer, inputs, outputs, &rows, NULL);
  for (i = 0; i < ROWS; ++i) right += (logits[2 * i + 1] > logits[2 * i]) == inside[i];
  printf("%d of %d points are told right\n", right, ROWS);

  /* Variables have the names that they have in the model. */
  if (weir_trainer_state(trainer, "w1", &bytes) == NULL) return 1;
  printf("w1 has %lu bytes, all state %lu\n", (unsigned long)bytes,
         (unsigned long)DISC_STATE_BYTES);

  /* A label that is the number of no class: nothing is updated, and it can be told which. */
  inside[5] = 7;
  status = weir_trainer_step(trainer, inputs, step_outputs, &rows, NULL);
  fault = weir_trainer_fault(trainer);
  if (status != WEIR_DATA_FAULT || fault == NULL) return 1;
  printf("%s: label %ld is %ld\n", disc_message(status), (long)fault->position, (long)fault->index);

  weir_trainer_destroy(trainer);
  return right * 100 >= ROWS * 90 ? 0 : 2;
}
