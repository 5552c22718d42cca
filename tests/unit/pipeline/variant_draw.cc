#include "tests/unit/pipeline/variant_draw.h"

#include <algorithm>
#include <string>
#include <string_view>

#include <fmt/format.h>

namespace weir::test {
namespace {

using Integers = std::vector<std::int64_t>;

}  // namespace

DType VariantDraw::random_float() {
  return one_of({DType::f32, DType::f32, DType::f32, DType::f64, DType::f16, DType::bf16});
}

DType VariantDraw::random_number_type() {
  return chance(4) ? one_of({DType::i8, DType::u8, DType::i32, DType::i64}) : random_float();
}

DType VariantDraw::random_type() { return chance(12) ? DType::boolean : random_number_type(); }

DType VariantDraw::random_index_type() {
  return one_of({DType::i64, DType::i64, DType::i32, DType::i8});
}

Dim VariantDraw::dim(std::int64_t size) {
  if (!chance(4)) return size;
  std::string name = fmt::format("D{}", bindings_.size());
  bindings_.emplace(name, size);
  return Dim::symbol(name);
}

Shape VariantDraw::random_shape(std::size_t least, std::size_t most) {
  const auto rank = static_cast<std::size_t>(
      between(static_cast<std::int64_t>(least), static_cast<std::int64_t>(most)));
  std::int64_t elements = 1;
  Shape shape;
  while (shape.size() < rank) {
    std::int64_t size =
        one_of<std::int64_t>({1, 2, 3, 4, 5, 7, 8, 9, 13, 15, 16, 17, 20, 31, 33, 40, 65, 70});
    while (elements * size > kMostOfOperand) size = 1 + size / 3;
    if (chance(30)) size = 0;
    elements *= std::max<std::int64_t>(size, 1);
    shape.push_back(dim(size));
  }
  return shape;
}

std::int64_t VariantDraw::random_axis(const Shape& shape) {
  const auto rank = static_cast<std::int64_t>(shape.size());
  return between(-rank, rank - 1);
}

// Some of a value's axes, from either end; none, which means all, now and then.
Integers VariantDraw::some_axes(const Shape& shape) {
  Integers axes;
  if (chance(6)) return axes;
  const auto rank = static_cast<std::int64_t>(shape.size());
  for (std::int64_t axis = 0; axis < rank; ++axis)
    if (chance(2)) axes.push_back(chance(3) ? axis - rank : axis);
  return axes;
}

void VariantDraw::choose_reduction() {
  const std::string_view op = op_->name;
  const bool takes_integers = op == "reduce_l1" || op == "reduce_sum_square" ||
                              op == "reduce_prod" || op == "reduce_max" || op == "reduce_min" ||
                              op == "reduce_sum";
  const Shape shape = random_shape(1, 4);
  operands_.push_back({takes_integers ? random_number_type() : random_float(), shape});
  attributes_.set("axes", some_axes(shape));
  attributes_.set("keep_dims", chance(2));
}

void VariantDraw::choose_place_of_extreme() {
  const Shape shape = random_shape(1, 4);
  operands_.push_back({random_number_type(), shape});
  attributes_.set("axis", random_axis(shape));
  attributes_.set("keep_dims", chance(2));
  attributes_.set("select_last", chance(2));
}

void VariantDraw::choose_running_sum() {
  const Shape shape = random_shape(1, 4);
  operands_.push_back({random_number_type(), shape});
  attributes_.set("axis", random_axis(shape));
  attributes_.set("exclusive", chance(2));
  attributes_.set("reverse", chance(2));
}

// Up to three operands with letters of their own, in any order, some of them twice; the result has
// some of them, or those that the equation leaves to it.
void VariantDraw::choose_equation() {
  constexpr std::string_view kLetters = "abcde";
  Shape sizes;
  for (std::size_t i = 0; i < kLetters.size(); ++i)
    sizes.push_back(dim(chance(30) ? 0 : one_of<std::int64_t>({1, 2, 3, 5, 8, 9})));
  const bool has_rest = chance(4);
  const Dim rest = dim(between(1, 4));
  const DType type = random_number_type();
  std::string equation, used;
  for (std::int64_t i = between(1, 3); i > 0; --i) {
    Shape shape;
    if (has_rest) {
      equation += "...";
      if (!chance(3)) shape.push_back(chance(4) ? Dim(1) : rest);
    }
    for (std::int64_t k = between(1, 3); k > 0; --k) {
      const std::size_t letter = below(kLetters.size());
      equation += kLetters[letter];
      shape.push_back(sizes[letter]);
      if (used.find(kLetters[letter]) == std::string::npos) used += kLetters[letter];
    }
    if (i > 1) equation += ',';
    operands_.push_back({type, shape});
  }
  if (!chance(4)) {
    equation += has_rest ? "->..." : "->";
    std::ranges::shuffle(used, random_);
    for (char letter : used)
      if (!chance(3)) equation += letter;
  }
  attributes_.set("equation", equation);
}

// A triangle, its diagonal within the matrix and beyond.
void VariantDraw::choose_triangle() {
  const Shape shape = random_shape(2, 4);
  operands_.push_back({random_type(), shape});
  attributes_.set("upper", chance(2));
  attributes_.set("diagonal",
                  between(-value(shape[shape.size() - 2]) - 1, value(shape.back()) + 1));
}

// A last part of what is left, which may depend on a symbol.
void VariantDraw::choose_parts() {
  const Shape shape = random_shape(1, 4);
  const std::int64_t axis = random_axis(shape);
  Dim rest = shape[axis_of(axis, shape)];
  Shape parts;
  for (std::int64_t i = between(0, 3); i > 0; --i) {
    parts.emplace_back(between(0, value(rest)));
    rest = rest - parts.back();
  }
  parts.push_back(rest);
  operands_.push_back({random_type(), shape});
  attributes_.set("axis", axis);
  attributes_.set("sizes", parts);
}

// Frames of fill values, or of the value's own elements, of which there have to be enough.
void VariantDraw::choose_frame() {
  const bool has_fill = op_->name == "pad";
  const Shape shape = random_shape(1, 4);
  const std::string mode = has_fill ? "" : one_of({"reflect", "edge", "wrap"});
  Shape low, high;
  Integers interior;
  for (const Dim& extent : shape) {
    const std::int64_t size = value(extent);
    const std::int64_t most = has_fill || mode == "edge" ? 4 : mode == "wrap" ? size : size - 1;
    for (Shape* frame : {&low, &high}) frame->push_back(chance(2) ? Dim(0) : dim(between(0, most)));
    interior.push_back(between(0, 2));
  }
  operands_.push_back({random_type(), shape});
  attributes_.set("low", low);
  attributes_.set("high", high);
  if (!has_fill) return attributes_.set("mode", mode);
  if (chance(2)) attributes_.set("interior", interior);
  if (chance(2)) attributes_.set("value", one_of({1.0, -2.5}));
}

void VariantDraw::choose_slice() {
  const Shape shape = random_shape(1, 4);
  Shape starts, limits;
  Integers strides;
  for (const Dim& dim : shape) {
    const std::int64_t start = between(0, value(dim));
    starts.emplace_back(start);
    limits.push_back(chance(3) ? dim : Dim(between(start, value(dim))));
    strides.push_back(between(1, 3));
  }
  operands_.push_back({random_type(), shape});
  attributes_.set("starts", starts);
  attributes_.set("limits", limits);
  if (chance(2)) attributes_.set("strides", strides);
}

void VariantDraw::choose_reversed() {
  const Shape shape = random_shape(1, 4);
  operands_.push_back({random_type(), shape});
  attributes_.set("axes", some_axes(shape));
}

void VariantDraw::choose_repeats() {
  const Shape shape = random_shape(1, 4);
  Shape repeats;
  for (std::size_t i = 0; i < shape.size(); ++i)
    repeats.push_back(dim(chance(20) ? 0 : between(1, 3)));
  operands_.push_back({random_type(), shape});
  attributes_.set("repeats", repeats);
}

// Channels that are blocks of rows and columns, or become some.
void VariantDraw::choose_blocks() {
  const bool to_space = op_->name == "depth_to_space";
  const std::int64_t block = between(1, 3), squared = block * block;
  const std::int64_t batch = between(0, 2), channels = between(1, 9);
  const std::int64_t rows = between(0, 9), columns = between(1, 17);
  operands_.push_back(
      {random_type(), to_space ? Shape{dim(batch), channels * squared, dim(rows), dim(columns)}
                               : Shape{dim(batch), channels, rows * block, columns * block}});
  attributes_.set("block", block);
  if (to_space) attributes_.set("mode", std::string(one_of({"DCR", "CRD"})));
}

const std::array<VariantDraw::AlongAxes, 25> VariantDraw::kAlongAxes{{
    {"reduce_sum", &VariantDraw::choose_reduction},
    {"reduce_max", &VariantDraw::choose_reduction},
    {"reduce_min", &VariantDraw::choose_reduction},
    {"reduce_prod", &VariantDraw::choose_reduction},
    {"reduce_mean", &VariantDraw::choose_reduction},
    {"reduce_l1", &VariantDraw::choose_reduction},
    {"reduce_l2", &VariantDraw::choose_reduction},
    {"reduce_sum_square", &VariantDraw::choose_reduction},
    {"reduce_log_sum", &VariantDraw::choose_reduction},
    {"reduce_log_sum_exp", &VariantDraw::choose_reduction},
    {"arg_max", &VariantDraw::choose_place_of_extreme},
    {"arg_min", &VariantDraw::choose_place_of_extreme},
    {"cumsum", &VariantDraw::choose_running_sum},
    {"einsum", &VariantDraw::choose_equation},
    {"einsum", &VariantDraw::choose_equation},
    {"einsum", &VariantDraw::choose_equation},
    {"trilu", &VariantDraw::choose_triangle},
    {"split", &VariantDraw::choose_parts},
    {"pad", &VariantDraw::choose_frame},
    {"extend", &VariantDraw::choose_frame},
    {"slice", &VariantDraw::choose_slice},
    {"reverse", &VariantDraw::choose_reversed},
    {"tile", &VariantDraw::choose_repeats},
    {"depth_to_space", &VariantDraw::choose_blocks},
    {"space_to_depth", &VariantDraw::choose_blocks},
}};

std::string_view VariantDraw::op_along_axes() { return kAlongAxes[below(kAlongAxes.size())].op; }

bool VariantDraw::choose_along_axes() {
  const auto* found = std::ranges::find(kAlongAxes, op_->name, &AlongAxes::op);
  if (found == kAlongAxes.end()) return false;
  (this->*found->choose)();
  return true;
}

}  // namespace weir::test
