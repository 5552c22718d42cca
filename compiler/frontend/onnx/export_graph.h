// A graph as ONNX nodes of opset 17, in ONNX's own domain.
//
// A node becomes, in this order of choice:
//   - what its op's declaration writes (OpDef::to_onnx), where it accepts the instance;
//   - where there is no such rule, the one ONNX node that the declaration names (OpDef::onnx), if
//     that means exactly the same;
//   - the nodes of its body, if it is composite;
//   - the nodes of its scalar expression, if it is pointwise (export_expression.h);
//   - a constant.
// So gradient graphs are exported like any other.
//
// Names of inputs, params, outputs and values are kept; where a value and another output share one,
// which ONNX does not have, the value gets a number appended. Params are not written here: they are
// names that the nodes refer to.
//
// ONNX has no state. A param that is updated is an input of the ONNX graph, after the graph's own,
// and its next value is an output: of the name that the output was given, else of the param's with
// "_next" appended, and a number where that is taken.
#pragma once

#include <onnx/onnx_pb.h>

#include "ir/graph.h"

namespace weir {

// Error, at its node, for what cannot be exported, and for a graph that cannot be compiled
// (check_graph).
void write_graph(const Graph& graph, onnx::GraphProto& out);

}  // namespace weir
