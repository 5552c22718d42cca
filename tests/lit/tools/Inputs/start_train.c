/* examples/train_on_device in a program without any library: shows how many digits are read right, and the digest. */
#include "bare.h"
#include "train.h"

static struct training result;
static char line[] = "000 of 360 digits read right, digest 00000000\n";

static int run(void) {
  unsigned long digest;
  int i, status = train(&result);
  if (status != 0) return status;
  line[0] += result.right / 100;
  line[1] += result.right / 10 % 10;
  line[2] += result.right % 10;
  for (i = 44, digest = result.digest; i > 36; --i, digest >>= 4)
    line[i] = "0123456789abcdef"[digest & 15];
  call_system(system_write, 1, (long)line, sizeof line - 1);
  return result.right * 100 >= result.others * 91 ? 0 : 2;
}
