// What the ops compute, by the interpreter, against plain loops; and their stated gradient rules.
// For an op that is linear in an operand the rule must be its adjoint: <A x, y> = <x, A^T y>,
// exactly, on small integers.

#include <cmath>
#include <functional>
#include <random>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ir/builder_ops.h"
#include "ir/interpreter.h"
#include "ir/registry.h"

namespace weir {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using Sizes = Tensor::Sizes;
using Integers = std::vector<std::int64_t>;

constexpr double kInf = std::numeric_limits<double>::infinity();

// A graph under construction with the values of its inputs.
class OpsValues : public ::testing::Test {
 protected:
  Var input(const Tensor& value) { return input(value, value.type().shape); }
  // With a declared shape, which may have symbols.
  Var input(const Tensor& value, Shape shape) {
    std::string name = "x" + std::to_string(inputs_.size());
    inputs_.emplace(name, value);
    return builder_.input(name, value.dtype(), std::move(shape));
  }
  // Small integers.
  Tensor random(const Sizes& sizes, DType type = DType::f64) {
    Tensor result(type, sizes);
    for (std::int64_t i = 0; i < result.element_count(); ++i)
      result.set_bits(i, scalar::bits_of(type, static_cast<std::int64_t>(generator_() % 19) - 9));
    return result;
  }
  // The values of these, in a copy of the graph so far.
  std::vector<Tensor> run(const std::vector<Var>& outputs) {
    Graph graph = builder_.graph();
    for (std::size_t i = 0; i < outputs.size(); ++i)
      graph.add_output(outputs[i].id(), "y" + std::to_string(i));
    return interpret(graph, {}, inputs_);
  }
  Tensor run(Var output) { return run(std::vector<Var>{output}).front(); }
  std::vector<double> numbers(Var output) { return numbers(run(output)); }
  static std::vector<double> numbers(const Tensor& tensor) {
    std::vector<double> result;
    for (std::int64_t i = 0; i < tensor.element_count(); ++i)
      result.push_back(scalar::to_double(tensor.dtype(), tensor.bits(i)));
    return result;
  }

  // The gradients by the op's own rule, for a cotangent of random integers.
  std::vector<Var> stated_gradients(Var result, Var cotangent) {
    const Graph& graph = builder_.graph();
    const Node node = graph.node(graph.value(result.id()).producer);
    std::vector<TensorType> types = types_of(graph, node.operands);
    std::vector<Var> operands;
    for (ValueId id : node.operands) operands.emplace_back(builder_, id);
    std::unique_ptr<bool[]> wanted(new bool[operands.size()]);
    std::fill_n(wanted.get(), operands.size(), true);
    const bool reached = true;
    OpInstance instance{node.op, types, node.attributes};
    return node.op->gradient.rule({builder_,
                                   instance,
                                   operands,
                                   {&result, 1},
                                   {&cotangent, 1},
                                   {wanted.get(), operands.size()},
                                   {&reached, 1}});
  }

  // Checks that the op is linear in each operand and its rule the adjoint. `result_sizes` are those
  // of the result under the symbols' values.
  void expect_adjoint(Var result, const Sizes& result_sizes) {
    const Graph& graph = builder_.graph();
    std::vector<ValueId> operands = graph.node(graph.value(result.id()).producer).operands;
    Var cotangent = input(random(result_sizes), result.shape());
    std::vector<Var> outputs{result, cotangent};
    for (Var gradient : stated_gradients(result, cotangent)) outputs.push_back(gradient);
    for (ValueId operand : operands) outputs.emplace_back(builder_, operand);
    std::vector<Tensor> values = run(outputs);
    double expected = dot(values[0], values[1]);
    for (std::size_t i = 0; i < operands.size(); ++i) {
      const Tensor &gradient = values[2 + i], &operand = values[2 + operands.size() + i];
      ASSERT_EQ(gradient.sizes(), operand.sizes());
      EXPECT_EQ(dot(gradient, operand), expected);
    }
  }
  static double dot(const Tensor& a, const Tensor& b) {
    double sum = 0;
    for (std::int64_t i = 0; i < a.element_count(); ++i)
      sum += a.elements<double>()[static_cast<std::size_t>(i)] *
             b.elements<double>()[static_cast<std::size_t>(i)];
    return sum;
  }

  GraphBuilder builder_;
  Inputs inputs_;
  std::mt19937 generator_{7};
};

// Visits every index of a shape in row-major order.
void for_each_index(const Sizes& sizes, const std::function<void(const Sizes&)>& visit) {
  std::int64_t count = 1;
  for (std::int64_t size : sizes) count *= size;
  for (std::int64_t position = 0; position < count; ++position) {
    Sizes index(sizes.size());
    std::int64_t rest = position;
    for (std::size_t i = sizes.size(); i-- > 0;) {
      index[i] = rest % sizes[i];
      rest /= sizes[i];
    }
    visit(index);
  }
}

double at(const Tensor& tensor, const Sizes& index) {
  std::int64_t position = 0;
  for (std::size_t i = 0; i < index.size(); ++i)
    position = position * tensor.sizes()[i] + (tensor.sizes()[i] == 1 ? 0 : index[i]);
  return scalar::to_double(tensor.dtype(), tensor.bits(position));
}

// --- Arithmetic --------------------------------------------------------------

TEST_F(OpsValues, remainders_have_the_sign_of_divisor_or_dividend) {
  Var a = input(Tensor::from<double>({7, -7, 7, -7, 6, -1, 1}, {7}));
  Var b = input(Tensor::from<double>({3, 3, -3, -3, 3, kInf, 0}, {7}));
  auto results = run({remainder(a, b), fmod(a, b)});
  EXPECT_THAT(numbers(results[0]), ElementsAre(1, 2, -2, -1, 0, kInf, ::testing::IsNan()));
  EXPECT_THAT(numbers(results[1]), ElementsAre(1, -1, 1, -1, 0, -1, ::testing::IsNan()));
}

TEST_F(OpsValues, integer_division_never_traps) {
  std::int32_t lowest = std::numeric_limits<std::int32_t>::min();
  Var a = input(Tensor::from<std::int32_t>({7, -7, 5, lowest}, {4}));
  Var b = input(Tensor::from<std::int32_t>({2, 2, 0, -1}, {4}));
  auto results = run({a / b, remainder(a, b), fmod(a, b)});
  EXPECT_THAT(results[0].elements<std::int32_t>(), ElementsAre(3, -3, 0, lowest));
  EXPECT_THAT(results[1].elements<std::int32_t>(), ElementsAre(1, 1, 5, 0));
  EXPECT_THAT(results[2].elements<std::int32_t>(), ElementsAre(1, -1, 5, 0));
}

TEST_F(OpsValues, fma_rounds_once) {
  constexpr float kLargest = std::numeric_limits<float>::max();
  // The squares of 1 + 2^-12 and 1 + 2^-27 need one bit more than the type has.
  Var a = input(Tensor::from<float>({1 + 0x1p-12F, kLargest, 0x1p-100F}, {3}));
  Var c = input(Tensor::from<float>({-(1 + 0x1p-11F), -kLargest, 0}, {3}));
  Var b = input(Tensor::from<float>({1 + 0x1p-12F, 2, 0x1p-49F}, {3}));
  Var x = input(Tensor::from<double>({1 + 0x1p-27}, {1}));
  Var y = input(Tensor::from<double>({-(1 + 0x1p-26)}, {1}));
  // An f16 has 11 digits: 1 + 2^-10 squared is 1 + 2^-9 + 2^-20.
  Var h = input(Tensor::from<float>({1 + 0x1p-10F}, {1}));
  Var k = input(Tensor::from<float>({-(1 + 0x1p-9F)}, {1}));
  auto half = [&](Var value) { return builder_.apply("cast", {value}, {{"dtype", DType::f16}}); };
  auto results = run({fma(a, b, c), a * b + c, fma(x, x, y), fma(half(h), half(h), half(k))});
  EXPECT_THAT(numbers(results[0]), ElementsAre(0x1p-24, kLargest, 0x1p-149));
  EXPECT_THAT(numbers(results[1]), ElementsAre(0, kInf, 0x1p-149));
  EXPECT_THAT(numbers(results[2]), ElementsAre(0x1p-54));
  EXPECT_THAT(numbers(results[3]), ElementsAre(0x1p-20));
}

TEST_F(OpsValues, sign_keeps_zeros_and_nan) {
  std::vector<double> y = numbers(sign(input(Tensor::from<float>({-3, -0.0f, 0, 2, NAN}, {5}))));
  EXPECT_THAT(y, ElementsAre(-1, 0, 0, 1, ::testing::IsNan()));
  EXPECT_TRUE(std::signbit(y[1]));
}

// --- Reductions --------------------------------------------------------------

TEST_F(OpsValues, every_set_of_axes) {
  Sizes sizes{2, 3, 4, 5};
  Tensor value = random(sizes);
  Var x = input(value, {Dim::symbol("N"), 3, Dim::symbol("M"), 5});
  for (unsigned set = 1; set < 16; ++set) {
    Integers axes;
    Sizes kept = sizes;
    for (std::size_t i = 0; i < 4; ++i) {
      if ((set >> i & 1) == 0) continue;
      axes.push_back(static_cast<std::int64_t>(i));
      kept[i] = 1;
    }
    Tensor sum(DType::f64, kept), largest(DType::f64, kept), count(DType::f64, kept);
    for (double& v : largest.mutable_elements<double>()) v = -kInf;
    for_each_index(sizes, [&](const Sizes& index) {
      std::int64_t position = 0;
      for (std::size_t i = 0; i < 4; ++i)
        position = position * kept[i] + (kept[i] == 1 ? 0 : index[i]);
      auto p = static_cast<std::size_t>(position);
      sum.mutable_elements<double>()[p] += at(value, index);
      count.mutable_elements<double>()[p] += 1;
      double& most = largest.mutable_elements<double>()[p];
      most = std::max(most, at(value, index));
    });
    bool keep = set % 2 == 0;
    auto results = run({reduce_sum(x, axes, keep), reduce_max(x, axes, keep),
                        neg(reduce_min(neg(x), axes, keep)), reduce_mean(x, axes, keep)});
    EXPECT_EQ(numbers(results[0]), numbers(sum));
    EXPECT_EQ(numbers(results[1]), numbers(largest));
    EXPECT_EQ(numbers(results[2]), numbers(largest));
    std::vector<double> mean = numbers(sum);
    for (double& v : mean) v /= numbers(count).front();
    EXPECT_EQ(numbers(results[3]), mean);
    if (keep) {
      EXPECT_EQ(results[0].sizes(), kept);
    }
  }
}

TEST_F(OpsValues, reductions_over_nothing_and_of_special_values) {
  Var nothing = input(Tensor(DType::f32, {2, 0}));
  EXPECT_THAT(numbers(reduce_sum(nothing, {1})), ElementsAre(0, 0));
  EXPECT_THAT(numbers(reduce_prod(nothing)), ElementsAre(1));
  EXPECT_THAT(numbers(reduce_max(nothing)), ElementsAre(-kInf));
  EXPECT_THAT(numbers(reduce_min(nothing)), ElementsAre(kInf));
  EXPECT_THAT(numbers(reduce_mean(nothing)), ElementsAre(::testing::IsNan()));
  Var integers = input(Tensor(DType::i32, {0}));
  EXPECT_THAT(run(reduce_max(integers)).elements<std::int32_t>(),
              ElementsAre(std::numeric_limits<std::int32_t>::min()));
  EXPECT_FALSE(std::signbit(numbers(reduce_sum(input(Tensor::from<float>({-0.0f}, {1}))))[0]));
  Var with_nan = input(Tensor::from<float>({1, NAN, 3}, {3}));
  EXPECT_THAT(numbers(reduce_max(with_nan)), ElementsAre(::testing::IsNan()));
  EXPECT_THAT(numbers(reduce_min(with_nan)), ElementsAre(::testing::IsNan()));
  EXPECT_THAT(numbers(reduce_sum(input(Tensor::from<double>({5}, {})))), ElementsAre(5));
  EXPECT_THAT(
      run(reduce_prod(input(Tensor::from<std::int64_t>({2, 3, 7}, {3})))).elements<std::int64_t>(),
      ElementsAre(42));
}

TEST_F(OpsValues, the_gradient_of_a_sum_is_its_adjoint) {
  for (const Integers& axes : {Integers{}, {0}, {1}, {2}, {0, 1}, {1, 2}, {0, 2}})
    for (bool keep : {false, true}) {
      Var y = reduce_sum(input(random({2, 3, 4})), axes, keep);
      Sizes sizes;
      for (const Dim& dim : y.shape()) sizes.push_back(dim.value());
      expect_adjoint(y, sizes);
    }
}

// --- Movement ----------------------------------------------------------------

TEST_F(OpsValues, reshape_keeps_row_major_order) {
  const std::vector<std::pair<Sizes, Sizes>> cases{{{2, 3, 4}, {6, 4}},
                                                   {{2, 3, 4}, {2, 12}},
                                                   {{24}, {2, 3, 4}},
                                                   {{2, 6}, {3, 4}},
                                                   {{1, 6, 1}, {6}},
                                                   {{6}, {1, 2, 1, 3, 1}},
                                                   {{4, 6, 5}, {2, 12, 5}},
                                                   {{2, 3, 4, 5}, {6, 2, 10}},
                                                   {{1}, {}},
                                                   {{}, {1, 1}},
                                                   {{0, 3}, {3, 0}},
                                                   {{2, 0}, {0}},
                                                   {{3, 1, 4}, {3, 4, 1, 1}}};
  for (const auto& [from, to] : cases) {
    Tensor value = random(from);
    Var y = reshape(input(value), Shape(to.begin(), to.end()));
    Tensor result = run(y);
    EXPECT_EQ(result.sizes(), to);
    EXPECT_EQ(numbers(result), numbers(value));
    expect_adjoint(y, to);
  }
}

TEST_F(OpsValues, reshape_of_symbolic_dimensions) {
  Dim n = Dim::symbol("N"), m = Dim::symbol("M");
  Tensor value = random({3, 4, 2, 5});
  Var x = input(value, {n, 4, m, 5});
  for (const Shape& shape : {Shape{n * Dim(4), m * Dim(5)},
                             {n, m * Dim(20)},
                             {n * m * Dim(20)},
                             {n, 2, 2, m * Dim(5)},
                             {n, 2, m * Dim(10)}})
    EXPECT_EQ(numbers(reshape(x, shape)), numbers(value));
  expect_adjoint(reshape(x, {n, 2, m * Dim(10)}), {3, 2, 20});
}

TEST_F(OpsValues, transpose_moves_every_axis) {
  Tensor value = random({2, 3, 4});
  Integers permutation{2, 0, 1};
  Var y = transpose(input(value), permutation);
  Tensor result = run(y);
  for_each_index({4, 2, 3}, [&](const Sizes& index) {
    EXPECT_EQ(at(result, index), at(value, {index[1], index[2], index[0]}));
  });
  expect_adjoint(y, {4, 2, 3});
}

TEST_F(OpsValues, broadcast_repeats) {
  Tensor value = random({3, 1});
  Dim n = Dim::symbol("N");
  input(random({2}), {n});
  Var y = broadcast(input(value), {n, 3, 4});
  Tensor result = run(y);
  for_each_index({2, 3, 4}, [&](const Sizes& index) {
    EXPECT_EQ(at(result, index), at(value, {index[1], 0}));
  });
  expect_adjoint(y, {2, 3, 4});
}

TEST_F(OpsValues, slice_takes_steps) {
  Tensor value = random({7, 5});
  Var x = input(value);
  Var y = slice(x, {1, 0}, {7, 4}, {2, 3});
  Tensor result = run(y);
  ASSERT_EQ(result.sizes(), (Sizes{3, 2}));
  for_each_index({3, 2}, [&](const Sizes& index) {
    EXPECT_EQ(at(result, index), at(value, {1 + 2 * index[0], 3 * index[1]}));
  });
  expect_adjoint(y, {3, 2});
  expect_adjoint(slice(x, {3, 0}, {3, 5}, {2, 1}), {0, 5});
  Dim n = Dim::symbol("N");
  expect_adjoint(slice(input(random({12}), {n * Dim(4)}), {0}, {n * Dim(4)}, {2}), {6});
  expect_adjoint(slice(input(random({5, 2}), {n + Dim(2), 2}), {2, 1}, {n + Dim(2), 2}), {3, 1});
}

TEST_F(OpsValues, concat_joins) {
  Dim n = Dim::symbol("N"), m = Dim::symbol("M");
  Tensor a = random({2, 2}), b = random({2, 0}), c = random({2, 3});
  Var y = concat({input(a), input(b, {2, n}), input(c, {2, m})}, -1);
  Tensor result = run(y);
  ASSERT_EQ(result.sizes(), (Sizes{2, 5}));
  for_each_index({2, 5}, [&](const Sizes& index) {
    EXPECT_EQ(at(result, index), index[1] < 2 ? at(a, index) : at(c, {index[0], index[1] - 2}));
  });
  // Each operand's share of <y, g> is its own product with its gradient.
  Var g = input(random({2, 5}), y.shape());
  std::vector<Var> outputs = stated_gradients(y, g);
  outputs.push_back(concat(outputs, 1));
  outputs.push_back(g);
  auto values = run(outputs);
  EXPECT_EQ(numbers(values.back()), numbers(values[values.size() - 2]));
}

TEST_F(OpsValues, pad_frames_and_spreads) {
  Var x = input(Tensor::from<double>({1, 2, 3}, {3}));
  EXPECT_THAT(numbers(pad(x, {1}, {2}, {2}, -5.0)),
              ElementsAre(-5, 1, -5, -5, 2, -5, -5, 3, -5, -5));
  EXPECT_THAT(numbers(pad(x, {0}, {0})), ElementsAre(1, 2, 3));
  expect_adjoint(pad(input(random({3, 4})), {1, 0}, {2, 3}, {2, 1}), {10, 10});
  expect_adjoint(pad(input(random({3, 2})), {0, 1}, {0, 0}, {1, 0}), {5, 3});
  Dim n = Dim::symbol("N");
  expect_adjoint(pad(input(random({3}), {n}), {n}, {1}, {1}), {9});
  EXPECT_THAT(numbers(pad(input(Tensor(DType::f64, {0})), {1}, {1}, {3}, 7.0)), ElementsAre(7, 7));
}

// --- Contractions ------------------------------------------------------------

TEST_F(OpsValues, matmul_is_the_sum_of_products) {
  for (bool transpose_a : {false, true})
    for (bool transpose_b : {false, true}) {
      Tensor a = random(transpose_a ? Sizes{2, 1, 5, 3} : Sizes{2, 1, 3, 5});
      Tensor b = random(transpose_b ? Sizes{4, 6, 5} : Sizes{4, 5, 6});
      Var y = matmul(input(a), input(b), transpose_a, transpose_b);
      Tensor result = run(y);
      ASSERT_EQ(result.sizes(), (Sizes{2, 4, 3, 6}));
      for_each_index(result.sizes(), [&](const Sizes& i) {
        double sum = 0;
        for (std::int64_t k = 0; k < 5; ++k)
          sum += (transpose_a ? at(a, {i[0], 0, k, i[2]}) : at(a, {i[0], 0, i[2], k})) *
                 (transpose_b ? at(b, {i[1], i[3], k}) : at(b, {i[1], k, i[3]}));
        EXPECT_EQ(at(result, i), sum);
      });
      expect_adjoint(y, {2, 4, 3, 6});
    }
}

TEST_F(OpsValues, matmul_of_integers_and_over_nothing) {
  Var a = input(Tensor::from<std::int32_t>({1, 2, 3, 4}, {2, 2}));
  EXPECT_THAT(run(matmul(a, a)).elements<std::int32_t>(), ElementsAre(7, 10, 15, 22));
  Var empty = input(Tensor(DType::f32, {2, 0}));
  EXPECT_THAT(numbers(matmul(empty, empty, false, true)), ElementsAre(0, 0, 0, 0));
}

TEST_F(OpsValues, linear_over_all_leading_axes) {
  Tensor w = random({2, 3}), bias = random({2});
  for (const Sizes& leading : {Sizes{}, {4}, {2, 2}}) {
    Sizes sizes = leading;
    sizes.push_back(3);
    Tensor x = random(sizes);
    Tensor y = run(linear(input(x), input(w), input(bias)));
    Sizes expected = leading;
    expected.push_back(2);
    ASSERT_EQ(y.sizes(), expected);
    for (std::int64_t row = 0; row < y.element_count() / 2; ++row)
      for (std::int64_t j = 0; j < 2; ++j) {
        double sum = at(bias, {j});
        for (std::int64_t k = 0; k < 3; ++k)
          sum += scalar::as_f64(x.bits(row * 3 + k)) * at(w, {j, k});
        EXPECT_EQ(scalar::as_f64(y.bits(row * 2 + j)), sum);
      }
  }
}

// --- Normalizations ----------------------------------------------------------

TEST_F(OpsValues, softmax_and_its_logarithm) {
  Var x = input(Tensor::from<double>({1, 2, 3, -1000, 0, 1000}, {2, 3}));
  std::vector<double> y = numbers(softmax(x)), z = numbers(log_softmax(x));
  double sum = std::exp(-2) + std::exp(-1) + 1;
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_NEAR(y[i], std::exp(static_cast<double>(i) - 2) / sum, 1e-15);
    EXPECT_NEAR(z[i], static_cast<double>(i) - 2 - std::log(sum), 1e-15);
  }
  EXPECT_THAT(std::vector(y.begin() + 3, y.end()), ElementsAre(0, 0, 1));
  EXPECT_THAT(std::vector(z.begin() + 3, z.end()), ElementsAre(-2000, -1000, 0));
}

TEST_F(OpsValues, softmax_gradients_match_differences) {
  Tensor x = Tensor::from<double>({0.3, -1.2, 2.0, 0.7}, {4});
  Tensor weights = Tensor::from<double>({1.5, -0.5, 2.0, 0.25}, {4});
  for (const char* op : {"softmax", "log_softmax"}) {
    auto weighted = [&](const Tensor& at_x) {
      GraphBuilder builder;
      Var y = builder.apply(op, {builder.constant(at_x)});
      builder.output("y", reduce_sum(y * builder.constant(weights)));
      return scalar::as_f64(interpret(builder.graph(), {}, {})[0].bits(0));
    };
    Var y = builder_.apply(op, {builder_.constant(x)});
    std::vector<double> gradient = numbers(stated_gradients(y, builder_.constant(weights))[0]);
    for (std::size_t i = 0; i < 4; ++i) {
      constexpr double step = 1e-5;
      auto moved = [&](double by) {
        std::vector<double> values(x.elements<double>().begin(), x.elements<double>().end());
        values[i] += by;
        return weighted(Tensor::from(std::span<const double>(values), {4}));
      };
      EXPECT_NEAR(gradient[i], (moved(step) - moved(-step)) / (2 * step), 1e-9) << op;
    }
  }
}

TEST_F(OpsValues, layer_norm_over_the_last_axes) {
  // An offset of 2^26 would leave nothing of a variance taken as a difference of sums.
  std::vector<double> values{1, 2, 3, 4, 5, 6};
  for (double& v : values) v += 67108864;
  Var x = input(Tensor::from(std::span<const double>(values), {1, 2, 3}));
  Var scale = input(Tensor::from<double>({2, 1, 1}, {3}));
  Var bias = input(Tensor::from<double>({0.5}, {1}));
  std::vector<double> all = numbers(layer_norm(x, scale, bias, 1));
  double deviation = std::sqrt(35.0 / 12 + 1e-5);
  for (std::size_t i = 0; i < 6; ++i)
    EXPECT_NEAR(all[i], (static_cast<double>(i) - 2.5) / deviation * (i % 3 == 0 ? 2 : 1) + 0.5,
                1e-14);
  std::vector<double> rows = numbers(layer_norm(x, Var(), Var(), -1, 0.0));
  for (std::size_t i = 0; i < 6; ++i)
    EXPECT_NEAR(rows[i], (static_cast<double>(i % 3) - 1) / std::sqrt(2.0 / 3), 1e-14);
}

// --- Sources and casts -------------------------------------------------------

TEST_F(OpsValues, sources) {
  Dim n = Dim::symbol("N");
  input(random({2}), {n});
  EXPECT_THAT(run(iota(builder_, {n, 3}, 1)).elements<std::int64_t>(),
              ElementsAre(0, 1, 2, 0, 1, 2));
  EXPECT_THAT(numbers(iota(builder_, {n, 3}, 0, DType::f32)), ElementsAre(0, 0, 0, 1, 1, 1));
  EXPECT_THAT(numbers(size_of(builder_, {n, 3, n + Dim(1)}, DType::f64)), ElementsAre(18));
  EXPECT_THAT(numbers(size_of(builder_, {})), ElementsAre(1));
}

TEST_F(OpsValues, casts_saturate_and_go_back_in_the_gradient) {
  Var x = input(Tensor::from<float>({-1.7f, 2.5f, NAN, 1e20f}, {4}));
  EXPECT_THAT(run(cast(x, DType::i32)).elements<std::int32_t>(), ElementsAre(-1, 2, 0, INT32_MAX));
  Var wide = cast(x, DType::f64);
  EXPECT_EQ(stated_gradients(wide, wide)[0].dtype(), DType::f32);
  Var whole = cast(x, DType::i32);
  EXPECT_FALSE(stated_gradients(whole, whole)[0].valid());
}

}  // namespace
}  // namespace weir
