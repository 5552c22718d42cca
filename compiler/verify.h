// Runs ONNX's test folders (compiler/frontend/onnx/test_folder.h): does a model compute what it
// must, and the same bits, gradients included, on one thread and on several?
#pragma once

#include <optional>
#include <string>

#include "compiler/cache/code_cache.h"
#include "compiler/frontend/load_limits.h"
#include "runtime/abi.h"

namespace weir {

struct VerifyOptions {
  // How far a tensor may be from its reference, relative to the largest element of the reference,
  // or absolutely where that is 0. Not given: 1e-5, for gradients 1e-4, as terms that nearly cancel
  // are common in them and the reference itself is off by more than 1e-5; for f16 2^-10 and for
  // bf16 2^-7, which is a unit in the last place. Integers and bools have to be equal, NaNs are
  // equal to each other, and so are infinities of one sign.
  std::optional<double> tolerance;
  bool gradients = false;    // compares with gradients.npz too, or says that there is none
  bool contract = false;     // CompileOptions::contract, interpreted too
  bool interpreted = false;  // runs the interpreter instead of compiled code
  LoadLimits limits;         // for reading a model, and for a run
  // Threads to compile and to run on; null is the calling thread alone. Compiled code runs on others
  // as well, which have to give the same bits: on two, if these are one, and on one otherwise.
  const weir_executor* executor = nullptr;
  CacheOptions cache;  // for compiled code
};

struct Verdict {
  enum class Kind { pass, fail, unsupported };
  Kind kind;
  // Of fail: what is wrong, with the place of the largest difference. Of unsupported: why. Of pass:
  // what is to be known about it, mostly nothing. One line.
  std::string reason;
  double difference = 0;         // the largest there is, relative as the tolerance is
  bool lacks_gradients = false;  // they are asked for, and there is no gradients.npz
};

// Never throws for what the folder holds: a wrong file is a fail that says so.
Verdict verify(const std::string& folder, const VerifyOptions& options = {});

}  // namespace weir
