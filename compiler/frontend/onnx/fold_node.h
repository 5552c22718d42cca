// Computes a node while the model is loaded.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "compiler/frontend/onnx/converters.h"
#include "compiler/frontend/onnx/imported_value.h"

namespace weir::onnx_format {

// Whether the inputs are such that a node of them is worth computing: small, with elements that are
// known, and not weights alone.
bool can_fold(std::span<const ValueRef> inputs);

// The results, as the node's converter and the ops' meanings give them; null where an output is not
// wanted. They may hold elements that are not known. Nothing if the node cannot be computed, for
// whatever reason: its ordinary conversion then says what is wrong.
std::optional<std::vector<ValueRef>> fold_node(const onnx::NodeProto& proto, int opset,
                                               const ConvertFunction& convert,
                                               std::span<const ValueRef> inputs);

}  // namespace weir::onnx_format
