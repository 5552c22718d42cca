#include "compiler/frontend/onnx/model_proto.h"

#include <limits>

#include <onnx/onnx_pb.h>

#include "compiler/frontend/onnx/sparse_tensor.h"
#include "compiler/frontend/onnx/wire_scan.h"

namespace weir::onnx_format {

ParsedModel parse_model(const FileBytes& file, const LoadLimits& limits) {
  if (file.bytes.size() > static_cast<std::size_t>(std::numeric_limits<int>::max()))
    file.refuse("an ONNX file has at most 2 GiB; larger weights go into files beside it");
  WireScan scan = scan_model(file);
  limits.check_nodes(file, scan.nodes);
  limits.check_memory(file, scan.memory);
  ParsedModel model{std::make_shared<onnx::ModelProto>(), scan.memory};
  if (!model.proto->ParseFromArray(file.bytes.data(), static_cast<int>(file.bytes.size())))
    file.refuse("this is no ONNX model, or one that is cut off");
  if (__builtin_add_overflow(model.memory, dense_bytes(*model.proto), &model.memory))
    model.memory = std::numeric_limits<std::int64_t>::max();
  limits.check_memory(file, model.memory);
  return model;
}

}  // namespace weir::onnx_format
