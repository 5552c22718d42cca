// One element of a tensor as text: a decimal number, nan, inf, -inf, true or false.
#pragma once

#include <string>
#include <string_view>

#include "ir/scalar/constant.h"

namespace weir {

// The element, or what is wrong with the text: "'ten' is not a number".
struct ElementText {
  scalar::Bits bits;
  std::string fault;  // empty if there is none
};

// Rounds once, to the element type. The type must be computable. Numbers too large or too small for
// it are faults, not inf or 0.
ElementText parse_element(std::string_view text, DType dtype);

}  // namespace weir
