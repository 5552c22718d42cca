// The tensors that `weir run` feeds a model with.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "ir/builder.h"
#include "ir/interpreter.h"

namespace weir::tool {

// The values of `--input NAME=VALUE`, for which `--dim SYMBOL=SIZE` may bind symbols. Values that
// have a size of their own, files and literals, come first; the symbols that they bind hold for
// `random:SEED`, `zeros` and `ones`. Error if an input is missing, given twice or unknown, if a
// symbol is unknown, if a value does not fit, or if one that is made up would take more bytes than
// `most`.
Inputs read_inputs(const Model& model, std::span<const std::string> values,
                   std::span<const std::string> dims, std::int64_t most);

// The files among such values.
std::vector<std::string> files_of_inputs(std::span<const std::string> values);

}  // namespace weir::tool
