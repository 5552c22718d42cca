// Small tensors whose elements are known while a model is loaded, and the graphs that compute them.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "compiler/frontend/onnx/known_scalar.h"
#include "ir/graph.h"
#include "ir/tensor.h"

namespace weir::onnx_format {

struct KnownTensor {
  DType dtype = DType::i64;
  Tensor::Sizes sizes;
  std::vector<KnownScalar> elements;  // row-major

  TensorType type() const;
  bool is_complete() const;  // every element is known
};

// Tensors of more elements are computed when the model runs.
inline constexpr std::int64_t kLargestKnown = 256;

// A list of dimensions, as i64.
KnownTensor known_list(const Shape& dims);
KnownTensor known_tensor(const Tensor& tensor);
// The elements as numbers, if all of them are.
std::optional<Tensor> as_tensor(const KnownTensor& known);

// The outputs of a graph for known inputs, in the order of the graph's: an interpreter whose
// elements may be polynomials, or not known. It reads the ops' declarations, so it knows every op.
// Nothing if some value of the graph is too large to be looked at.
std::optional<std::vector<KnownTensor>> evaluate(const Graph& graph,
                                                 std::vector<KnownTensor> inputs);

}  // namespace weir::onnx_format
