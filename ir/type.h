// The type of a graph value: element type and shape.
#pragma once

#include <string>

#include "ir/dim.h"
#include "ir/dtype.h"

namespace weir {

// Dimensions of a type, at most. Without a bound, a short file could ask for every node to carry
// thousands of them.
inline constexpr std::size_t kMaximumRank = 64;

struct TensorType {
  DType dtype = DType::f32;
  Shape shape;

  int rank() const { return static_cast<int>(shape.size()); }
  friend bool operator==(const TensorType& a, const TensorType& b) {
    return a.dtype == b.dtype && a.shape == b.shape;
  }
};

// "f32[N, 4]"; a scalar is "f32[]".
inline std::string to_string(const TensorType& type) {
  return std::string(name(type.dtype)) + to_string(type.shape);
}

}  // namespace weir
