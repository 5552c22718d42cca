// Functions that a model declares: what calls one, and attributes in its body that the call gives.
#pragma once

#include <map>
#include <string>

namespace onnx {
class AttributeProto;
class NodeProto;
}  // namespace onnx

namespace weir::onnx_format {

// What a node says to call a function.
std::string function_key(const std::string& domain, const std::string& name,
                         const std::string& overload);

// By name.
using Arguments = std::map<std::string, const onnx::AttributeProto*>;

// Whether an attribute of the node, or of nodes within it, is to be given by a call.
bool refers_to_arguments(const onnx::NodeProto& node);

// Puts the arguments of a call where the body names them; an attribute whose argument is not given
// is left out.
void substitute(onnx::NodeProto& node, const Arguments& arguments);

}  // namespace weir::onnx_format
