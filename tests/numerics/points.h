// Where a function is tried: all floats in ascending order, or a list.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

namespace weir::numerics {

// NaN lies at both ends.
inline float float_at(std::int64_t position) {
  auto order = static_cast<std::uint32_t>(position);
  return std::bit_cast<float>(order < 0x80000000u ? ~order : order - 0x80000000u);
}

inline constexpr std::int64_t kAllFloats = std::int64_t{1} << 32;

// Points of one type, ascending. Without a list, these are all floats.
template <class T>
class Points {
 public:
  Points() = default;
  explicit Points(std::vector<T> list)
      : list_(std::move(list)), size_(static_cast<std::int64_t>(list_.size())) {}
  std::int64_t size() const { return size_; }
  bool all() const { return list_.empty(); }
  T operator[](std::int64_t position) const {
    if constexpr (sizeof(T) == 4)
      if (list_.empty()) return float_at(position);
    return list_[static_cast<std::size_t>(position)];
  }

 private:
  std::vector<T> list_;
  std::int64_t size_ = kAllFloats;
};

// Every float whose position is a multiple of `stride`, and the neighbours of numbers where
// functions have their joins, overflow or vanish.
Points<float> strided_floats(std::int64_t stride);
// `count` numbers of all magnitudes, most of them where functions are neither constant nor linear,
// and the same neighbours.
Points<double> sampled_doubles(std::int64_t count);

// A second operand for pow: integers, halves and special numbers, or whatever takes the power of x
// to anywhere in the type's range. It depends on x alone.
float exponent_for(float x);
double exponent_for(double x);

}  // namespace weir::numerics
