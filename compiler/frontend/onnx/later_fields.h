// Fields of ONNX's messages that the schema at hand may be too old for.
#pragma once

#include <string>
#include <vector>

namespace onnx {
class AttributeProto;
class FunctionProto;
class NodeProto;
}  // namespace onnx

namespace weir::onnx_format {

// FunctionProto.attribute_proto: attributes with default values.
std::vector<onnx::AttributeProto> default_attributes(const onnx::FunctionProto& function);
// The overload of a function that is meant, or that this is; empty for the only one.
std::string overload(const onnx::NodeProto& node);
std::string overload(const onnx::FunctionProto& function);

}  // namespace weir::onnx_format
