// Tensors: values in memory, dense and row-major.
//
// A Tensor either owns its memory (shared between copies; treat a shared tensor as immutable) or is
// a view of the caller's. Sizes are checked for overflow before anything is allocated.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ir/diagnostic.h"
#include "ir/dtype.h"
#include "ir/float16.h"
#include "ir/scalar/constant.h"
#include "ir/type.h"

namespace weir {

template <class T>
inline constexpr DType dtype_of =
    [] { static_assert(sizeof(T) == 0, "no element type for this C++ type"); }();
template <>
inline constexpr DType dtype_of<float> = DType::f32;
template <>
inline constexpr DType dtype_of<double> = DType::f64;
template <>
inline constexpr DType dtype_of<Float16> = DType::f16;
template <>
inline constexpr DType dtype_of<BFloat16> = DType::bf16;
template <>
inline constexpr DType dtype_of<std::int8_t> = DType::i8;
template <>
inline constexpr DType dtype_of<std::uint8_t> = DType::u8;
template <>
inline constexpr DType dtype_of<std::int32_t> = DType::i32;
template <>
inline constexpr DType dtype_of<std::int64_t> = DType::i64;
template <>
inline constexpr DType dtype_of<bool> = DType::boolean;

class Tensor {
 public:
  using Sizes = std::vector<std::int64_t>;

  // A rank-0 f32 zero.
  Tensor() : Tensor(DType::f32, {}) {}
  // Owned and zeroed. Throws Error if a size is negative or the bytes overflow.
  Tensor(DType dtype, Sizes sizes);
  // Owned, from elements in row-major order. Throws Error if their number does not fit the sizes.
  template <class T>
  static Tensor from(std::span<const T> elements, Sizes sizes);
  template <class T>
  static Tensor from(std::initializer_list<T> elements, Sizes sizes) {
    return from(std::span<const T>(elements.begin(), elements.size()), std::move(sizes));
  }
  // A view of memory that the caller keeps alive, aligned for its element type.
  static Tensor view(DType dtype, Sizes sizes, void* data);
  // A view of memory kept alive by `owner` (a mapped file, say).
  static Tensor shared(DType dtype, Sizes sizes, std::shared_ptr<const void> owner,
                       const void* data);

  DType dtype() const { return dtype_; }
  const Sizes& sizes() const { return sizes_; }
  int rank() const { return static_cast<int>(sizes_.size()); }
  std::int64_t element_count() const { return count_; }
  std::size_t byte_count() const {
    return static_cast<std::size_t>(count_) * static_cast<std::size_t>(byte_size(dtype_));
  }
  const void* data() const { return data_; }
  void* mutable_data() { return data_; }

  // The elements, if T is the element type; Error otherwise.
  template <class T>
  std::span<const T> elements() const;
  template <class T>
  std::span<T> mutable_elements();

  // One element by its position in row-major order, unchecked.
  scalar::Bits bits(std::int64_t position) const;
  void set_bits(std::int64_t position, scalar::Bits bits);

  // The type with every dimension an integer.
  TensorType type() const;
  // "[[-0.01, 2.0], [0.5, 3.0]]"; parts of large tensors are elided as "...": at most `edge`
  // entries at each end of a dimension once there are more than `limit` elements.
  std::string to_string(std::int64_t limit = 1000, std::int64_t edge = 3) const;

 private:
  Tensor(DType dtype, Sizes sizes, std::shared_ptr<const void> owner, void* data);

  DType dtype_;
  Sizes sizes_;
  std::int64_t count_;
  std::shared_ptr<const void> owner_;
  void* data_;
};

// The number of elements; Error if a size is negative, or the bytes do not fit in 63 bits.
std::int64_t checked_element_count(DType dtype, std::span<const std::int64_t> sizes);
// "f32[2, 3]"
std::string to_string(DType dtype, std::span<const std::int64_t> sizes);

// How far two tensors of one type are apart.
struct Difference {
  double largest = 0;  // max |a - b|; infinite where only one is NaN, or infinities differ
  double largest_reference = 0;  // max |b| over its finite elements
  std::int64_t position = -1;    // of the largest difference
  bool identical = true;         // same bits everywhere, all NaNs being equal

  double relative() const {
    return largest == 0 ? 0 : largest_reference > 0 ? largest / largest_reference : largest;
  }
};
Difference compare(const Tensor& a, const Tensor& b);

template <class T>
std::span<const T> Tensor::elements() const {
  if (dtype_of<T> != dtype_)
    throw Error("the tensor holds " + std::string(name(dtype_)) + ", not " +
                std::string(name(dtype_of<T>)));
  return {static_cast<const T*>(data_), static_cast<std::size_t>(count_)};
}

template <class T>
std::span<T> Tensor::mutable_elements() {
  auto constant = static_cast<const Tensor*>(this)->elements<T>();
  return {const_cast<T*>(constant.data()), constant.size()};
}

template <class T>
Tensor Tensor::from(std::span<const T> elements, Sizes sizes) {
  Tensor result(dtype_of<T>, std::move(sizes));
  if (static_cast<std::int64_t>(elements.size()) != result.element_count())
    throw Error(std::to_string(elements.size()) + " elements given for " +
                weir::to_string(result.dtype(), result.sizes()));
  auto target = result.mutable_elements<T>();
  for (std::size_t i = 0; i < elements.size(); ++i) target[i] = elements[i];
  return result;
}

}  // namespace weir
