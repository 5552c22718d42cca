/* A C program that trains: trainer_test.cc gives it a compiled step. */
#include "c_trainer.h"

#include <math.h>
#include <string.h>

/* Steps on the same batch; returns 0 and the last loss if all is right. */
int weir_test_train_in_c(const weir_step* step, const void* const* batch, ptrdiff_t rows, int steps,
                         float* loss) {
  weir_trainer* trainer = weir_trainer_create(step);
  weir_trainer* other = weir_trainer_create(step);
  const void* inputs[3];
  void* outputs[2];
  float rate = 0.1f;
  float logits[256];
  float evaluated = 0;
  float first = 0;
  size_t bytes = 0;
  float* bias;
  int i;
  int fault = 0;
  if (trainer == NULL || other == NULL) return 1;
  inputs[0] = batch[0];
  inputs[1] = batch[1];
  inputs[2] = &rate;
  outputs[0] = loss;
  for (i = 0; i < steps; ++i) {
    if (weir_trainer_step(trainer, inputs, outputs, &rows, NULL) != WEIR_OK) fault = 2;
    if (i == 0) first = *loss;
  }
  if (!(*loss < first)) fault = 3;
  outputs[0] = logits;
  outputs[1] = &evaluated;
  /* Another one's loss is still that before the first step, and this one's is less. */
  if (weir_trainer_evaluate(other, inputs, outputs, &rows, NULL) != WEIR_OK) fault = 4;
  if (!(fabs(evaluated - first) <= 1e-5 * fabs(first))) fault = 12;
  if (weir_trainer_evaluate(trainer, inputs, outputs, &rows, NULL) != WEIR_OK) fault = 4;
  if (!(evaluated > 0 && evaluated < first)) fault = 13;
  /* Another trainer is where it was. */
  if (memcmp(weir_trainer_state_block(other), step->initial_state, step->state_bytes) != 0)
    fault = 5;
  if (memcmp(weir_trainer_state_block(trainer), step->initial_state, step->state_bytes) == 0)
    fault = 6;
  bias = (float*)weir_trainer_state(trainer, "b1", &bytes);
  if (bias == NULL || bytes != 8 * sizeof(float)) return 7;
  bias[3] = (float)HUGE_VAL;
  if (weir_trainer_evaluate(trainer, inputs, outputs, &rows, NULL) != WEIR_OK) fault = 8;
  if (logits[0] - logits[0] == 0) fault = 9;
  if (weir_trainer_state(trainer, "nothing", NULL) != NULL) fault = 10;
  if (weir_trainer_state(trainer, NULL, NULL) != NULL) fault = 14;
  rows = -1;
  if (weir_trainer_step(other, inputs, outputs, &rows, NULL) != WEIR_INVALID_CALL) fault = 11;
  weir_trainer_destroy(trainer);
  weir_trainer_destroy(other);
  return fault;
}

/* A label at fault ends a step: it is told, and nothing is updated. Returns 0 if all is right. */
int weir_test_fault_in_c(const weir_step* step, const void* const* batch, const void* const* wrong,
                         ptrdiff_t rows, ptrdiff_t position, ptrdiff_t index) {
  weir_trainer* trainer = weir_trainer_create(step);
  const void* inputs[3];
  void* outputs[1];
  float rate = 0.1f, loss = 0;
  const weir_fault* fault;
  int result = 0;
  if (trainer == NULL) return 1;
  inputs[2] = &rate;
  outputs[0] = &loss;
  if (weir_trainer_fault(trainer) != NULL) result = 2;
  inputs[0] = wrong[0];
  inputs[1] = wrong[1];
  if (weir_trainer_step(trainer, inputs, outputs, &rows, NULL) != WEIR_DATA_FAULT) result = 3;
  fault = weir_trainer_fault(trainer);
  if (fault == NULL)
    result = 4;
  else if (fault->check != 0 || fault->position != position || fault->index != index)
    result = 5;
  if (memcmp(weir_trainer_state_block(trainer), step->initial_state, step->state_bytes) != 0)
    result = 6;
  inputs[0] = batch[0];
  inputs[1] = batch[1];
  if (weir_trainer_step(trainer, inputs, outputs, &rows, NULL) != WEIR_OK) result = 7;
  if (weir_trainer_fault(trainer) != NULL) result = 8;
  weir_trainer_destroy(trainer);
  return result;
}
