// What an op's declaration writes to where it stands for several ONNX nodes, or for one whose
// inputs are more than the op's operands: shapes, axes, limits.
//
// Values are known by name. The frontend implements this on an ONNX graph; nothing here knows of
// files. Nodes belong to opset kOnnxOpset, and to ONNX's own domain.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ir/attribute.h"

namespace weir {

// The opset that graphs are written in.
inline constexpr int kOnnxOpset = 17;

// The name of a tensor in an ONNX graph. An empty one stands for an optional input left out.
using OnnxValue = std::string;

class OnnxNodes {
 public:
  virtual ~OnnxNodes() = default;

  // Adds a node. Attributes have ONNX's names and become ONNX's kinds: a bool an integer, an
  // element type its number, a double a float.
  virtual std::vector<OnnxValue> add_all(std::string_view type, std::vector<OnnxValue> inputs,
                                         const Attributes& attributes, std::size_t results) = 0;
  // One of one result.
  OnnxValue add(std::string_view type, std::vector<OnnxValue> inputs,
                const Attributes& attributes = {});
  // A constant, shared by all who ask for it.
  virtual OnnxValue constant(const Tensor& value) = 0;
  // Dimensions as a tensor i64[n], also shared: a constant, or computed from the sizes of the
  // graph's inputs.
  virtual OnnxValue sizes(const Shape& shape) = 0;

  OnnxValue integers(std::span<const std::int64_t> values);
  OnnxValue number(DType type, double value);  // rank 0
};

}  // namespace weir
