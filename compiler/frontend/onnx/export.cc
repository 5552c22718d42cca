#include "compiler/frontend/onnx/export.h"

#include <array>
#include <filesystem>
#include <limits>
#include <vector>

#include <fmt/format.h>
#include <onnx/onnx_pb.h>

#include "compiler/frontend/file.h"
#include "compiler/frontend/onnx/element_type.h"
#include "compiler/frontend/onnx/export_graph.h"
#include "compiler/frontend/onnx/tensor_proto.h"
#include "ir/escape.h"
#include "ir/onnx_nodes.h"

namespace weir {
namespace {

// Of the files that opset 17 came with.
constexpr int kIrVersion = 8;
// Readers map the file, which takes whole pages.
constexpr std::size_t kAlignment = 4096;

// The tensors of an external data file in order, each at a multiple of kAlignment.
struct ExternalData {
  std::string location;  // its name, relative to the model's folder
  std::vector<std::string_view> parts;
  std::size_t size = 0;

  void add(const Tensor& tensor, onnx::TensorProto& out) {
    static constexpr std::array<char, kAlignment> kPadding{};
    std::size_t padding = (kAlignment - size % kAlignment) % kAlignment;
    parts.emplace_back(kPadding.data(), padding);
    parts.push_back(bytes_of(tensor));
    out.set_data_type(onnx_format::onnx_type_of(tensor.dtype()));
    for (std::int64_t length : tensor.sizes()) out.add_dims(length);
    out.set_data_location(onnx::TensorProto::EXTERNAL);
    auto entry = [&out](std::string key, std::string value) {
      onnx::StringStringEntryProto& item = *out.add_external_data();
      item.set_key(std::move(key));
      item.set_value(std::move(value));
    };
    entry("location", location);
    entry("offset", fmt::format("{}", size + padding));
    entry("length", fmt::format("{}", tensor.byte_count()));
    size += padding + tensor.byte_count();
  }
};

// Null for state without a value: ONNX takes it as an input.
const Tensor* value_of(const Model& model, ValueId param) {
  const Value& value = model.graph.value(param);
  auto found = model.weights.find(value.name);
  if (found == model.weights.end() && model.graph.is_updated(param)) return nullptr;
  if (found == model.weights.end())
    throw Error(value.location, fmt::format("the param {} has no value", value_name(value.name)));
  if (found->second.type() != value.type)
    throw Error(value.location, fmt::format("the param {} is declared as {}, and its value is {}",
                                            value_name(value.name), to_string(value.type),
                                            to_string(found->second.type())));
  return &found->second;
}

void write_initializers(const Model& model, ExternalData* external, onnx::GraphProto& out) {
  for (ValueId param : model.graph.params()) {
    const Tensor* value = value_of(model, param);
    if (value == nullptr) continue;
    const std::string& name = model.graph.value(param).name;
    onnx::TensorProto& tensor = *out.add_initializer();
    if (external && value->byte_count() >= kAlignment) {
      tensor.set_name(name);
      external->add(*value, tensor);
    } else {
      tensor = onnx_format::proto_of(*value, name);
    }
  }
}

std::string serialized(const Model& model, ExternalData* external) {
  onnx::ModelProto proto;
  proto.set_ir_version(kIrVersion);
  proto.set_producer_name(kOnnxProducer);
  proto.set_producer_version(WEIR_VERSION);
  proto.add_opset_import()->set_version(kOnnxOpset);
  onnx::GraphProto& graph = *proto.mutable_graph();
  write_graph(model.graph, graph);
  write_initializers(model, external, graph);
  if (proto.ByteSizeLong() > std::numeric_limits<int>::max())
    throw Error(fmt::format("as ONNX the model has {} bytes, and such a file holds at most {}",
                            proto.ByteSizeLong(), std::numeric_limits<int>::max()));
  return proto.SerializeAsString();
}

std::size_t weight_bytes(const Model& model) {
  std::size_t bytes = 0;
  for (ValueId param : model.graph.params())
    if (const Tensor* value = value_of(model, param)) bytes += value->byte_count();
  return bytes;
}

}  // namespace

std::string external_data_of(const std::string& path) { return path + ".data"; }

std::string export_onnx(const Model& model) { return serialized(model, nullptr); }

void write_onnx(const std::string& path, const Model& model, const OnnxExportOptions& options) {
  ExternalData external;
  std::string data_path = external_data_of(path);
  external.location = std::filesystem::path(data_path).filename().string();
  bool beside = weight_bytes(model) > options.inline_limit;
  std::string file = serialized(model, beside ? &external : nullptr);
  std::vector<std::string_view> content{file};
  std::vector<FileToWrite> files;
  if (!external.parts.empty()) files.push_back({data_path, external.parts});
  files.push_back({path, content});
  write_files(files);
}

}  // namespace weir
