/* Trains on the digits and tells how well they are read then. Returns 0 if 91% are reached. */
#include <stdio.h>

#include "device.h"
#include "train.h"

int main(void) {
  struct training result;
  int status = train(&result);
  if (status != WEIR_OK) {
    fprintf(stderr, "%s\n", device_message(status));
    return 1;
  }
  printf("loss %.4f at first, %.4f at last\n", result.first_loss, result.last_loss);
  printf("%d of %d digits read right, digest %08lx\n", result.right, result.others, result.digest);
  return result.right * 100 >= result.others * 91 ? 0 : 2;
}
