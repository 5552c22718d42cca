// The check of operands that hold indices (OpDef::index_operands): whether each element is within
// its size.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "ir/tensor.h"

namespace weir {

// An index that is out of range.
struct IndexFault {
  std::int64_t position;  // row-major, in the operand
  std::int64_t index;
  std::int64_t size;
  bool from_end;  // whether negative ones are in range

  // "index 12 is out of range [-5, 5)"
  std::string message() const;
};

// The first element, in row-major order, that is not within its size. `sizes` has one size for all
// elements, or one for each place along the last axis; negative indices of a signed type are within
// it where they count from the end.
std::optional<IndexFault> find_index_fault(const Tensor& indices,
                                           std::span<const std::int64_t> sizes, bool from_end);

}  // namespace weir
