#include "compiler/frontend/onnx/onnx_file.h"

#include <filesystem>
#include <limits>

#include <fmt/format.h>
#include <onnx/onnx_pb.h>

#include "compiler/frontend/onnx/importer.h"

namespace weir {

Model load_onnx(const std::string& path, const LoadLimits& limits) {
  return read_onnx(map_file(path), std::filesystem::path(path).parent_path().string(), limits);
}

Model read_onnx(const FileBytes& file, const std::string& folder, const LoadLimits& limits) {
  if (file.bytes.size() > static_cast<std::size_t>(std::numeric_limits<int>::max()))
    file.refuse("an ONNX file has at most 2 GiB; larger weights go into files beside it");
  auto model = std::make_shared<onnx::ModelProto>();
  if (!model->ParseFromArray(file.bytes.data(), static_cast<int>(file.bytes.size())))
    file.refuse("this is no ONNX model, or one that is cut off");
  return onnx_format::import_model(std::move(model), file.name, folder, limits);
}

bool is_onnx(const FileBytes& file) {
  constexpr unsigned char kVersionField = 0x08;
  return std::filesystem::path(file.name).extension() == ".onnx" ||
         (!file.bytes.empty() && file.bytes.front() == kVersionField);
}

}  // namespace weir
