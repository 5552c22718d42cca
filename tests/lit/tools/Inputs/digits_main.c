/* Runs the digits classifier on one picture of zeros, and calls it in wrong ways. */
#include <stdio.h>

#include "digits.h"

int main(void) {
  static const float x[64];
  static double memory[1000];
  char* workspace = (char*)memory;
  float logits[10];
  digits_forward_inputs inputs;
  digits_forward_outputs outputs;
  digits_forward_sizes sizes;
  int i;
  workspace += (WEIR_ALIGNMENT - (size_t)workspace % WEIR_ALIGNMENT) % WEIR_ALIGNMENT;
  inputs.x = x;
  outputs.logits = logits;
  if (digits_check_cpu() != WEIR_OK) return 1;
  if (digits_forward_get_sizes(1, &sizes) != WEIR_OK) return 2;
  printf("workspace %d, x %d, logits %d\n", (int)sizes.workspace, (int)sizes.x, (int)sizes.logits);
  if (digits_forward(&inputs, &outputs, 1, workspace, NULL) != WEIR_OK) return 3;
  for (i = 0; i < 10; ++i) printf("%.8f\n", logits[i]);
  puts(digits_message(digits_forward(NULL, &outputs, 1, workspace, NULL)));
  puts(digits_message(digits_forward(&inputs, &outputs, -1, workspace, NULL)));
  puts(digits_message(digits_forward_get_sizes(-1, &sizes)));
  puts(digits_message(digits_forward_get_sizes(1, NULL)));
  puts(digits_message(WEIR_OK));
  puts(digits_message(-7));
  inputs.x = NULL;
  puts(digits_message(digits_forward(&inputs, &outputs, 1, workspace, NULL)));
  return 0;
}
