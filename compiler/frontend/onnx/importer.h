// From a ModelProto to a Model.
#pragma once

#include <memory>
#include <string>

#include "compiler/frontend/onnx/onnx_file.h"

namespace onnx {
class ModelProto;
}

namespace weir::onnx_format {

// `file` is for messages; external data lies in `folder`. `memory` bytes are taken already. The raw
// bytes of initializers are not copied: the weights keep the model alive.
Model import_model(std::shared_ptr<const onnx::ModelProto> model, const FileBytes& file,
                   const std::string& folder, std::int64_t memory, const OnnxOptions& options);

}  // namespace weir::onnx_format
