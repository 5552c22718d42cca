// How long the steps of code generation take, for CodegenOptions::timing.
#pragma once

#include <array>
#include <chrono>
#include <string_view>
#include <utility>

#include "compiler/codegen/object.h"

namespace weir {

inline constexpr std::array<std::string_view, 3> kSteps{"emit LLVM IR", "LLVM passes",
                                                        "LLVM code generation"};

class Stopwatch {
 public:
  // Milliseconds since the last call.
  double lap() {
    auto before = std::exchange(last_, std::chrono::steady_clock::now());
    return std::chrono::duration<double, std::milli>(last_ - before).count();
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

inline void report(const CodegenOptions& options, std::string_view step, double milliseconds) {
  if (options.timing) options.timing(step, milliseconds);
}

}  // namespace weir
