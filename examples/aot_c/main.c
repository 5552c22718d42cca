/* A C program with a model inside, and nothing beside it: which digit is this?
 *
 *   weir compile examples/digits/digits.weir -o digits.o
 *   cc -I . examples/aot_c/main.c digits.o -o digit && ./digit
 */
#include <stdio.h>

#include "digits.h"

/* 8 rows of 8 pixels, as the digits of base 17 from 0 (white) to g (black). */
static const char picture[] =
    "04gf2000"
    "0bff7000"
    "09a6e000"
    "0007f000"
    "000da000"
    "001g7220"
    "01cgfgf0"
    "04gggcb0";

static float pixel(char c) { return (float)(c >= 'a' ? c - 'a' + 10 : c - '0') / 16.0f; }

int main(void) {
  /* The network takes any number of pictures at once; this is one, and what its workspace needs is
   * known. */
  static union {
    double aligned;
    char bytes[4096];
  } memory;
  char* workspace = memory.bytes;
  float x[64], logits[10];
  digits_forward_inputs inputs;
  digits_forward_outputs outputs;
  digits_forward_sizes sizes;
  int i, best = 0, status;

  for (i = 0; i < 64; ++i) x[i] = pixel(picture[i]);
  inputs.x = x;
  outputs.logits = logits;
  workspace += (WEIR_ALIGNMENT - (size_t)workspace % WEIR_ALIGNMENT) % WEIR_ALIGNMENT;
  status = digits_forward_get_sizes(1, &sizes);
  if (status == WEIR_OK &&
      sizes.workspace + sizes.workspace_per_worker > sizeof(memory.bytes) - WEIR_ALIGNMENT)
    return 2;
  if (status == WEIR_OK) status = digits_forward(&inputs, &outputs, 1, workspace, NULL);
  if (status != WEIR_OK) {
    fprintf(stderr, "%s\n", digits_message(status));
    return 1;
  }
  for (i = 1; i < 10; ++i)
    if (logits[i] > logits[best]) best = i;
  printf("%d\n", best);
  return best == 2 ? 0 : 3;
}
