#include "compiler/frontend/tensor_header.h"

namespace weir {

TensorHeader header_in_memory(DType dtype, const Tensor::Sizes& sizes) {
  return {{},
          {dtype, {sizes.begin(), sizes.end()}},
          checked_element_count(dtype, sizes) * byte_size(dtype)};
}

}  // namespace weir
