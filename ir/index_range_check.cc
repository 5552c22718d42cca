#include "ir/index_range_check.h"

#include <fmt/format.h>

#include "ir/scalar/constant.h"

namespace weir {

std::string IndexFault::message() const {
  return fmt::format("index {} is out of range [{}, {})", index, from_end ? -size : 0, size);
}

std::optional<IndexFault> find_index_fault(const Tensor& indices,
                                           std::span<const std::int64_t> sizes, bool from_end) {
  from_end = from_end && is_signed(indices.dtype());
  for (std::int64_t i = 0; i < indices.element_count(); ++i) {
    std::int64_t index = scalar::to_integer(indices.dtype(), indices.bits(i));
    std::int64_t size = sizes[static_cast<std::size_t>(i) % sizes.size()];
    if (index < (from_end ? -size : 0) || index >= size)
      return IndexFault{i, index, size, from_end};
  }
  return std::nullopt;
}

}  // namespace weir
