/* Counts votes in the state of a model, and calls it in wrong ways. */
#include <stdio.h>

#include "tally.h"

static double state_memory[64], memory[512]; /* zeroed, and larger than what they hold */

static void* aligned(void* p) {
  size_t address = (size_t)p;
  return (char*)p + (WEIR_ALIGNMENT - address % WEIR_ALIGNMENT) % WEIR_ALIGNMENT;
}

static void show(const void* state) {
  const float* votes = (const float*)((const char*)state + TALLY_STATE_VOTES_OFFSET);
  const int* calls = (const int*)((const char*)state + TALLY_STATE_CALLS_OFFSET);
  printf("votes %g %g %g %g of %d calls\n", votes[0], votes[1], votes[2], votes[3], *calls);
}

int main(void) {
  float weight[2], total;
  int choices[2], status, i;
  char* state = (char*)aligned(state_memory);
  weir_fault* fault = (weir_fault*)aligned(memory);
  tally_forward_inputs inputs;
  tally_forward_outputs outputs;
  if (sizeof memory < TALLY_FORWARD_WORKSPACE_BYTES + WEIR_ALIGNMENT) return 1;
  if (sizeof state_memory < TALLY_STATE_BYTES + WEIR_ALIGNMENT) return 2;
  inputs.choices = choices;
  inputs.weight = weight;
  outputs.total = &total;
  weight[0] = weight[1] = 1;
  puts(tally_message(tally_init_state(NULL)));
  for (i = 0; i < TALLY_STATE_BYTES; ++i) state[i] = 77;
  if (tally_init_state(state) != WEIR_OK) return 3;
  show(state);
  choices[0] = 3;
  choices[1] = 1;
  for (i = 0; i < 2; ++i) {
    if (tally_forward(&inputs, &outputs, state, fault, NULL) != WEIR_OK) return 4;
    printf("total %g\n", total);
    show(state);
    choices[1] = 0;
  }
  choices[0] = 4;
  status = tally_forward(&inputs, &outputs, state, fault, NULL);
  printf("%s: index %ld at %ld\n", tally_message(status), (long)fault->index,
         (long)fault->position);
  show(state);
  puts(tally_message(tally_forward(&inputs, &outputs, NULL, fault, NULL)));
  return 0;
}
