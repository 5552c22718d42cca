// How long the steps of a compilation take, for CompileOptions::timing.
#pragma once

#include <chrono>
#include <string_view>

namespace weir {

// Runs a step, and tells `timing`, which may be empty, how many milliseconds it took.
template <class Timing, class Step>
auto timed(const Timing& timing, std::string_view name, Step&& step) {
  auto start = std::chrono::steady_clock::now();
  auto result = step();
  if (timing)
    timing(name, std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
                     .count());
  return result;
}

}  // namespace weir
