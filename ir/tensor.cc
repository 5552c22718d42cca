#include "ir/tensor.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <utility>

#include <fmt/format.h>

#include "runtime/workspace.h"

namespace weir {
namespace {

// Zeros, in huge pages where they are many. Fresh pages of these stay untouched until they are
// written.
std::shared_ptr<void> allocate(std::size_t bytes) {
  auto block = std::make_shared<Workspace>();
  void* memory = block->reserve(bytes);
  if (!block->is_mapped()) std::memset(memory, 0, bytes);
  return {std::move(block), memory};
}

void append_nested(const Tensor& tensor, std::string& text, std::size_t dimension,
                   std::int64_t& position, std::int64_t stride, bool elide, std::int64_t edge) {
  if (dimension == tensor.sizes().size()) {
    text += scalar::to_string(tensor.dtype(), tensor.bits(position));
    ++position;
    return;
  }
  std::int64_t size = tensor.sizes()[dimension];
  std::int64_t inner = size == 0 ? 0 : stride / size;
  text += "[";
  for (std::int64_t i = 0; i < size; ++i) {
    if (i > 0) text += ", ";
    if (elide && size > 2 * edge && i == edge) {
      text += "..., ";
      position += (size - 2 * edge) * inner;
      i = size - edge;
    }
    append_nested(tensor, text, dimension + 1, position, inner, elide, edge);
  }
  text += "]";
}

}  // namespace

std::int64_t checked_element_count(DType dtype, std::span<const std::int64_t> sizes) {
  std::int64_t count = 1;
  bool empty = false;
  for (std::int64_t size : sizes) {
    if (size < 0) throw Error(fmt::format("a size is negative: {}", to_string(dtype, sizes)));
    if (size == 0) {
      empty = true;
    } else if (__builtin_mul_overflow(count, size, &count)) {
      throw Error(fmt::format("{} has too many elements", to_string(dtype, sizes)));
    }
  }
  std::int64_t bytes;
  if (__builtin_mul_overflow(count, static_cast<std::int64_t>(byte_size(dtype)), &bytes))
    throw Error(fmt::format("{} has too many elements", to_string(dtype, sizes)));
  return empty ? 0 : count;
}

std::string to_string(DType dtype, std::span<const std::int64_t> sizes) {
  return fmt::format("{}[{}]", name(dtype), fmt::join(sizes, ", "));
}

Tensor::Tensor(DType dtype, Sizes sizes, std::shared_ptr<const void> owner, void* data)
    : dtype_(dtype),
      sizes_(std::move(sizes)),
      count_(checked_element_count(dtype, sizes_)),
      owner_(std::move(owner)),
      data_(data) {}

Tensor::Tensor(DType dtype, Sizes sizes) : Tensor(dtype, std::move(sizes), nullptr, nullptr) {
  std::shared_ptr<void> memory;
  try {
    memory = allocate(byte_count());
  } catch (const std::bad_alloc&) {
    throw Error(fmt::format("there is not enough memory for {}", weir::to_string(dtype_, sizes_)));
  }
  data_ = memory.get();
  owner_ = std::move(memory);
}

Tensor Tensor::view(DType dtype, Sizes sizes, void* data) {
  return {dtype, std::move(sizes), nullptr, data};
}

Tensor Tensor::shared(DType dtype, Sizes sizes, std::shared_ptr<const void> owner,
                      const void* data) {
  return {dtype, std::move(sizes), std::move(owner), const_cast<void*>(data)};
}

// Little-endian hosts only: the low bytes come first. Of a known size, a copy is one instruction.
scalar::Bits Tensor::bits(std::int64_t position) const {
  scalar::Bits result;
  auto read = [&]<std::size_t size>() {
    std::memcpy(&result.value, static_cast<const char*>(data_) + position * std::int64_t{size},
                size);
  };
  switch (byte_size(dtype_)) {
    case 1:
      read.operator()<1>();
      break;
    case 2:
      read.operator()<2>();
      break;
    case 4:
      read.operator()<4>();
      break;
    default:
      read.operator()<8>();
      break;
  }
  return result;
}

void Tensor::set_bits(std::int64_t position, scalar::Bits bits) {
  int size = byte_size(dtype_);
  std::memcpy(static_cast<char*>(data_) + position * size, &bits.value,
              static_cast<std::size_t>(size));
}

TensorType Tensor::type() const {
  TensorType result{dtype_, {}};
  for (std::int64_t size : sizes_) result.shape.emplace_back(size);
  return result;
}

std::string Tensor::to_string(std::int64_t limit, std::int64_t edge) const {
  std::string text;
  std::int64_t position = 0;
  append_nested(*this, text, 0, position, count_, count_ > limit, edge);
  return text;
}

Difference compare(const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype() || a.sizes() != b.sizes())
    throw Error(fmt::format("cannot compare {} with {}", to_string(a.dtype(), a.sizes()),
                            to_string(b.dtype(), b.sizes())));
  Difference result;
  for (std::int64_t i = 0; i < a.element_count(); ++i) {
    scalar::Bits left = a.bits(i), right = b.bits(i);
    double x = scalar::to_double(a.dtype(), left), y = scalar::to_double(b.dtype(), right);
    if (std::isfinite(y))
      result.largest_reference = std::max(result.largest_reference, std::abs(y));
    if (scalar::same_value(a.dtype(), left, right)) continue;
    result.identical = false;
    double difference = std::abs(x - y);
    if (std::isnan(difference)) difference = std::numeric_limits<double>::infinity();
    if (difference >= result.largest) {
      result.largest = difference;
      result.position = i;
    }
  }
  return result;
}

}  // namespace weir
