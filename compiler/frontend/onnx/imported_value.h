// A value of an ONNX graph while the graph is imported.
//
// It enters the Weir graph only when a node there needs it: an initializer becomes a param, a small
// tensor of integers a constant, and what only shapes are made of never does.
#pragma once

#include <memory>
#include <string>

#include "ir/builder.h"
#include "ir/tensor.h"

namespace weir::onnx_format {

struct ImportedValue {
  TensorType type;
  Var var;                               // invalid while no node of the graph has needed it
  std::shared_ptr<const Tensor> tensor;  // the elements, where they are known
  std::string param_name;                // of known elements that are a param; else a constant
  Location location;                     // where it is declared
};

}  // namespace weir::onnx_format
