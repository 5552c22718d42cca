// ONNX models: a file of somebody else's -> graph and weights.
//
// The way: bytes -> ModelProto -> the nodes in an order in which each follows what it reads -> one
// converter a node -> weir::Model. Initializers that nodes compute with become params of the same
// name; what shapes, axes and the like are made of is worked out while the model is loaded. Every
// node keeps the file and the ONNX node's name as its location.
//
// Nothing in the file is believed. An Error says which node and what would be right; what Weir does
// not have is reported all at once, as an Unsupported.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "compiler/frontend/file.h"
#include "compiler/frontend/load_limits.h"
#include "compiler/frontend/onnx/unsupported.h"
#include "ir/builder.h"

namespace weir {

struct OnnxOptions {
  LoadLimits limits;
  // Values that inputs will have, by name. An input that decides a shape or the like becomes a
  // constant of that value, and is no input of the graph; the others stay inputs.
  std::map<std::string, Tensor, std::less<>> given;
  // Gets the paths of the files beside the model that are read.
  std::vector<std::string>* files_read = nullptr;
  // Told of what is read although it may mean something else; null: standard error is.
  std::function<void(const std::string&)> warn = nullptr;
};

// Error for everything that is not a model that Weir can compute.
Model load_onnx(const std::string& path, const OnnxOptions& options = {});
// The same from memory; external data lies in `folder`.
Model read_onnx(const FileBytes& file, const std::string& folder, const OnnxOptions& options = {});

// Whether the file is an ONNX model rather than text: by its name, or by its first byte, with which
// the version of ONNX's format begins and no text does.
bool is_onnx(const FileBytes& file);

}  // namespace weir
