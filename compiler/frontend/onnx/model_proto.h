// The bytes of an ONNX file as a message, within limits.
#pragma once

#include <cstdint>
#include <memory>

#include "compiler/frontend/file.h"
#include "compiler/frontend/load_limits.h"

namespace onnx {
class ModelProto;
}

namespace weir::onnx_format {

struct ParsedModel {
  std::shared_ptr<onnx::ModelProto> proto;
  std::int64_t memory;  // bytes that it takes, about, with what sparse tensors become
};

// Error, before anything is taken, for a file that asks for more than the limits; and for one that
// is no model.
ParsedModel parse_model(const FileBytes& file, const LoadLimits& limits);

}  // namespace weir::onnx_format
