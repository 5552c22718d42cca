// What random variants of ops are drawn with: an op's operands and attributes as they come about,
// draws of sizes, shapes and types, and the ops along axes: reductions, running sums, sums of
// products by letters, and what moves elements.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "ir/op.h"
#include "tests/support/graphs.h"

namespace weir::test {

class VariantDraw {
 protected:
  static constexpr std::int64_t kMostOfOperand = 6000;  // elements

  struct Operand {
    DType type;
    Shape shape;
  };

  explicit VariantDraw(std::uint64_t seed) : random_(seed) {}

  std::size_t below(std::size_t bound) { return static_cast<std::size_t>(random_() % bound); }
  bool chance(std::size_t of) { return below(of) == 0; }
  // `least` where nothing is above it.
  std::int64_t between(std::int64_t least, std::int64_t most) {
    if (most <= least) return least;
    return least + static_cast<std::int64_t>(below(static_cast<std::size_t>(most - least) + 1));
  }
  template <class T, std::size_t N>
  T one_of(const T (&values)[N]) {
    return values[below(N)];
  }

  // --- Operands ---

  DType random_float();
  DType random_number_type();
  DType random_type();
  DType random_index_type();
  std::int64_t value(const Dim& dim) const { return dim.evaluate(bindings_).value(); }
  // A dimension of that size, as a number or a symbol.
  Dim dim(std::int64_t size);
  // Of sizes about vectors; some are 0.
  Shape random_shape(std::size_t least, std::size_t most);
  std::int64_t random_axis(const Shape& shape);
  static std::size_t axis_of(std::int64_t axis, const Shape& shape) {
    return static_cast<std::size_t>(axis < 0 ? axis + static_cast<std::int64_t>(shape.size())
                                             : axis);
  }

  // --- Ops along axes ---

  std::string_view op_along_axes();
  // Whether the op is one of these; it then has its operands and attributes.
  bool choose_along_axes();

  Generator random_;
  const OpDef* op_ = nullptr;
  std::vector<Operand> operands_;
  Attributes attributes_;
  Dim::Bindings bindings_;

 private:
  struct AlongAxes {
    std::string_view op;
    void (VariantDraw::*choose)();
  };
  static const std::array<AlongAxes, 25> kAlongAxes;

  std::vector<std::int64_t> some_axes(const Shape& shape);
  void choose_reduction();
  void choose_place_of_extreme();
  void choose_running_sum();
  void choose_equation();
  void choose_triangle();
  void choose_parts();
  void choose_frame();
  void choose_slice();
  void choose_reversed();
  void choose_repeats();
  void choose_blocks();
};

}  // namespace weir::test
