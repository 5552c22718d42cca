/* A program without any library: `run` is what it does, and its result is the status that it ends with. */
#ifndef BARE_H
#define BARE_H

static int run(void);

static long call_system(long number, long first, long second, long third) {
#if defined(__x86_64__)
  long result;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(first), "S"(second), "d"(third)
                   : "rcx", "r11", "memory");
  return result;
#elif defined(__aarch64__)
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = first;
  register long x1 __asm__("x1") = second;
  register long x2 __asm__("x2") = third;
  __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
  return x0;
#elif defined(__arm__)
  register long r7 __asm__("r7") = number;
  register long r0 __asm__("r0") = first;
  register long r1 __asm__("r1") = second;
  register long r2 __asm__("r2") = third;
  __asm__ volatile("svc #0" : "+r"(r0) : "r"(r7), "r"(r1), "r"(r2) : "memory");
  return r0;
#elif defined(__riscv)
  register long a7 __asm__("a7") = number;
  register long a0 __asm__("a0") = first;
  register long a1 __asm__("a1") = second;
  register long a2 __asm__("a2") = third;
  __asm__ volatile("ecall" : "+r"(a0) : "r"(a7), "r"(a1), "r"(a2) : "memory");
  return a0;
#endif
}

#if defined(__x86_64__)
enum { system_write = 1, system_exit = 60 };
#elif defined(__arm__)
enum { system_write = 4, system_exit = 1 };
#else
enum { system_write = 64, system_exit = 93 };
#endif

void _start(void);
#ifdef __x86_64__
/* The system does not call it, so the stack is not aligned as behind a call. */
__attribute__((force_align_arg_pointer))
#endif
void _start(void) {
  int status = run();
  for (;;) call_system(system_exit, status, 0, 0);
}

#endif
