// Compiled functions against exact results, at every point.
//
// At each level of vectors that this machine has, in the body and in the tail of the vector loop,
// the bits are the same as at the first level with the same arithmetic, which either has FMA or has
// not. Of that one the errors are measured in ulp, units in the last place of the exact result,
// denormal ones included. Besides:
//   - NaN where the exact result is NaN, and nowhere else;
//   - infinite, with its sign, from 2^128 (2^1024) on;
//   - a value that is 0 has the sign of the exact one, which may be too small for the type;
//   - monotone where the function is: no step in the wrong direction between points that follow
//   each
//     other.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "tests/numerics/functions.h"
#include "tests/numerics/points.h"

namespace weir::numerics {

// The largest error, and where.
struct Largest {
  double ulp = 0;
  double x = 0, y = 0;
};

struct Scan {
  std::int64_t points = 0;
  std::int64_t faults = 0;
  std::vector<std::string> descriptions;  // of the first faults
  // By result, with FMA and without; nothing where this machine has no such level.
  std::vector<std::array<std::optional<Largest>, 2>> largest;
};

template <class T>
Scan scan(const Function& function, const Points<T>& points, int threads);

extern template Scan scan<float>(const Function&, const Points<float>&, int);
extern template Scan scan<double>(const Function&, const Points<double>&, int);

}  // namespace weir::numerics
