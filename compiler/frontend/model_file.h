// Models on disk: a .weir file with the values of its params in a .safetensors file beside it, or
// an ONNX file, which has its own.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "compiler/frontend/load_limits.h"
#include "ir/builder.h"
#include "ir/graph.h"

namespace weir {

// Reads `path` and the values of the graph's params: from `weights`, a file of tensors by name
// (compiler/frontend/tensor_file.h), or else from the file of the same stem that ends in
// .safetensors. A graph without params needs no such file. The weights are mapped, not copied,
// where the format allows, and are those of the graph's params only. Of an ONNX file, `weights`
// replaces the values of its params. `files_read` gets the paths of all files that are read.
//
// Error for whatever is wrong in either file, and if params are missing or have another type than
// the graph declares: all of them in one message.
Model load_model(const std::string& path, const std::optional<std::string>& weights = std::nullopt,
                 const LoadLimits& limits = {}, std::vector<std::string>* files_read = nullptr);

// Likewise of a model that is to be trained: one that has values nowhere, no file being given and
// none beside it, is read without.
Model load_model_to_train(const std::string& path,
                          const std::optional<std::string>& weights = std::nullopt,
                          const LoadLimits& limits = {},
                          std::vector<std::string>* files_read = nullptr);

// The graph alone, whose params need not have values anywhere.
Graph load_graph(const std::string& path, const LoadLimits& limits = {});

}  // namespace weir
