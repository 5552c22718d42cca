#include "compiler/frontend/onnx/onnx_file.h"

#include <filesystem>

#include "compiler/frontend/onnx/importer.h"
#include "compiler/frontend/onnx/model_proto.h"

namespace weir {

Model load_onnx(const std::string& path, const OnnxOptions& options) {
  return read_onnx(map_file(path), std::filesystem::path(path).parent_path().string(), options);
}

Model read_onnx(const FileBytes& file, const std::string& folder, const OnnxOptions& options) {
  auto [model, memory] = onnx_format::parse_model(file, options.limits);
  return onnx_format::import_model(std::move(model), file, folder, memory, options);
}

bool is_onnx(const FileBytes& file) {
  constexpr unsigned char kVersionField = 0x08;
  return std::filesystem::path(file.name).extension() == ".onnx" ||
         (!file.bytes.empty() && file.bytes.front() == kVersionField);
}

}  // namespace weir
