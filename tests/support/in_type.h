// A tensor's elements in another type.
#pragma once

#include "ir/scalar/constant.h"
#include "ir/tensor.h"

namespace weir {

inline Tensor in_type(const Tensor& tensor, DType type) {
  Tensor result(type, tensor.sizes());
  for (std::int64_t i = 0; i < tensor.element_count(); ++i)
    result.set_bits(i, scalar::bits_of(type, scalar::to_double(tensor.dtype(), tensor.bits(i))));
  return result;
}

}  // namespace weir
