/* A program without any library: runs the self test of a model and ends with its status. */

#include "model.h"

static union {
  double aligned[1];
  char bytes[MODEL_SELFTEST_BYTES + 64];
} memory;

static void leave(int status) {
#if defined(__x86_64__)
  __asm__ volatile("syscall" : : "a"(60L), "D"((long)status) : "memory");
#elif defined(__aarch64__)
  register long number __asm__("x8") = 93;
  register long value __asm__("x0") = status;
  __asm__ volatile("svc #0" : : "r"(number), "r"(value) : "memory");
#elif defined(__arm__)
  register long number __asm__("r7") = 1;
  register long value __asm__("r0") = status;
  __asm__ volatile("svc #0" : : "r"(number), "r"(value) : "memory");
#elif defined(__riscv)
  register long number __asm__("a7") = 93;
  register long value __asm__("a0") = status;
  __asm__ volatile("ecall" : : "r"(number), "r"(value) : "memory");
#endif
}

int run(void);
int run(void) {
  char* aligned = memory.bytes;
  aligned += (64 - (size_t)aligned % 64) % 64;
  return model_selftest(aligned);
}

void _start(void);
#ifdef __x86_64__
/* The system does not call it, so the stack is not aligned as behind a call. */
__attribute__((force_align_arg_pointer))
#endif
void _start(void) {
  leave(run());
  for (;;) {
  }
}
