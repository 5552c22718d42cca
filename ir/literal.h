// The parts of the text form that stand inside statements: dimensions, types, attribute values,
// tensors.
//
//   type    f32[N, 4*N + 1]          dimensions are polynomials in symbols
//   value   -3, 0.05, inf, true, "text", f32, [0, 1], [N, 4], f32[2, 2] [[1.0, 2.0], [3.0, inf]]
//
// Nesting is at most kMaximumRank deep. A tensor's memory is taken only after the rest of the text
// has proved long enough for its elements. Each function throws Error at the token that is wrong.
#pragma once

#include <string_view>

#include "ir/attribute.h"
#include "ir/lexer.h"
#include "ir/tensor.h"
#include "ir/type.h"

namespace weir::text {

TensorType parse_type(Lexer& lexer);
Attribute parse_attribute(Lexer& lexer);

}  // namespace weir::text
