// Tensors for people: aligned, and wrapped at 80 columns.
#pragma once

#include <string>
#include <string_view>

#include "ir/tensor.h"

namespace weir::tool {

// "%y: f32[1, 4] = [[-0.01, 2.0, -0.005, 3.0]]" with a line end. A tensor of one row that fits
// stands on one line; otherwise each row has a line or more, with the numbers aligned at the
// decimal point. Numbers are in the shortest form that reads back as the same number. Of more than
// 1000 elements, the first three and the last three of each dimension are shown.
std::string output_text(std::string_view name, const Tensor& tensor);

// The place of an element: "[0, 3]".
std::string index_text(const Tensor& tensor, std::int64_t position);

}  // namespace weir::tool
