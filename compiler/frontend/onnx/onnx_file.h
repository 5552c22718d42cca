// ONNX models: a file of somebody else's -> graph and weights.
//
// The way: bytes -> ModelProto -> the nodes in an order in which each follows what it reads -> one
// converter a node -> weir::Model. Initializers that nodes compute with become params of the same
// name; what shapes, axes and the like are made of is worked out while the model is loaded. Every
// node keeps the file and the ONNX node's name as its location.
//
// Nothing in the file is believed. An Error says which node and what would be right; ops that Weir
// does not have are reported together, as an Unsupported.
#pragma once

#include <cstdint>
#include <string>

#include "compiler/frontend/file.h"
#include "compiler/frontend/onnx/unsupported.h"
#include "ir/builder.h"

namespace weir {

// What a file may ask for at most, before it is refused.
struct LoadLimits {
  std::int64_t nodes = 1'000'000;   // of the model, with what functions stand for
  std::int64_t memory = INT64_MAX;  // bytes of the file and of the weights
};

// Error for everything that is not a model that Weir can compute.
Model load_onnx(const std::string& path, const LoadLimits& limits = {});
// The same from memory; `folder` is where external data lies.
Model read_onnx(const FileBytes& file, const std::string& folder, const LoadLimits& limits = {});

// Whether the file is an ONNX model rather than text: by its name, or by its first byte, with which
// the version of ONNX's format begins and no text does.
bool is_onnx(const FileBytes& file);

}  // namespace weir
