// What the tests of the frontend share: folders, messages of errors, tensors, memory taken.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "ir/tensor.h"
#include "tests/support/error_of.h"
#include "tests/support/temporary_folder.h"

namespace weir::test {

// What the files in tests/data/tensors hold, by the formulas in make.py there.
inline const std::string made_by_numpy = WEIR_SOURCE_DIR "/tests/data/tensors/";
Tensor by_formula(DType dtype, Tensor::Sizes sizes);

// As the program gzip makes it.
std::string gzip(std::string content);

// The most memory from operator new that is live at one time during the action, beyond what was
// before.
std::size_t peak_memory_of(const std::function<void()>& action);

}  // namespace weir::test
