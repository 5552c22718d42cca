// The functions that are proven, each with what it ought to give: its exact value and derivatives,
// in a wider type, by the textbook's formula.
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tests/numerics/wide.h"

namespace weir::numerics {

// An exact result. Errors are counted in units in the last place of it, or of `unit` if that is
// greater: near a root of a sum, the greatest term of the sum.
template <class W>
struct Exact {
  W value = 0;
  W unit = 0;
};

// The value, and the derivative in each operand. A function of one operand ignores y.
template <class W>
using Reference = void (*)(W x, W y, Exact<W>* results);

// Largest errors in ulp, on a target with FMA and on one without.
struct Bounds {
  double with_fma;
  double without;
};

enum class Direction { none, increasing, decreasing };

struct Function {
  std::string_view name;
  std::string_view text;  // of the op, on %t, and on %y if there are two operands
  Reference<double> of_f32;
  Reference<Quad> of_f64;
  Bounds f32, f64;      // of the value
  Bounds derivative;    // in both types
  Direction direction;  // monotone
  bool steps_at_zero;   // only on either side of 0, not across it

  int operands() const { return text.find("%y") == std::string_view::npos ? 1 : 2; }
  int results() const { return operands() + 1; }
  const Bounds& bounds(bool is_f32, int result) const {
    return result >= 1 ? derivative : is_f32 ? f32 : f64;
  }
  // "exp", "exp'"; of two operands "pow' x", "pow' y"
  std::string name_of(int result) const;
};

std::span<const Function> functions();
const Function* find_function(std::string_view name);

}  // namespace weir::numerics
