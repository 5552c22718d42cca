// leaky_relu with any slope and its gradient, compiled, against the formula in C++, bit for bit.
#pragma once

#include <string>
#include <string_view>

#include "tests/numerics/points.h"

namespace weir::numerics {

inline constexpr std::string_view kSlopesName = "leaky_relu";

// What differs, a line each; empty if nothing does. At every level of vectors, body and tail.
std::string check_slopes(const Points<float>& points, int threads);

}  // namespace weir::numerics
