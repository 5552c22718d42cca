// OpenBLAS, to compare with, where the system has it: loaded at run time, for its threads start
// with it.
#pragma once

#include <dlfcn.h>

#include <cstddef>

namespace weir::bench {

class OpenBlas {
 public:
  OpenBlas() {
    for (const char* name : {"libopenblas.so.0", "libopenblas.so"})
      if (library_ == nullptr) library_ = ::dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (library_ == nullptr) return;
    multiply_ = reinterpret_cast<Multiply>(::dlsym(library_, "cblas_sgemm"));
    set_threads_ = reinterpret_cast<SetThreads>(::dlsym(library_, "openblas_set_num_threads"));
  }

  bool present() const { return multiply_ != nullptr && set_threads_ != nullptr; }

  void set_threads(int threads) const { set_threads_(threads); }

  // c[m, n] = a[m, k] b[k, n], row-major; a transposed operand is stored as its transpose.
  void multiply(std::ptrdiff_t m, std::ptrdiff_t n, std::ptrdiff_t k, const float* a,
                bool a_transposed, const float* b, bool b_transposed, float* c) const {
    auto rows = static_cast<int>(m), columns = static_cast<int>(n), depth = static_cast<int>(k);
    multiply_(kRowMajor, a_transposed ? kTransposed : kPlain, b_transposed ? kTransposed : kPlain,
              rows, columns, depth, 1, a, a_transposed ? rows : depth, b,
              b_transposed ? depth : columns, 0, c, columns);
  }

 private:
  enum Order { kRowMajor = 101 };
  enum Form { kPlain = 111, kTransposed = 112 };
  using Multiply = void (*)(Order, Form, Form, int m, int n, int k, float alpha, const float* a,
                            int a_stride, const float* b, int b_stride, float beta, float* c,
                            int c_stride);
  using SetThreads = void (*)(int);

  void* library_ = nullptr;
  Multiply multiply_ = nullptr;
  SetThreads set_threads_ = nullptr;
};

}  // namespace weir::bench
