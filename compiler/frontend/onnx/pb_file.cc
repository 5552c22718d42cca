#include "compiler/frontend/onnx/pb_file.h"

#include <limits>

#include <fmt/format.h>
#include <onnx/onnx_pb.h>

#include "compiler/frontend/onnx/tensor_proto.h"
#include "compiler/frontend/onnx/unsupported.h"

namespace weir {

namespace {

Tensor read(const FileBytes& file, bool uint16_is_bf16) {
  if (file.bytes.size() > static_cast<std::size_t>(std::numeric_limits<int>::max()))
    file.refuse("an ONNX tensor file has at most 2 GiB");
  auto proto = std::make_shared<onnx::TensorProto>();
  if (!proto->ParseFromArray(file.bytes.data(), static_cast<int>(file.bytes.size())))
    file.refuse("this is no ONNX tensor, or one that is cut off");
  if (!proto->has_data_type())
    file.refuse("this is no ONNX tensor: it does not say what type its elements have");
  if (uint16_is_bf16 && proto->data_type() == onnx::TensorProto::UINT16)
    proto->set_data_type(onnx::TensorProto::BFLOAT16);
  Location place(std::make_shared<const std::string>(file.name), 0, 0);
  try {
    return onnx_format::tensor_of(*proto, {}, proto);
  } catch (const Unsupported& error) {
    throw Unsupported(place, error.diagnostic().message);
  } catch (const Error& error) {
    throw Error(place, fmt::format("the tensor is wrong: {}", error.diagnostic().message));
  }
}

}  // namespace

Tensor read_pb(const FileBytes& file) { return read(file, false); }

Tensor read_pb_as_bf16(const FileBytes& file) { return read(file, true); }

void write_pb(const std::string& path, const Tensor& tensor, const std::string& name) {
  if (tensor.byte_count() > static_cast<std::size_t>(std::numeric_limits<int>::max()) - 4096)
    throw Error(fmt::format("{} is too large for an ONNX tensor file, which has at most 2 GiB",
                            to_string(tensor.dtype(), tensor.sizes())));
  write_file(path, {onnx_format::proto_of(tensor, name).SerializeAsString()});
}

}  // namespace weir
