// The order in which the nodes of an ONNX graph are converted.
#pragma once

#include <string>
#include <vector>

#include <google/protobuf/repeated_ptr_field.h>

#include "compiler/frontend/onnx/imported_value.h"

namespace onnx {
class GraphProto;
class NodeProto;
}  // namespace onnx

namespace weir::onnx_format {

using NodeList = google::protobuf::RepeatedPtrField<onnx::NodeProto>;

// The positions of the nodes, each after those whose outputs it reads, otherwise as listed. `scope`
// has the values that are there before any node.
//
// Error, with a sentence that names the node, if a name has two origins, if an input has none, or
// if nodes read each other in a circle.
std::vector<int> node_order(const NodeList& nodes, const Scope& scope);

// "Gemm "fc1"", or "Gemm (node 3)" for a node without a name: as in messages and locations.
std::string node_name(const onnx::NodeProto& node, int position);

}  // namespace weir::onnx_format
