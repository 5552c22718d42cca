/* Looks up two rows of five, once of three times with an index that is none, and prints what the program says of it. */
#include <stdio.h>

#include "data_fault.h"

static double memory[64]; /* zeroed, and larger than the workspace */

static void* aligned(void* p) {
  size_t address = (size_t)p;
  return (char*)p + (WEIR_ALIGNMENT - address % WEIR_ALIGNMENT) % WEIR_ALIGNMENT;
}

int main(void) {
  float table[10], y[4];
  int at[2];
  data_fault_forward_inputs inputs;
  data_fault_forward_outputs outputs;
  weir_fault* fault = (weir_fault*)aligned(memory);
  int i, status;
  if (sizeof memory < DATA_FAULT_FORWARD_WORKSPACE_BYTES + WEIR_ALIGNMENT) return 1;
  for (i = 0; i < 10; ++i) table[i] = (float)i;
  inputs.table = table;
  inputs.at = at;
  outputs.y = y;
#ifdef VARIANTS
  if (data_fault_init(fault) != WEIR_OK) return 2;
#endif
  at[0] = 4;
  at[1] = -5;
  status = data_fault_forward(&inputs, &outputs, fault, NULL);
  printf("status %d: %g %g %g %g\n", status, y[0], y[1], y[2], y[3]);
  at[1] = 5;
  status = data_fault_forward(&inputs, &outputs, fault, NULL);
  printf("status %d, %s: check %ld, position %ld, index %ld\n", status, data_fault_message(status),
         (long)fault->check, (long)fault->position, (long)fault->index);
  at[1] = -5;
  status = data_fault_forward(&inputs, &outputs, fault, NULL);
  printf("status %d: %g %g %g %g\n", status, y[0], y[1], y[2], y[3]);
  return 0;
}
