// Weights in the order that kernels read them, and back, against one element after the other.
#include "compiler/weight_block.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <span>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/support/graphs.h"

namespace weir::test {
namespace {

std::vector<char> one_by_one(const Tensor& tensor, const std::vector<std::uint32_t>& order,
                             std::int64_t panel) {
  const Tensor::Sizes& sizes = tensor.sizes();
  std::vector<std::int64_t> strides(sizes.size(), 1), ordered, at(sizes.size(), 0);
  for (std::size_t i = sizes.size(); i-- > 1;) strides[i - 1] = strides[i] * sizes[i];
  const auto size = static_cast<std::size_t>(byte_size(tensor.dtype()));
  std::vector<char> result;
  const std::int64_t last = sizes[order.back()];
  const std::int64_t wide = panel == 0 ? last : panel;
  for (std::int64_t first = 0; first < last; first += wide) {
    // Counts in the new order, with so many of the last dimension.
    const std::int64_t count = tensor.element_count() / last * wide;
    for (std::int64_t number = 0; number < count; ++number) {
      std::int64_t rest = number, offset = 0;
      for (std::size_t i = order.size(); i-- > 0;) {
        const bool is_last = i + 1 == order.size();
        const std::int64_t extent = is_last ? wide : sizes[order[i]];
        offset += (rest % extent + (is_last ? first : 0)) * strides[order[i]];
        rest /= extent;
      }
      const char* from =
          static_cast<const char*>(tensor.data()) + static_cast<std::size_t>(offset) * size;
      result.insert(result.end(), from, from + size);
    }
  }
  return result;
}

TEST(WeightBlock, IsInTheOrderOfEachDimension) {
  Generator generator(31);
  auto below = [&](std::uint64_t count) { return static_cast<std::int64_t>(generator() % count); };
  for (int round = 0; round < 200; ++round) {
    const std::array types{DType::f32, DType::f64, DType::f16, DType::u8};
    const DType type = types[static_cast<std::size_t>(round) % types.size()];
    // Now and then longer than what is moved at once.
    Tensor::Sizes sizes;
    for (std::int64_t i = 1 + below(5); i-- > 0;)
      sizes.push_back(below(8) == 0 && sizes.size() < 2 ? 60 + below(40) : 1 + below(9));
    std::vector<std::uint32_t> order(sizes.size());
    std::iota(order.begin(), order.end(), 0);
    std::ranges::shuffle(order, generator);
    std::int64_t panel = 0;
    if (below(2) == 0) {
      panel = 1 + below(20);
      sizes[order.back()] = panel * (1 + below(4));
    }
    if (std::accumulate(sizes.begin(), sizes.end(), std::int64_t{1}, std::multiplies<>()) > 30000)
      continue;
    const Tensor tensor = random_tensor(type, sizes, generator);
    const std::vector<char> expected = one_by_one(tensor, order, panel);
    std::vector<char> given(expected.size());
    put_in_order(given.data(), tensor, order, panel);
    const std::string what = fmt::format("{} in the order {}, panels of {}", to_string(type, sizes),
                                         fmt::join(order, " "), panel);
    ASSERT_TRUE(given == expected) << what;
    Tensor back(type, sizes);
    take_in_order(back, given.data(), order, panel);
    ASSERT_TRUE(compare(back, tensor).identical) << what;
  }
}

TEST(WeightBlock, HasSumsOfProductsWithZero) {
  Generator generator(32);
  auto below = [&](std::uint64_t count) { return static_cast<std::int64_t>(generator() % count); };
  for (int round = 0; round < 200; ++round) {
    Tensor::Sizes sizes;
    for (std::int64_t i = 1 + below(4); i-- > 0;) sizes.push_back(1 + below(9));
    const auto dimension = static_cast<std::uint32_t>(below(sizes.size()));
    sizes[dimension] = 1 + below(70);
    Tensor tensor = random_tensor(DType::f32, sizes, generator);
    const std::span<float> elements = tensor.mutable_elements<float>();
    for (float& element : elements) {
      if (below(20) != 0) element = -std::abs(element);
      if (below(200) == 0) element = std::numeric_limits<float>::infinity();
    }
    std::int64_t inner = 1;
    for (std::size_t i = dimension + 1; i < sizes.size(); ++i) inner *= sizes[i];
    Tensor::Sizes left = sizes;
    left.erase(left.begin() + dimension);
    Tensor expected(DType::f32, left);
    const std::span<float> sums = expected.mutable_elements<float>();
    std::ranges::fill(sums, -0.0f);
    for (std::int64_t i = 0; i < tensor.element_count(); ++i) {
      const std::int64_t outer = i / (inner * sizes[dimension]);
      sums[static_cast<std::size_t>(outer * inner + i % inner)] +=
          0.0f * elements[static_cast<std::size_t>(i)];
    }
    ASSERT_TRUE(compare(sums_with_zero(tensor, dimension), expected).identical)
        << fmt::format("{} along {}", to_string(DType::f32, sizes), dimension);
  }
}

}  // namespace
}  // namespace weir::test
