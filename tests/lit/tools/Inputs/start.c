/* A program without any library: runs the self test of a model and ends with its status. */
#include "bare.h"
#include "model.h"

static union {
  double aligned[1];
  char bytes[MODEL_SELFTEST_BYTES + 64];
} memory;

static int run(void) {
  char* aligned = memory.bytes;
  int status = model_check_cpu();
  aligned += (64 - (size_t)aligned % 64) % 64;
  return status == WEIR_OK ? model_selftest(aligned) : status;
}
