// Models on disk: a .weir file, and the values of its params in a .safetensors file beside it.
#pragma once

#include <optional>
#include <string>

#include "ir/builder.h"

namespace weir {

// Reads `path` and the values of the graph's params: from `weights`, or else from the file of the
// same stem that ends in .safetensors. A graph without params needs no such file. The weights are
// mapped, not copied, and are those of the graph's params only.
//
// Error for whatever is wrong in either file, and if params are missing or have another type than
// the graph declares: all of them in one message.
Model load_model(const std::string& path, const std::optional<std::string>& weights = std::nullopt);

}  // namespace weir
