// From a ModelProto to a Model.
#pragma once

#include <memory>
#include <string>

#include "compiler/frontend/onnx/onnx_file.h"

namespace onnx {
class ModelProto;
}

namespace weir::onnx_format {

// `file` is the model's name in messages, `folder` where its external data lies. The raw bytes of
// its initializers are not copied: the weights keep them alive.
Model import_model(std::shared_ptr<const onnx::ModelProto> model, const std::string& file,
                   const std::string& folder, const OnnxOptions& options);

}  // namespace weir::onnx_format
