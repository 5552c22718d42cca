// A look at an ONNX file before it is read: how much would it ask for?
//
// A few bytes of a protobuf message may stand for hundreds in memory, so what a file of others will
// take is found first. The scan walks the messages where they lie, follows the fields that hold
// messages and skips the others; it takes no memory and is linear in the file's size.
#pragma once

#include <cstdint>

#include "compiler/frontend/file.h"

namespace weir::onnx_format {

struct WireScan {
  std::int64_t nodes = 0;   // NodeProtos, at any depth
  std::int64_t memory = 0;  // bytes that the parsed messages take, about
};

// Error if the file is cut off, is no protobuf message, or nests graphs deeper than a model does.
WireScan scan_model(const FileBytes& file);

}  // namespace weir::onnx_format
