/* A compiled training step as a C program sees it: state by name, steps and evaluation.
 *
 * A step that is compiled ahead of time (`weir compile --train`) describes itself: what a program links
 * as digits.o has the description digits_model, and weir_trainer_of_model() takes it. One that the C++
 * class Trainer has compiled in memory is a weir_step (Trainer::c_step, compiler/trainer.h), for
 * weir_trainer_create(). Plain C (C89 and later, C++). Null for a step, a model, a trainer or a name is no fault: the functions
 * then return null, a step or an evaluation -1, and destroying it does nothing.
 *
 *   weir_trainer* trainer = weir_trainer_of_model(&digits_model);
 *   status = weir_trainer_step(trainer, inputs, outputs, dims, executor);
 *   float* w = weir_trainer_state(trainer, "w1", &bytes);
 *   weir_trainer_destroy(trainer);
 */
#ifndef WEIR_RUNTIME_WEIR_TRAINER_H
#define WEIR_RUNTIME_WEIR_TRAINER_H

#include "abi.h"
#include "model_info.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A program, the memory that it needs, and its weight block. */
typedef struct weir_step_program {
  weir_program run;
  weir_workspace_size workspace_size; /* null if it needs no workspace */
  const void* weights;                /* null if it has none */
} weir_step_program;

/* A training step. Evaluation is another program on the same state. */
typedef struct weir_step {
  weir_step_program step;
  weir_step_program evaluation; /* of null pointers if there is none */
  size_t state_bytes;
  const void* initial_state; /* state_bytes bytes; null: all zeros */
  const weir_variable* variables;
  size_t variable_count;
} weir_step;

/* A block of state, and scratch memory. Calls with one trainer follow each other; trainers of one step
 * are independent. */
typedef struct weir_trainer weir_trainer;

/* Starts from the initial state. What `step` points to has to live as long as the trainer; the struct
 * itself is copied. Null if there is no memory. */
weir_trainer* weir_trainer_create(const weir_step* step);
/* The same of a model that is linked or loaded: its programs `step` and, if it has one, `evaluate`. The
 * first values are those that its init_state writes. Null, too, if the model has no program `step`. */
weir_trainer* weir_trainer_of_model(const struct weir_model_info* model);
void weir_trainer_destroy(weir_trainer* trainer);

/* One step, and one evaluation: arrays as those of weir_call. Return a weir_status, and -1 if there is no
 * memory or no such program. `executor` may be null. */
int weir_trainer_step(weir_trainer* trainer, const void* const* inputs, void* const* outputs,
                      const ptrdiff_t* dims, const weir_executor* executor);
int weir_trainer_evaluate(weir_trainer* trainer, const void* const* inputs, void* const* outputs,
                          const ptrdiff_t* dims, const weir_executor* executor);

/* What was out of range, where the latest step or evaluation returned WEIR_DATA_FAULT; null where it
 * did not. Valid until the next one. */
const weir_fault* weir_trainer_fault(const weir_trainer* trainer);

/* Where a variable lies, to be read and written between calls; `bytes`, if it is not null, gets its size.
 * Null if there is no variable of that name. */
void* weir_trainer_state(weir_trainer* trainer, const char* name, size_t* bytes);

/* The whole block, for a checkpoint: weir_step::state_bytes bytes. */
void* weir_trainer_state_block(weir_trainer* trainer);

#ifdef __cplusplus
}
#endif

#endif
