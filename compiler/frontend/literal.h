// Tensors written as text: "[[-1.0, 2.0], [0.5, nan]]", "3", "[true, false]".
//
// Lists are separated by commas; one comma may follow the last element. Numbers are decimal, with
// nan, inf and -inf for floats, and are rounded once, to the tensor's element type. What
// Tensor::to_string prints reads back as the same tensor.
#pragma once

#include <string_view>

#include "ir/tensor.h"

namespace weir {

// The sizes follow from the text. Where `expected` is given they have to agree with it, symbols
// taking any size, and it completes an empty list: "[]" is a tensor of [0, 4]. Error with a caret
// otherwise, for ragged lists, and for numbers that do not fit the element type.
Tensor parse_literal(std::string_view text, DType dtype, const Shape* expected = nullptr);

}  // namespace weir
