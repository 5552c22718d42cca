// Tensors written as text, as `--input x=[[1.0, 2.0]]` has them: what is read prints as text that
// reads back as the same tensor. The first byte chooses the element type, the second one the type
// that is expected.

#include <array>

#include "compiler/frontend/literal.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace weir;

// An element takes at least two characters and becomes 8 bytes, in a list that grows by doubling
// and then in the tensor.
constexpr fuzz::Bound kBound{32, 64 << 10};

constexpr std::array kTypes{DType::f32,     DType::f64, DType::i32, DType::i64,
                            DType::boolean, DType::f16, DType::u8};

std::span<const Shape> expected_shapes() {
  static const std::array<Shape, 5> shapes{Shape{}, Shape{2, 2}, Shape{Dim::symbol("N"), 4},
                                           Shape{Dim::symbol("N"), Dim::symbol("M"), 0},
                                           Shape(kMaximumRank, Dim(1))};
  return shapes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  DType dtype = kTypes[data[0] % kTypes.size()];
  std::size_t choice = data[1] % (expected_shapes().size() + 1);
  const Shape* expected = choice == 0 ? nullptr : &expected_shapes()[choice - 1];
  auto tensor = fuzz::accepted(size, kBound, [&] {
    return parse_literal(fuzz::text_of(data + 2, size - 2), dtype, expected);
  });
  if (!tensor) return 0;
  if (expected)
    fuzz::require(tensor->sizes().size() == expected->size(), "the rank is not the expected one");
  TensorType type = tensor->type();
  Tensor again = parse_literal(tensor->to_string(INT64_MAX), dtype, &type.shape);
  fuzz::require(again.sizes() == tensor->sizes(), "the tensor that was printed has other sizes");
  fuzz::require(compare(again, *tensor).identical,
                "the tensor that was printed reads back changed");
  return 0;
}
