// A C program around ONNX Runtime, so that a process of its own can be measured: how long it takes
// to the first result, what a session takes to make, what a call costs, how much memory stays.
//
// It finds the library's functions by their places in the table of its C API, as
// tests/support/onnxruntime.h does, which says why that holds.
#pragma once

namespace weir::bench {

// Arguments: LIBRARY MODEL ELEMENTS CALLS, the model being one of x: f32[1, ELEMENTS] to y. Prints
// the seconds that making a session took, those of a call, and the largest resident memory in kB.
constexpr const char* kOnnxRuntimeProcess = R"(#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef void* (*function)(void);
struct base {
  const function* (*get_api)(uint32_t);
};

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void check(void* status) {
  if (status == NULL) return;
  fprintf(stderr, "ONNX Runtime: a call failed\n");
  exit(1);
}

int main(int argc, char** argv) {
  static float x[4096];
  const char *input = "x", *output = "y";
  void *library, *environment, *options, *session, *memory, *value, *result;
  const function* api;
  int64_t shape[2] = {1, 0};
  long calls, i;
  double started, made, done;
  char line[256];
  FILE* file;
  if (argc != 5) return 1;
  shape[1] = atol(argv[3]);
  calls = atol(argv[4]);
  started = now();
  library = dlopen(argv[1], RTLD_NOW);
  if (library == NULL) return 1;
  api = ((const struct base* (*)(void))dlsym(library, "OrtGetApiBase"))()->get_api(8);
  check(((void* (*)(int, const char*, void**))api[3])(4, "weir", &environment));
  check(((void* (*)(void**))api[10])(&options));
  check(((void* (*)(void*, int))api[24])(options, 1));
  check(((void* (*)(void*, const char*, void*, void**))api[7])(environment, argv[2], options, &session));
  made = now();
  check(((void* (*)(int, int, void**))api[69])(1, 0, &memory));
  check(((void* (*)(void*, void*, size_t, const int64_t*, size_t, int, void**))api[49])(
      memory, x, (size_t)shape[1] * sizeof(float), shape, 2, 1, &value));
  result = NULL;
  done = 0;
  for (i = 0; i <= calls; ++i) {
    if (i == 1) done = now();
    check(((void* (*)(void*, void*, const char**, void* const*, size_t, const char**, size_t, void**))api[9])(
        session, NULL, &input, &value, 1, &output, 1, &result));
  }
  printf("%.17g %.17g ", made - started, calls > 0 ? (now() - done) / (double)calls : 0.0);
  file = fopen("/proc/self/status", "r");
  while (file != NULL && fgets(line, sizeof(line), file) != NULL)
    if (strncmp(line, "VmHWM:", 6) == 0) printf("%s", line + 6);
  fflush(stdout);
  _Exit(0);
}
)";

}  // namespace weir::bench
