// RNN, GRU and LSTM: against PyTorch in f64, with weights that a formula gives; and properties that
// the definition has for every cell.
#include <algorithm>
#include <array>
#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ir/interpreter.h"
#include "onnx_models.h"
#include "support.h"

namespace weir::test {
namespace {

struct Cell {
  const char* op;
  std::int64_t gates;
  std::vector<double>
      pytorch;  // both directions of wave({3, 2, 2}, 0), [steps, directions, batch, 2]
};

const std::vector<Cell>& cells() {
  static const std::vector<Cell> result{
      {"GRU", 3, {-0.050714, -0.091252, 0.033194,  -0.228884, -0.410881, 0.037378,
                  -0.096358, -0.209016, -0.017306, -0.221805, 0.008975,  -0.306988,
                  -0.372343, 0.081707,  -0.109430, -0.199780, 0.067445,  -0.371121,
                  -0.055142, -0.293115, -0.250235, 0.085577,  -0.116995, -0.120964}},
      {"LSTM", 4, {0.141057,  0.093755,  0.171777,  0.009683,  -0.049729, -0.263202,
                   -0.011926, -0.201987, 0.211688,  0.117521,  0.200792,  0.052745,
                   -0.060515, -0.221784, 0.029060,  -0.178854, 0.272560,  0.102238,
                   0.177786,  0.111919,  -0.050855, -0.135914, 0.039029,  -0.127956}},
      {"RNN", 1, {0.230568,  -0.060105, -0.023837, 0.087713,  0.329201,  -0.208465,
                  -0.037395, 0.003646,  0.412686,  -0.272836, -0.117964, 0.217294,
                  0.397810,  -0.298791, -0.149506, 0.136609,  0.545443,  -0.459264,
                  -0.197884, 0.332170,  0.309345,  -0.248790, -0.123765, 0.145814}}};
  return result;
}

Tensor wave(Tensor::Sizes sizes, double phase) {
  Tensor tensor(DType::f64, std::move(sizes));
  for (std::size_t i = 0; i < tensor.mutable_elements<double>().size(); ++i)
    tensor.mutable_elements<double>()[i] = 0.5 * std::sin(1.7 * static_cast<double>(i) + phase);
  return tensor;
}

// A layer of hidden size 2 on x of [steps, 2, 2].
struct Layer {
  Cell cell;
  std::string direction = "bidirectional";
  std::vector<std::int32_t> lengths = {};

  std::vector<Tensor> run(const Tensor& x) const {
    std::int64_t directions = direction == "bidirectional" ? 2 : 1, gates = 2 * cell.gates;
    OnnxModel model(14);
    model.input("x", {static_cast<int>(x.sizes()[0]), 2, 2}, onnx::TensorProto::DOUBLE);
    model.initializer("w", wave({directions, gates, 2}, 1));
    model.initializer("r", wave({directions, gates, 2}, 2));
    model.initializer("b", wave({directions, 2 * gates}, 3));
    if (!lengths.empty()) model.initializer("lengths", Tensor::from<std::int32_t>(lengths, {2}));
    auto& node = model.output("y").output("h").node(
        cell.op, {"x", "w", "r", "b", lengths.empty() ? "" : "lengths"}, {"y", "h"});
    set_int(node, "hidden_size", 2);
    set_text(node, "direction", direction);
    if (cell.gates == 3) set_int(node, "linear_before_reset", 1);
    Model loaded = model.load();
    return interpret(loaded.graph, loaded.weights, {{"x", x}});
  }
};

// Element i of the first axis, as numbers.
std::vector<double> step(const Tensor& tensor, std::int64_t i) {
  auto all = tensor.elements<double>();
  auto size = static_cast<std::size_t>(tensor.element_count() / tensor.sizes()[0]);
  auto first = all.begin() + static_cast<std::ptrdiff_t>(size) * i;
  return {first, first + static_cast<std::ptrdiff_t>(size)};
}

Tensor reversed(const Tensor& x) {
  Tensor result = x;
  std::vector<double> values;
  for (std::int64_t i = x.sizes()[0]; i-- > 0;)
    for (double value : step(x, i)) values.push_back(value);
  return Tensor::from<double>(values, x.sizes());
}

TEST(OnnxRecurrent, BothDirectionsEqualPyTorch) {
  for (const Cell& cell : cells()) {
    Tensor y = Layer{cell}.run(wave({3, 2, 2}, 0)).at(0);
    ASSERT_EQ(y.sizes(), (Tensor::Sizes{3, 2, 2, 2})) << cell.op;
    for (std::size_t i = 0; i < cell.pytorch.size(); ++i)
      EXPECT_NEAR(y.elements<double>()[i], cell.pytorch[i], 1e-6) << cell.op << " at " << i;
  }
}

TEST(OnnxRecurrent, ReverseIsForwardOnReversedSteps) {
  for (const Cell& cell : cells()) {
    Tensor x = wave({4, 2, 2}, 0.5);
    std::vector<Tensor> reverse = Layer{cell, "reverse"}.run(x);
    std::vector<Tensor> forward = Layer{cell, "forward"}.run(reversed(x));
    EXPECT_EQ(reverse.at(1).to_string(), forward.at(1).to_string()) << cell.op;
    for (std::int64_t t = 0; t < 4; ++t)
      EXPECT_EQ(step(reverse.at(0), t), step(forward.at(0), 3 - t)) << cell.op;
  }
}

// The second example ends after two of four steps.
TEST(OnnxRecurrent, AnExampleEndsAtItsLength) {
  for (const Cell& cell : cells()) {
    for (const char* direction : {"forward", "reverse"}) {
      Tensor x = wave({4, 2, 2}, 0.5);
      std::vector<Tensor> cut = Layer{cell, direction, {4, 2}}.run(x);
      std::vector<Tensor> whole = Layer{cell, direction}.run(x);
      std::vector<double> two_steps = step(x, 0), second = step(x, 1);
      two_steps.insert(two_steps.end(), second.begin(), second.end());
      std::vector<Tensor> shorter =
          Layer{cell, direction}.run(Tensor::from<double>(two_steps, {2, 2, 2}));
      for (std::size_t i = 0; i < 2; ++i) {
        EXPECT_EQ(cut[1].elements<double>()[i], whole[1].elements<double>()[i]) << cell.op;
        EXPECT_EQ(cut[1].elements<double>()[2 + i], shorter[1].elements<double>()[2 + i]);
        for (std::int64_t t = 0; t < 4; ++t) {
          double expected = t < 2 ? step(shorter[0], t)[2 + i] : 0;
          EXPECT_EQ(step(cut[0], t)[2 + i], expected) << cell.op << " " << direction << " " << t;
        }
      }
    }
  }
}

// The definition in scalars, of one example and a state of two, with activations of one's own and a
// clip.
using Pair = std::array<double, 2>;

double clipped(double x) { return std::clamp(x, -0.4, 0.4); }
double hard_sigmoid(double x) { return std::clamp(0.3 * clipped(x) + 0.6, 0.0, 1.0); }
double leaky(double x) { return clipped(x) > 0 ? clipped(x) : 0.2 * clipped(x); }

// What gate `k` of `gates` gets of the weights: W x, R h and both biases.
struct Weights2 {
  std::int64_t gates;
  Tensor w = wave({1, 2 * gates, 2}, 1), r = wave({1, 2 * gates, 2}, 2),
         b = wave({1, 4 * gates}, 3);

  double product(const Tensor& matrix, std::int64_t row, const Pair& x) const {
    auto at = matrix.elements<double>().subspan(static_cast<std::size_t>(2 * row), 2);
    return 3 * (at[0] * x[0] + at[1] * x[1]);
  }
  double bias(std::int64_t row, bool recurrent) const {
    return b.elements<double>()[static_cast<std::size_t>(row + (recurrent ? 2 * gates : 0))];
  }
  double all(std::int64_t row, const Pair& x, const Pair& h) const {
    return product(w, row, x) + product(r, row, h) + bias(row, false) + bias(row, true);
  }
};

// The last state by the model; weights are three times those of a wave, so that gates are clipped.
std::vector<double> last_state(const char* op, const Weights2& weights, const Tensor& x,
                               const std::vector<std::string>& activations, bool is_lstm) {
  auto tripled = [](Tensor tensor) {
    for (double& value : tensor.mutable_elements<double>()) value *= 3;
    return tensor;
  };
  OnnxModel model(14);
  model.input("x", {static_cast<int>(x.sizes()[0]), 1, 2}, onnx::TensorProto::DOUBLE);
  model.initializer("w", tripled(weights.w))
      .initializer("r", tripled(weights.r))
      .initializer("b", weights.b);
  model.initializer("p", wave({1, 6}, 4));
  std::vector<std::string> inputs{"x", "w", "r", "b"};
  if (is_lstm) inputs.insert(inputs.end(), {"", "", "", "p"});
  auto& node = model.output("h").node(op, inputs, {"", "h"});
  set_int(node, "hidden_size", 2);
  set_float(node, "clip", 0.4F);
  if (is_lstm) set_int(node, "input_forget", 1);
  auto& names = attribute(node, "activations", onnx::AttributeProto::STRINGS);
  for (const std::string& name : activations) names.add_strings(name);
  // Each takes the next alpha and beta that it has a use for.
  auto& alphas = attribute(node, "activation_alpha", onnx::AttributeProto::FLOATS);
  for (float alpha : {0.3F, 0.2F}) alphas.add_floats(alpha);
  attribute(node, "activation_beta", onnx::AttributeProto::FLOATS).add_floats(0.6F);
  Model loaded = model.load();
  Tensor h = interpret(loaded.graph, loaded.weights, {{"x", x}}).at(0);
  auto values = h.elements<double>();
  return {values.begin(), values.end()};
}

Pair input_of(const Tensor& x, std::int64_t t) {
  std::vector<double> values = step(x, t);
  return {values[0], values[1]};
}

// Gates i, o, f and c; the forget gate is what the input gate leaves.
TEST(OnnxRecurrent, LstmWithItsOwnActivationsClipAndCoupledGates) {
  const Weights2 weights{4};
  const Tensor x = wave({5, 1, 2}, 0.3), peepholes = wave({1, 6}, 4);
  auto peephole = [&](std::int64_t k, std::int64_t j) {
    return peepholes.elements<double>()[static_cast<std::size_t>(2 * k + j)];
  };
  Pair h{}, c{};
  for (std::int64_t t = 0; t < 5; ++t) {
    const Pair before = h;
    for (std::int64_t j = 0; j < 2; ++j) {
      auto gate = [&](std::int64_t k) { return weights.all(2 * k + j, input_of(x, t), before); };
      double& cell = c[static_cast<std::size_t>(j)];
      const double i = hard_sigmoid(gate(0) + peephole(0, j) * cell);
      cell = (1 - i) * cell + i * leaky(gate(3));
      h[static_cast<std::size_t>(j)] =
          hard_sigmoid(gate(1) + peephole(1, j) * cell) * cell / (1 + std::abs(cell));
    }
  }
  std::vector<double> actual =
      last_state("LSTM", weights, x, {"HardSigmoid", "LeakyRelu", "Softsign"}, true);
  for (std::size_t j = 0; j < 2; ++j) EXPECT_NEAR(actual[j], h[j], 1e-6);
}

// Gates z, r and h; what is reset is the state before its product.
TEST(OnnxRecurrent, GruWithItsOwnActivationsAndClip) {
  const Weights2 weights{3};
  const Tensor x = wave({5, 1, 2}, 0.3);
  Pair h{};
  for (std::int64_t t = 0; t < 5; ++t) {
    const Pair before = h, in = input_of(x, t);
    auto gate = [&](std::int64_t row) { return hard_sigmoid(weights.all(row, in, before)); };
    const Pair reset{gate(2) * before[0], gate(3) * before[1]};
    for (std::int64_t j = 0; j < 2; ++j) {
      const double z = gate(j);
      h[static_cast<std::size_t>(j)] =
          (1 - z) * leaky(weights.all(4 + j, in, reset)) + z * before[static_cast<std::size_t>(j)];
    }
  }
  std::vector<double> actual = last_state("GRU", weights, x, {"HardSigmoid", "LeakyRelu"}, false);
  for (std::size_t j = 0; j < 2; ++j) EXPECT_NEAR(actual[j], h[j], 1e-6);
}

TEST(OnnxRecurrent, StepsHaveToBeANumber) {
  OnnxModel model(14);
  model.input("x", {"T", 2, 2}).output("y");
  for (const char* name : {"w", "r"}) model.initializer(name, Tensor(DType::f32, {1, 2, 2}));
  model.node("RNN", {"x", "w", "r"}, {"y"}, "layer");
  EXPECT_THAT(error_of([&] { model.load(); }),
              testing::HasSubstr("it has T steps, which are written out one by one: declare their "
                                 "number, 1 to 4096"));
}

}  // namespace
}  // namespace weir::test
