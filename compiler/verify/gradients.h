// Comparing a model's gradients with those of a test folder.
#pragma once

#include "compiler/frontend/onnx/test_folder.h"
#include "compiler/verify/comparison.h"

namespace weir::verification {

// The folder has gradients. Throws Unsupported if an op on the way has none.
// One that is not near its reference may be right all the same; see gradient_in_double.h.
void verify_gradients(const TestFolder& folder, const VerifyOptions& options,
                      Comparison& comparison);

}  // namespace weir::verification
