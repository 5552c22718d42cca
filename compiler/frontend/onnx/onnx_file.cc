#include "compiler/frontend/onnx/onnx_file.h"

#include <filesystem>
#include <limits>

#include <fmt/format.h>
#include <onnx/onnx_pb.h>

#include "compiler/frontend/onnx/importer.h"
#include "compiler/frontend/onnx/wire_scan.h"

namespace weir {

Model load_onnx(const std::string& path, const OnnxOptions& options) {
  return read_onnx(map_file(path), std::filesystem::path(path).parent_path().string(), options);
}

Model read_onnx(const FileBytes& file, const std::string& folder, const OnnxOptions& options) {
  if (file.bytes.size() > static_cast<std::size_t>(std::numeric_limits<int>::max()))
    file.refuse("an ONNX file has at most 2 GiB; larger weights go into files beside it");
  onnx_format::WireScan scan = onnx_format::scan_model(file);
  options.limits.check_nodes(file, scan.nodes);
  options.limits.check_memory(file, scan.memory);
  auto model = std::make_shared<onnx::ModelProto>();
  if (!model->ParseFromArray(file.bytes.data(), static_cast<int>(file.bytes.size())))
    file.refuse("this is no ONNX model, or one that is cut off");
  return onnx_format::import_model(std::move(model), file, folder, scan.memory, options);
}

bool is_onnx(const FileBytes& file) {
  constexpr unsigned char kVersionField = 0x08;
  return std::filesystem::path(file.name).extension() == ".onnx" ||
         (!file.bytes.empty() && file.bytes.front() == kVersionField);
}

}  // namespace weir
