// ONNX models built in code.
#pragma once

#include <string>
#include <vector>

#include <onnx/onnx_pb.h>

#include "compiler/frontend/file.h"
#include "compiler/frontend/onnx/onnx_file.h"
#include "compiler/frontend/onnx/tensor_proto.h"

namespace weir::test {

// A dimension: a size, or a name.
struct OnnxDim {
  OnnxDim(int dim_size) : size(dim_size) {}                    // NOLINT
  OnnxDim(const char* dim_name) : size(-1), name(dim_name) {}  // NOLINT
  std::int64_t size;
  std::string name;
};

class OnnxModel {
 public:
  explicit OnnxModel(int opset = 17) {
    proto_.set_ir_version(8);
    auto* import = proto_.add_opset_import();
    import->set_version(opset);
    graph().set_name("test");
  }

  onnx::ModelProto& proto() { return proto_; }
  onnx::GraphProto& graph() { return *proto_.mutable_graph(); }

  OnnxModel& input(const std::string& name, std::vector<OnnxDim> dims,
                   onnx::TensorProto::DataType type = onnx::TensorProto::FLOAT) {
    auto* info = graph().add_input();
    info->set_name(name);
    auto* tensor = info->mutable_type()->mutable_tensor_type();
    tensor->set_elem_type(type);
    auto* shape = tensor->mutable_shape();
    for (const OnnxDim& dim : dims) {
      auto* entry = shape->add_dim();
      if (dim.size >= 0) {
        entry->set_dim_value(dim.size);
      } else if (!dim.name.empty()) {
        entry->set_dim_param(dim.name);
      }
    }
    return *this;
  }
  OnnxModel& initializer(const std::string& name, const Tensor& value) {
    *graph().add_initializer() = onnx_format::proto_of(value, name);
    return *this;
  }
  OnnxModel& output(const std::string& name) {
    graph().add_output()->set_name(name);
    return *this;
  }
  onnx::NodeProto& node(const std::string& op, std::vector<std::string> inputs,
                        std::vector<std::string> outputs, const std::string& name = {}) {
    auto* node = graph().add_node();
    node->set_op_type(op);
    node->set_name(name);
    for (const std::string& input : inputs) node->add_input(input);
    for (const std::string& output : outputs) node->add_output(output);
    return *node;
  }

  Model load(const OnnxOptions& options = {}) const {
    return read_onnx(memory_file(proto_.SerializeAsString(), "test.onnx"), ".", options);
  }

 private:
  onnx::ModelProto proto_;
};

inline onnx::AttributeProto& attribute(onnx::NodeProto& node, const std::string& name,
                                       onnx::AttributeProto::AttributeType type) {
  auto* attribute = node.add_attribute();
  attribute->set_name(name);
  attribute->set_type(type);
  return *attribute;
}
inline void set_float(onnx::NodeProto& node, const std::string& name, float value) {
  attribute(node, name, onnx::AttributeProto::FLOAT).set_f(value);
}
inline void set_int(onnx::NodeProto& node, const std::string& name, std::int64_t value) {
  attribute(node, name, onnx::AttributeProto::INT).set_i(value);
}
inline void set_ints(onnx::NodeProto& node, const std::string& name,
                     std::vector<std::int64_t> values) {
  auto& list = attribute(node, name, onnx::AttributeProto::INTS);
  for (std::int64_t value : values) list.add_ints(value);
}
inline void set_text(onnx::NodeProto& node, const std::string& name, const std::string& value) {
  attribute(node, name, onnx::AttributeProto::STRING).set_s(value);
}

}  // namespace weir::test
