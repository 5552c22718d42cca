// A tensor of a file as its header has it, before memory is taken for its elements.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "ir/tensor.h"

namespace weir {

struct TensorHeader {
  std::string name;  // empty where the format has none
  TensorType type;
  std::int64_t memory = 0;  // bytes that reading takes; 0 if the file's own are used
};

// Of a tensor that takes memory of its own. Error if it has too many elements.
TensorHeader header_in_memory(DType dtype, const Tensor::Sizes& sizes);

// Throws the Error to be said of a tensor that must not be read.
using TensorCheck = std::function<void(const TensorHeader&)>;
// Whether the tensor of that name is to be read.
using WantedTensor = std::function<bool(std::string_view name)>;

}  // namespace weir
