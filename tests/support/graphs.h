// What tests of graphs share: graphs from text, random tensors for their inputs, and comparison of
// results.
//
// Random tensors depend on the seed alone. `special` ones mix in what exactness is about: NaN,
// infinities, zeros of both signs, the smallest and largest numbers, ties.
#pragma once

#include <array>
#include <limits>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "ir/interpreter.h"
#include "ir/text.h"
#include "tests/support/error_of.h"

namespace weir::test {

using Generator = std::mt19937_64;

inline Graph parse(std::string_view text) { return parse_graph(text, "test.weir"); }

inline double random_number(DType type, Generator& generator, bool special) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  static constexpr std::array<double, 23> kSpecial{
      0.0,     -0.0,       infinity, -infinity, std::numeric_limits<double>::quiet_NaN(),
      1.0,     -1.0,       0.5,      -0.5,      2.5,
      -2.5,    1e-45,      -1e-45,   1e-40,     3e38,
      -3e38,   16777217.0, -1e10,    1e19,      4.9e-324,
      65504.0, 65520.0,    6e-8};
  if (type == DType::boolean) return static_cast<double>(generator() % 2);
  if (!is_float(type)) {
    // Saturates at an end of the type's range.
    if (special && generator() % 4 == 0) return generator() % 2 == 0 ? 1e30 : -1e30;
    if (byte_size(type) == 1)
      return static_cast<double>(generator() % 256) - (is_signed(type) ? 128 : 0);
    return static_cast<double>(generator() % 9) - 4;
  }
  if (special && generator() % 2 == 0) return kSpecial[generator() % kSpecial.size()];
  return std::normal_distribution<double>()(generator);
}

inline Tensor random_tensor(DType type, const Tensor::Sizes& sizes, Generator& generator,
                            bool special = false) {
  Tensor result(type, sizes);
  for (std::int64_t i = 0; i < result.element_count(); ++i)
    result.set_bits(i, scalar::bits_of(type, random_number(type, generator, special)));
  return result;
}

// Values for some values of a graph, by name; symbols that are not bound stand for 3.
inline std::map<std::string, Tensor, std::less<>> random_values(const Graph& graph,
                                                                std::span<const ValueId> values,
                                                                Generator& generator,
                                                                bool special = false,
                                                                Dim::Bindings bindings = {}) {
  for (const std::string& symbol : graph.symbols()) bindings.emplace(symbol, 3);
  std::map<std::string, Tensor, std::less<>> result;
  for (ValueId id : values) {
    Tensor::Sizes sizes;
    for (const Dim& dim : graph.type(id).shape) sizes.push_back(dim.evaluate(bindings).value());
    result.emplace(graph.value(id).name,
                   random_tensor(graph.type(id).dtype, sizes, generator, special));
  }
  return result;
}

inline InterpretOptions expanded() { return {{scalar::Numerics::Mode::expanded, true}}; }

// Expects that both graphs give the same bits for the same random inputs.
inline void expect_same_results(const Graph& before, const Graph& after, std::uint64_t seed,
                                bool special = false) {
  Generator generator(seed);
  Inputs inputs = random_values(before, before.inputs(), generator, special);
  Weights weights = random_values(before, before.params(), generator, special);
  std::vector<Tensor> expected = interpret(before, weights, inputs, expanded());
  std::vector<Tensor> actual = interpret(after, weights, inputs, expanded());
  ASSERT_EQ(expected.size(), actual.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    ASSERT_EQ(to_string(expected[i].type()), to_string(actual[i].type()));
    EXPECT_TRUE(compare(actual[i], expected[i]).identical)
        << "seed " << seed << ", output " << before.outputs()[i].name << ": "
        << actual[i].to_string() << " instead of " << expected[i].to_string() << "\n"
        << print(before) << "became\n"
        << print(after);
  }
}

}  // namespace weir::test
