// Models on disk: a .weir file with the values of its params in a .safetensors file beside it, or
// an ONNX file, which has its own.
#pragma once

#include <optional>
#include <string>

#include "compiler/frontend/load_limits.h"
#include "ir/builder.h"
#include "ir/graph.h"

namespace weir {

// Reads `path` and the values of the graph's params: from `weights`, or else from the file of the
// same stem that ends in .safetensors. A graph without params needs no such file. The weights are
// mapped, not copied, and are those of the graph's params only. Of an ONNX file, `weights` replaces
// the values of its params.
//
// Error for whatever is wrong in either file, and if params are missing or have another type than
// the graph declares: all of them in one message.
Model load_model(const std::string& path, const std::optional<std::string>& weights = std::nullopt,
                 const LoadLimits& limits = {});

// The graph alone, whose params need not have values anywhere.
Graph load_graph(const std::string& path, const LoadLimits& limits = {});

}  // namespace weir
