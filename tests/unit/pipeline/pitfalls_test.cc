// What other systems get wrong, one test each, with the fault described. Everything is compiled at
// every vector level of the machine, and elements stand at every place of a vector and of what
// remains after whole vectors.
#include <array>
#include <cfenv>
#include <cmath>
#include <cstdint>
#include <limits>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "compiler/autodiff/gradient.h"
#include "ir/builder.h"
#include "ir/op.h"
#include "ir/registry.h"
#include "tests/support/graphs.h"
#include "tests/unit/pipeline/compiled.h"

namespace weir::test {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
// Whole vectors of every level, and a rest.
constexpr std::int64_t kElements = 4 * 64 + 37;
constexpr DType kFloats[]{DType::f32, DType::f64, DType::f16, DType::bf16};
constexpr DType kIntegers[]{DType::i8, DType::u8, DType::i32, DType::i64};

// kElements elements that repeat the numbers given.
Tensor repeated(DType type, const std::vector<double>& numbers) {
  Tensor result(type, {kElements});
  for (std::int64_t i = 0; i < kElements; ++i)
    result.set_bits(i,
                    scalar::bits_of(type, numbers[static_cast<std::size_t>(i) % numbers.size()]));
  return result;
}

Tensor tensor(DType type, Tensor::Sizes sizes, const std::vector<double>& numbers) {
  Tensor result(type, std::move(sizes));
  for (std::int64_t i = 0; i < result.element_count(); ++i)
    result.set_bits(i, scalar::bits_of(type, numbers.at(static_cast<std::size_t>(i))));
  return result;
}

double number(const Tensor& tensor, std::int64_t i) {
  return scalar::to_double(tensor.dtype(), tensor.bits(i));
}

bool same(double a, double b) {
  return std::isnan(a) ? std::isnan(b) : a == b && std::signbit(a) == std::signbit(b);
}

// Runs the graph everywhere, and calls check(outputs) for each level.
template <class Check>
void at_every_level(const Graph& graph, const Inputs& inputs, Check check) {
  for (const VectorLevel& level : vector_levels()) {
    SCOPED_TRACE(level.name() + "\n" + print(graph));
    check(compile(Program{graph, {}, inputs}, {level}).run(inputs));
    if (testing::Test::HasFailure()) return;
  }
}

// Expects that output `o` repeats these numbers.
void expect_repeats(const Tensor& output, const std::vector<double>& numbers) {
  for (std::int64_t i = 0; i < output.element_count(); ++i) {
    double expected = numbers[static_cast<std::size_t>(i) % numbers.size()];
    ASSERT_TRUE(same(number(output, i), expected))
        << "element " << i << " is " << number(output, i) << " and not " << expected;
  }
}

// A graph of one line, "y = TEXT" on inputs of this type: %x, and %z where the line has it.
Graph line(const std::string& text, DType type) {
  std::string t(name(type));
  std::string inputs = "%x: " + t + "[N]";
  if (text.find("%z") != std::string::npos) inputs += ", %z: " + t + "[N]";
  return parse("graph @m(" + inputs + ") {\n  %y = " + text + "\n  return %y\n}\n");
}

void expect_line(const std::string& text, DType type, const std::vector<double>& x,
                 const std::vector<double>& y) {
  at_every_level(line(text, type), {{"x", repeated(type, x)}},
                 [&](const std::vector<Tensor>& outputs) { expect_repeats(outputs[0], y); });
}

void expect_line(const std::string& text, DType type, const std::vector<double>& x,
                 const std::vector<double>& z, const std::vector<double>& y) {
  at_every_level(line(text, type), {{"x", repeated(type, x)}, {"z", repeated(type, z)}},
                 [&](const std::vector<Tensor>& outputs) { expect_repeats(outputs[0], y); });
}

// The gradient of the sum of the elements with respect to x.
void expect_gradient(const std::string& text, DType type, const std::vector<double>& x,
                     const std::vector<double>& gradients) {
  std::vector<std::string> wrt{"x"};
  Graph both = gradient(line(text, type), wrt);
  Inputs inputs{{"x", repeated(type, x)}};
  if (text.find("%z") != std::string::npos) inputs.emplace("z", repeated(type, x));
  at_every_level(both, inputs, [&](const std::vector<Tensor>& outputs) {
    expect_repeats(outputs[1], gradients);
  });
}

// ReLU as max(x, 0) hides a NaN where the instruction returns its second operand, as x86's does;
// some libraries compare with x > 0 and give 0. A NaN then vanishes in the first layer instead of
// being seen.
TEST(Pitfalls, NanGoesThroughEveryActivation) {
  int activations = 0;
  for (const auto& op : all_ops()) {
    if (op->family != "activation" || op->operands.size() != 1) continue;
    ++activations;
    for (DType type : kFloats) expect_line(op->name + "(%x)", type, {kNan}, {kNan});
  }
  EXPECT_GT(activations, 10);
  for (DType type : kFloats)
    for (double slope : {0.01, 0.0, 2.0, -0.5})
      expect_line(fmt::format("leaky_relu(%x) {{negative_slope = {}}}", scalar::shortest(slope)),
                  type, {1, kNan, -0.0},
                  {1, kNan, scalar::to_double(type, scalar::bits_of(type, -0.0 * slope))});
}

// A learned slope is a second operand that a NaN may come from. It belongs to the result only where
// the slope is used, and a gradient that multiplies by a mask takes it everywhere.
TEST(Pitfalls, NanInALearnedSlope) {
  std::vector<double> x{kNan, kNan, -1, 1, -2, kInf, -kInf, -0.0},
      slope{0.5, kNan, kNan, kNan, 0.25, 0, 0.5, kNan};
  std::vector<std::string> wrt{"x", "z"};
  for (DType type : kFloats) {
    at_every_level(gradient(line("prelu(%x, %z)", type), wrt),
                   {{"x", repeated(type, x)}, {"z", repeated(type, slope)}},
                   [&](const std::vector<Tensor>& outputs) {
                     expect_repeats(outputs[0], {kNan, kNan, kNan, 1, -0.5, kInf, -kInf, kNan});
                     expect_repeats(outputs[1], {0.5, kNan, kNan, 1, 0.25, 1, 0.5, kNan});
                     expect_repeats(outputs[2], {kNan, kNan, -1, 0, -2, 0, -kInf, -0.0});
                   });
  }
}

// minps, maxps and C's fmin and fmax each return the number where one operand is a NaN, or
// whichever comes second; so max(a, b) and max(b, a) differ, and a fold depends on its order.
TEST(Pitfalls, NanGoesThroughMaximumAndMinimum) {
  for (DType type : kFloats) {
    for (const char* op : {"maximum", "minimum"}) {
      std::string text = std::string(op) + "(%x, %z)";
      expect_line(text, type, {kNan, 1, kNan, kNan}, {1, kNan, kNan, -kInf},
                  {kNan, kNan, kNan, kNan});
    }
    // At each of the places, in turn.
    for (const char* op : {"reduce_max", "reduce_min"}) {
      std::string t(name(type));
      Graph graph =
          parse(fmt::format("graph @m(%x: {}[N, 83], %c: {}[83, N]) {{\n"
                            "  %y = {}(%x) {{axes = [1]}}\n  %z = {}(%c) {{axes = [0]}}\n"
                            "  return %y, %z\n}}\n",
                            t, t, op, op));
      Tensor rows(type, {83, 83});
      for (std::int64_t i = 0; i < 83 * 83; ++i)
        rows.set_bits(i,
                      scalar::bits_of(type, i / 83 == i % 83 ? kNan : static_cast<double>(i % 7)));
      at_every_level(graph, {{"x", rows}, {"c", rows}}, [&](const std::vector<Tensor>& outputs) {
        expect_repeats(outputs[0], {kNan});
        expect_repeats(outputs[1], {kNan});
      });
    }
  }
}

// max(slope * x, x) is LeakyReLU for slopes up to 1 only, and the sign of the output says nothing
// about the input when the slope is negative, nor anything at all when it is 0.
TEST(Pitfalls, LeakyReluWithAnySlope) {
  std::vector<double> x{3, -1, 0, -0.0, kInf, -kInf};
  for (DType type : kFloats) {
    expect_line("leaky_relu(%x) {negative_slope = 2}", type, x, {3, -2, 0, -0.0, kInf, -kInf});
    expect_line("leaky_relu(%x) {negative_slope = -0.5}", type, x, {3, 0.5, -0.0, 0, kInf, kInf});
    expect_line("leaky_relu(%x) {negative_slope = 1}", type, x, x);
    expect_gradient("leaky_relu(%x) {negative_slope = 2}", type, x, {1, 2, 2, 2, 1, 2});
    expect_gradient("leaky_relu(%x) {negative_slope = -0.5}", type, x,
                    {1, -0.5, -0.5, -0.5, 1, -0.5});
    expect_gradient("leaky_relu(%x) {negative_slope = 0}", type, x, {1, 0, 0, 0, 1, 0});
  }
}

// A type of 16 bits rounds slope * x to zero long before x is zero. A gradient that asks the output
// for the sign of the input takes the wrong side there.
TEST(Pitfalls, GradientWhereTheOutputRoundsToZero) {
  double tiny = 6e-8;  // the smallest f16
  expect_line("leaky_relu(%x)", DType::f16, {-tiny, tiny}, {-0.0, 0x1p-24});
  double slope = scalar::to_double(DType::f16, scalar::bits_of(DType::f16, 0.01));
  expect_gradient("leaky_relu(%x)", DType::f16, {-tiny, tiny}, {slope, 1});
}

// At a kink any number between the slopes is a subgradient, and frameworks differ. Weir's are
// stated on each op's page: x > 0 decides, at 0 and -0 alike.
TEST(Pitfalls, GradientAtZero) {
  for (DType type : kFloats) {
    auto rounded = [&](double x) { return scalar::to_double(type, scalar::bits_of(type, x)); };
    std::vector<double> zeros{0, -0.0};
    expect_gradient("leaky_relu(%x) {negative_slope = 0.01}", type, zeros, {rounded(0.01)});
    expect_gradient("relu(%x)", type, zeros, {0});
    expect_gradient("abs(%x)", type, zeros, {0});
    expect_gradient("elu(%x) {alpha = 0.5}", type, zeros, {0.5});
    expect_gradient("celu(%x)", type, zeros, {1});
    expect_gradient("softplus(%x)", type, zeros, {0.5});
    expect_gradient("hard_swish(%x)", type, zeros, {0.5});
    expect_gradient("sqrt(%x)", type, {0}, {kInf});
    expect_gradient("clip(%x) {min = 0, max = 6}", type, {0, -0.0, 6}, {1});
    expect_gradient("maximum(%x, %z)", type, {0}, {0.5});
    expect_gradient("minimum(%x, %z)", type, {0}, {0.5});
  }
}

// A gradient that multiplies by a mask gives 0 * inf = NaN for what was not chosen.
TEST(Pitfalls, BranchesNotTakenHaveNoGradient) {
  std::vector<std::string> wrt{"x"};
  for (DType type : kFloats) {
    Graph graph =
        parse(fmt::format("graph @m(%x: {0}[N], %zero: {0}[]) {{\n"
                          "  %positive = greater(%x, %zero)\n  %root = sqrt(%x)\n"
                          "  %y = select(%positive, %root, %zero)\n  return %y\n}}\n",
                          name(type)));
    Inputs inputs{{"x", repeated(type, {4, 0, -1, 0.25})}, {"zero", Tensor(type, {})}};
    at_every_level(gradient(graph, wrt), inputs, [&](const std::vector<Tensor>& outputs) {
      expect_repeats(outputs[1], {0.25, 0, 0, 1});
    });
  }
}

// exp of a large number is inf, and inf / inf NaN, unless the maximum is subtracted; where masked
// entries are -inf, so is the maximum of a row that is masked whole, and -inf - -inf is NaN: there
// is no distribution on nothing, and rows beside it must not suffer.
TEST(Pitfalls, SoftmaxOfMaskedRows) {
  for (DType type : kFloats) {
    Graph graph =
        parse(fmt::format("graph @m(%x: {}[N, 4]) {{\n  %p = softmax(%x)\n"
                          "  %l = log_softmax(%x)\n  return %p, %l\n}}\n",
                          name(type)));
    Tensor x = tensor(type, {6, 4}, {-kInf, 5,     -kInf, 5,     -kInf, -kInf, -kInf, -kInf,
                                     -kInf, -kInf, 3,     -kInf, 60000, 60000, 0,     -60000,
                                     1,     1,     1,     1,     kNan,  1,     2,     3});
    std::vector<double> p{0,   0.5, 0, 0.5, kNan, kNan, kNan, kNan, 0,    0,    1,    0,
                          0.5, 0.5, 0, 0,   0.25, 0.25, 0.25, 0.25, kNan, kNan, kNan, kNan};
    at_every_level(graph, {{"x", x}}, [&](const std::vector<Tensor>& outputs) {
      expect_repeats(outputs[0], p);
      for (std::int64_t i = 0; i < 24; ++i) {
        double expected = std::log(p[static_cast<std::size_t>(i)]), actual = number(outputs[1], i);
        if (p[static_cast<std::size_t>(i)] == 0 && std::isfinite(actual)) {
          EXPECT_LT(actual, -59000) << i;  // where softmax underflows, its logarithm does not
        } else if (std::isfinite(expected)) {
          EXPECT_NEAR(actual, expected, 0.01) << i;
        } else {
          EXPECT_TRUE(same(actual, expected)) << i << ": " << actual;
        }
      }
    });
    // The gradient of entries that are masked is 0.
    std::vector<std::string> wrt{"x"};
    Graph weighted =
        parse(fmt::format("graph @m(%x: {0}[N, 4], %w: {0}[4]) {{\n"
                          "  %p = softmax(%x)\n  %y = mul(%p, %w)\n  return %y\n}}\n",
                          name(type)));
    Inputs inputs{{"x", tensor(type, {1, 4}, {-kInf, 5, -kInf, 5})},
                  {"w", tensor(type, {4}, {1, 2, 3, 4})}};
    at_every_level(gradient(weighted, wrt), inputs, [&](const std::vector<Tensor>& outputs) {
      for (std::int64_t i = 0; i < 4; ++i)  // zeros of either sign
        EXPECT_EQ(number(outputs[1], i),
                  (std::array{0.0, -0.5, 0.0, 0.5})[static_cast<std::size_t>(i)])
            << i;
    });
  }
}

// A variance as the mean of squares less the square of the mean cancels: it comes out as 0, or
// negative and then NaN, when the mean is large. In 16 bits the squares overflow besides.
// Processors take many times as long for a product that vanishes as for others, and most elements
// of a softmax may be masked.
TEST(Pitfalls, ExponentialsOfWhatIsMaskedAreNoProductsThatVanish) {
  const std::vector<double> masked{-kInf, -60000, -1e4, -2000, 0, 1};
  for (DType type : kFloats) {
    const Graph graph = parse(fmt::format(
        "graph @m(%x: {}[N]) {{\n  %e = exp(%x)\n  %p = softmax(%x)\n  return %e, %p\n}}\n",
        name(type)));
    const Inputs inputs{{"x", repeated(type, masked)}};
    for (const VectorLevel& level : vector_levels()) {
      const Executable executable = compile(Program{graph, {}, inputs}, {level});
      std::feclearexcept(FE_UNDERFLOW);
      const std::vector<Tensor> outputs = executable.run(inputs);
      EXPECT_FALSE(std::fetestexcept(FE_UNDERFLOW)) << name(type) << " on " << level.name();
      expect_repeats(outputs[0], {0, 0, 0, 0, 1, number(outputs[0], 5)});
    }
  }
}

TEST(Pitfalls, ZeroVariance) {
  for (DType type : kFloats) {
    Graph graph =
        parse(fmt::format("graph @m(%x: {0}[N, 8], %s: {0}[8], %b: {0}[8]) {{\n"
                          "  %y = layer_norm(%x, %s, %b)\n  return %y\n}}\n",
                          name(type)));
    Tensor scale(type, {8}), bias(type, {8});
    for (std::int64_t i = 0; i < 8; ++i) {
      scale.set_bits(i, scalar::bits_of(type, 2.0));
      bias.set_bits(i, scalar::bits_of(type, 0.5));
    }
    std::vector<double> rows;
    for (double constant : {0.0, 1.0, -3.0, 1024.0, 32768.0, 1e-6})
      rows.insert(rows.end(), 8, constant);
    // Deviations of 128 from a mean of 16384: their squares sum up to more than 65504.
    for (int i = 0; i < 8; ++i) rows.push_back(16384 + (i % 2 == 0 ? 128 : -128));
    at_every_level(graph, {{"x", tensor(type, {7, 8}, rows)}, {"s", scale}, {"b", bias}},
                   [&](const std::vector<Tensor>& outputs) {
                     for (std::int64_t i = 0; i < 48; ++i)
                       ASSERT_EQ(number(outputs[0], i), 0.5) << i;
                     for (std::int64_t i = 48; i < 56; ++i)
                       ASSERT_NEAR(number(outputs[0], i), i % 2 == 0 ? 2.5 : -1.5, 0.01) << i;
                   });
  }
}

// The same over positions, groups and batches, and for statistics that are given: what is left of a
// channel whose elements are equal is its bias.
TEST(Pitfalls, ZeroVarianceOfChannels) {
  for (DType type : kFloats) {
    Graph graph =
        parse(fmt::format("graph @m(%x: {0}[N, 6, 8], %g: {0}[N, 6, 8], %s: {0}[6], %b: {0}[6],"
                          " %m: {0}[6], %v: {0}[6]) {{\n"
                          "  %i = instance_norm(%x, %s, %b)\n"
                          "  %y = group_norm(%g, %s, %b) {{groups = 3}}\n"
                          "  %t, %mean, %variance = batch_norm_training(%x, %s, %b, %m, %v)\n"
                          "  %n = batch_norm(%x, %s, %b, %m, %v)\n"
                          "  return %i, %y, %t, %n, %mean, %variance\n}}\n",
                          name(type)));
    std::array constants{0.0, 1.0, -3.0, 1024.0, 32768.0, 0x1p-20};
    std::vector<double> x, groups;
    for (int example = 0; example < 4; ++example)
      for (std::size_t channel = 0; channel < 6; ++channel) {
        x.insert(x.end(), 8, constants[channel]);
        groups.insert(groups.end(), 8, constants[channel / 2 + 3 * (example % 2)]);
      }
    std::vector<double> means(constants.begin(), constants.end());
    Inputs inputs{{"x", tensor(type, {4, 6, 8}, x)},
                  {"g", tensor(type, {4, 6, 8}, groups)},
                  {"s", tensor(type, {6}, {2, -1, 2, 1, 2, 3})},
                  {"b", tensor(type, {6}, std::vector<double>(6, 0.5))},
                  {"m", tensor(type, {6}, means)},
                  {"v", tensor(type, {6}, std::vector<double>(6, 0.0))}};
    at_every_level(graph, inputs, [&](const std::vector<Tensor>& outputs) {
      for (std::size_t o = 0; o < 4; ++o) expect_repeats(outputs[o], {0.5});
      for (std::int64_t i = 0; i < 6; ++i) {
        double mean = means[static_cast<std::size_t>(i)];
        EXPECT_NEAR(number(outputs[4], i), mean, 0.01 * std::abs(mean));
      }
      expect_repeats(outputs[5], {0});
    });
  }
}

// The gradient of a row without variance divides by the root of epsilon: it is large, and finite.
// Where the root's derivative is multiplied in without epsilon, it is 0 * inf.
TEST(Pitfalls, GradientAtZeroVariance) {
  std::vector<std::string> wrt{"x", "s"};
  for (DType type : kFloats) {
    Graph graph =
        parse(fmt::format("graph @m(%x: {0}[N, 8], %s: {0}[8], %b: {0}[8], %w: {0}[8]) {{\n"
                          "  %n = layer_norm(%x, %s, %b)\n  %y = mul(%n, %w)\n  return %y\n}}\n",
                          name(type)));
    std::vector<double> rows;
    for (double constant : {0.0, 1.0, -3.0, 1024.0, 32768.0}) rows.insert(rows.end(), 8, constant);
    Inputs inputs{{"x", tensor(type, {5, 8}, rows)},
                  {"s", tensor(type, {8}, std::vector<double>(8, 2.0))},
                  {"b", tensor(type, {8}, std::vector<double>(8, 0.5))},
                  {"w", tensor(type, {8}, {1, 0, 0, 0, 0, 0, 0, 0})}};
    double share = 2 / std::sqrt(1e-5) / 8, tolerance = type == DType::bf16 ? 0.02 : 0.004;
    at_every_level(gradient(graph, wrt), inputs, [&](const std::vector<Tensor>& outputs) {
      for (std::int64_t i = 0; i < 40; ++i)
        EXPECT_NEAR(number(outputs[1], i), i % 8 == 0 ? 7 * share : -share, 7 * tolerance * share)
            << i;
      for (std::int64_t i = 0; i < 8; ++i) EXPECT_EQ(number(outputs[2], i), 0) << i;
    });
  }
}

// A sum in 16 bits stops growing as soon as its last place is worth more than what is added: at
// 2048 ones in f16, at 256 in bf16.
TEST(Pitfalls, SumsOf16BitsAreAddedUpInF32) {
  for (DType type : {DType::f16, DType::bf16}) {
    Graph graph =
        parse(fmt::format("graph @m(%x: {0}[4096], %w: {0}[4096, 3]) {{\n"
                          "  %s = reduce_sum(%x)\n  %c = reduce_sum(%w) {{axes = [0]}}\n"
                          "  %r = reshape(%x) {{shape = [1, 4096]}}\n"
                          "  %p = matmul(%r, %w)\n  %m = reduce_mean(%x)\n"
                          "  return %s, %c, %p, %m\n}}\n",
                          name(type)));
    Tensor x(type, {4096}), w(type, {4096, 3});
    scalar::Bits one = scalar::bits_of(type, 1.0);
    for (std::int64_t i = 0; i < 4096; ++i) x.set_bits(i, one);
    for (std::int64_t i = 0; i < 3 * 4096; ++i) w.set_bits(i, one);
    at_every_level(graph, {{"x", x}, {"w", w}}, [&](const std::vector<Tensor>& outputs) {
      for (std::size_t o = 0; o < 3; ++o) expect_repeats(outputs[o], {4096});
      expect_repeats(outputs[3], {1});
    });
  }
}

// Signed overflow is undefined in C, and an optimizer may assume that it does not happen. Here it
// wraps.
TEST(Pitfalls, IntegersWrap) {
  for (DType type : kIntegers) {
    auto integer = [&](std::int64_t n) { return scalar::bits_of(type, n); };
    std::int64_t lowest = scalar::to_integer(type, scalar::bits_of(type, -kInf));
    std::int64_t highest = scalar::to_integer(type, scalar::bits_of(type, kInf));
    struct Case {
      const char* text;
      std::int64_t x, z, y;
    };
    std::vector<Case> cases{{"add(%x, %z)", highest, 1, lowest},
                            {"sub(%x, %z)", lowest, 1, highest},
                            {"mul(%x, %z)", highest, 2, -2},
                            {"neg(%x)", lowest, 0, is_signed(type) ? lowest : 0},
                            {"abs(%x)", lowest, 0, lowest}};
    for (const Case& one : cases) {
      Tensor x(type, {kElements}), z(type, {kElements});
      for (std::int64_t i = 0; i < kElements; ++i) {
        x.set_bits(i, integer(one.x));
        z.set_bits(i, integer(one.z));
      }
      Inputs inputs{{"x", x}};
      if (std::string(one.text).find("%z") != std::string::npos) inputs.emplace("z", z);
      at_every_level(line(one.text, type), inputs, [&](const std::vector<Tensor>& outputs) {
        for (std::int64_t i = 0; i < kElements; ++i)
          ASSERT_EQ(outputs[0].bits(i), integer(one.y)) << one.text;
      });
    }
  }
}

// An integer division by zero is a signal on x86, and so is the lowest number by -1; elsewhere it
// is 0 or all ones. Here x / 0 is 0 and x rem 0 is x, so x == (x / y) * y + x rem y for all x and
// y.
TEST(Pitfalls, IntegerDivisionNeverTraps) {
  for (DType type : kIntegers) {
    std::int64_t lowest = scalar::to_integer(type, scalar::bits_of(type, -kInf));
    std::int64_t highest = scalar::to_integer(type, scalar::bits_of(type, kInf));
    Graph graph =
        parse(fmt::format("graph @m(%x: {0}[N], %z: {0}[N]) {{\n  %q = div(%x, %z)\n"
                          "  %r = fmod(%x, %z)\n  %s = remainder(%x, %z)\n"
                          "  %p = mul(%q, %z)\n  %w = add(%p, %r)\n"
                          "  return %q, %r, %s, %w\n}}\n",
                          name(type)));
    std::vector<std::int64_t> numbers{lowest, lowest + 1, -7, -1, 0, 1, 2, 7, highest - 1, highest};
    Tensor x(type, {100}), z(type, {100});
    for (std::int64_t i = 0; i < 100; ++i) {
      x.set_bits(i, scalar::bits_of(type, numbers[static_cast<std::size_t>(i / 10)]));
      z.set_bits(i, scalar::bits_of(type, numbers[static_cast<std::size_t>(i % 10)]));
    }
    at_every_level(graph, {{"x", x}, {"z", z}}, [&](const std::vector<Tensor>& outputs) {
      for (std::int64_t i = 0; i < 100; ++i) {
        std::int64_t a = scalar::to_integer(type, x.bits(i)),
                     b = scalar::to_integer(type, z.bits(i));
        bool wraps = is_signed(type) && a == lowest && b == -1;
        std::int64_t quotient = b == 0 ? 0 : wraps ? lowest : a / b;
        std::int64_t rest = b == 0 ? a : wraps ? 0 : a % b;
        std::int64_t floored = b != 0 && rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
        EXPECT_EQ(scalar::to_integer(type, outputs[0].bits(i)), quotient) << a << " / " << b;
        EXPECT_EQ(scalar::to_integer(type, outputs[1].bits(i)), rest) << a << " rem " << b;
        EXPECT_EQ(scalar::to_integer(type, outputs[2].bits(i)), floored) << a << " mod " << b;
        EXPECT_EQ(outputs[3].bits(i), x.bits(i)) << a << " and " << b;
      }
    });
  }
}

// A float beyond an integer's range is undefined in C; x86 gives the lowest number for all of them,
// ARM saturates, and vector and scalar code of one compiler may differ. Here it saturates, and NaN
// gives 0.
TEST(Pitfalls, CastsOfFloatsOutOfRange) {
  for (DType from : kFloats) {
    for (DType to : kIntegers) {
      Graph graph = line(fmt::format("cast(%x) {{dtype = {}}}", name(to)), from);
      std::int64_t lowest = scalar::to_integer(to, scalar::bits_of(to, -kInf));
      std::int64_t highest = scalar::to_integer(to, scalar::bits_of(to, kInf));
      std::vector<double> x{kInf, -kInf, kNan, 1e30, -1e30, 0.9, -0.9, -0.0, 2.5, 127.5, 1e-30};
      // The ends of the ranges, and the numbers next to them in every type that has them.
      for (int bits : {7, 8, 15, 16, 31, 32, 63, 64})
        for (int places : {8, 11, 24, 53}) {
          double end = std::ldexp(1, bits), below = end - std::ldexp(1, bits - places),
                 above = end + std::ldexp(1, bits - places + 1);
          x.insert(x.end(), {end, -end, below, -below, above, -above});
        }
      std::vector<std::int64_t> y;
      for (double given : x) {
        double value = scalar::to_double(from, scalar::bits_of(from, given));
        y.push_back(std::isnan(value)                       ? 0
                    : value >= static_cast<double>(highest) ? highest
                    : value <= static_cast<double>(lowest)  ? lowest
                                                            : static_cast<std::int64_t>(value));
      }
      at_every_level(graph, {{"x", repeated(from, x)}}, [&](const std::vector<Tensor>& outputs) {
        for (std::int64_t i = 0; i < kElements; ++i) {
          std::size_t which = static_cast<std::size_t>(i) % x.size();
          ASSERT_EQ(scalar::to_integer(to, outputs[0].bits(i)), y[which])
              << x[which] << " at " << i;
        }
      });
    }
  }
}

// What lies behind an empty tensor is not its last element.
TEST(Pitfalls, ResizingAnAxisThatTurnsOutToBeEmpty) {
  for (const char* mode : {"nearest", "linear", "cubic"}) {
    Graph graph = parse(fmt::format(R"(graph @g(%x: f32[N, 3]) -> (f32[7, 3]) {{
  %y = resize(%x) {{size = [7], axis = 0, mode = "{}"}}
  return %y
}})",
                                    mode));
    at_every_level(graph, {{"x", Tensor(DType::f32, {0, 3})}}, [&](const std::vector<Tensor>& y) {
      for (float element : y[0].elements<float>()) EXPECT_EQ(element, 0) << mode;
    });
  }
}

}  // namespace
}  // namespace weir::test
