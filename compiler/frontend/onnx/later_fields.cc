#include "compiler/frontend/onnx/later_fields.h"

#include <google/protobuf/unknown_field_set.h>
#include <onnx/onnx_pb.h>

namespace weir::onnx_format {
namespace {

// The values of a field of strings or messages among those that the parser did not know.
std::vector<std::string> values_of(const google::protobuf::UnknownFieldSet& unknown, int number) {
  std::vector<std::string> values;
  for (int i = 0; i < unknown.field_count(); ++i) {
    const google::protobuf::UnknownField& field = unknown.field(i);
    if (field.number() == number &&
        field.type() == google::protobuf::UnknownField::TYPE_LENGTH_DELIMITED)
      values.push_back(field.length_delimited());
  }
  return values;
}

std::string last_of(std::vector<std::string> values) {
  return values.empty() ? std::string() : std::move(values.back());
}

}  // namespace

std::vector<onnx::AttributeProto> default_attributes(const onnx::FunctionProto& function) {
  constexpr int kField = 11;
  std::vector<onnx::AttributeProto> attributes;
  for (const std::string& bytes : values_of(function.unknown_fields(), kField))
    attributes.emplace_back().ParseFromString(bytes);
  return attributes;
}

std::string overload(const onnx::NodeProto& node) {
  constexpr int kField = 8;
  return last_of(values_of(node.unknown_fields(), kField));
}

std::string overload(const onnx::FunctionProto& function) {
  constexpr int kField = 13;
  return last_of(values_of(function.unknown_fields(), kField));
}

}  // namespace weir::onnx_format
