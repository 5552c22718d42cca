// Programs for another processor than this one, which this one runs as well: `--cpu NAME`. Peers
// that can be told how wide their vectors are to be are told so, by their environment; ONNX Runtime
// cannot, and is left out.
#pragma once

#include <cstdlib>

#include "benchmarks/report.h"
#include "compiler/codegen/object.h"
#include "compiler/pipeline.h"
#include "tests/support/onnxruntime.h"

namespace weir::bench {

inline CompileOptions compile_options(const Options& options) {
  CompileOptions result;
  result.target.cpu = options.cpu;
  return result;
}

// Of the loop whose speed is the peak: 16, 32 or 64.
inline int vector_bytes(const Options& options) {
  TargetSpec spec;
  spec.cpu = options.cpu;
  return std::max(resolve_target(spec).vector_bytes, 16);
}

// To be called before any of them is loaded or started.
inline void tell_peers(const Options& options) {
  if (options.cpu.empty()) return;
  const int bytes = vector_bytes(options);
  if (bytes == 64) return;
  const bool wide = bytes == 32;
  ::setenv("DNNL_MAX_CPU_ISA", wide ? "AVX2" : "SSE41", 1);
  ::setenv("OPENBLAS_CORETYPE", wide ? "Haswell" : "Nehalem", 1);
  ::setenv("ATEN_CPU_CAPABILITY", wide ? "avx2" : "default", 1);
  ::setenv("MKL_ENABLE_INSTRUCTIONS", wide ? "AVX2" : "SSE4_2", 1);
  if (test::onnxruntime_path() == nullptr) return;
  std::printf("ONNX Runtime cannot be told to use vectors of %d bytes: it is left out.\n", bytes);
  ::unsetenv("WEIR_ONNXRUNTIME");
}

}  // namespace weir::bench
