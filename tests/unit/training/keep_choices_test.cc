// Choices of the forward pass that the backward pass reads in bytes: where they are kept, and that
// no bit changes.
#include "compiler/rematerialize/keep_choices.h"

#include <limits>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compiler/autodiff/gradient.h"
#include "compiler/initialize.h"
#include "compiler/lowering/lower.h"
#include "compiler/passes/pass_manager.h"
#include "compiler/pipeline.h"
#include "compiler/rematerialize/kept_values.h"
#include "ir/builder_ops.h"
#include "ir/interpreter.h"
#include "tests/support/graphs.h"

namespace weir {
namespace {

using testing::Contains;
using testing::Not;

struct Pooling {
  std::vector<std::int64_t> kernel{2, 2}, strides{2, 2}, dilations = {}, low = {}, high = {};
  DType type = DType::f32;
  bool is_last = false;  // the loss is of what is pooled, in the kernel that pools
  double slope = 0.01;
};

// The gradients of all filters and of images through a convolution, LeakyReLU, max_pool and a
// second convolution.
Model pooled(const Pooling& pooling) {
  GraphBuilder b("pooled");
  Var h = b.input("x", pooling.type, {Dim::symbol("N"), 2, 20, 20});
  h = conv(h, b.param("w", pooling.type, {16, 2, 3, 3}, {"he"}),
           b.param("b", pooling.type, {16}, {"uniform"}), {}, {}, {1, 1}, {1, 1});
  h = max_pool(leaky_relu(h, pooling.slope), pooling.kernel, pooling.strides, pooling.dilations,
               pooling.low, pooling.high);
  if (!pooling.is_last) h = conv(h, b.param("v", pooling.type, {8, 16, 1, 1}, {"he"}));
  b.output("loss", reduce_sum(tanh(h) * h));
  Model model = b.finish();
  initialize(model, {}, 5);
  std::vector<std::string> wrt{"w", "b", "x"};
  if (!pooling.is_last) wrt.emplace_back("v");
  return {gradient(model.graph, wrt, {{"loss"}}), std::move(model.weights)};
}

// All that the default passes do, and no choice.
CompileOptions without_choices() {
  CompileOptions options;
  options.passes.assign(default_passes().begin(), default_passes().end());
  return options;
}

std::vector<std::string> kept(const Graph& graph) {
  std::vector<std::string> result;
  for (const KeptValue& value : kept_values(graph, lower(graph)))
    result.push_back(fmt::format("{} {}", value.choice, to_string(value.type.dtype)));
  return result;
}

std::int64_t kept_bytes(const Graph& graph) {
  Dim bytes = 0;
  for (const KeptValue& value : kept_values(graph, lower(graph))) bytes = bytes + value.bytes;
  return bytes.evaluate({{"N", 16}}).value();
}

// Random images with ties, zeros of both signs and NaN in windows, alone and twice.
Tensor images(DType type, std::int64_t rows) {
  test::Generator generator(7);
  Tensor tensor = test::random_tensor(type, {rows, 2, 20, 20}, generator);
  for (std::int64_t i = 0; i < 60; ++i)
    tensor.set_bits(i, scalar::bits_of(type, i % 2 ? 0.0 : -0.0));
  for (std::int64_t i : {405, 410, 411, 700})
    tensor.set_bits(i, scalar::bits_of(type, std::numeric_limits<double>::quiet_NaN()));
  return tensor;
}

void expect_same_bits(const Model& model) {
  auto chosen = compile(model), plain = compile(model, without_choices());
  const DType type = model.graph.type(model.graph.inputs()[0]).dtype;
  for (std::int64_t rows : {1, 5, 16}) {
    const std::vector<Tensor> inputs{images(type, rows)};
    const std::vector<Tensor> left = chosen.run(inputs), right = plain.run(inputs);
    ASSERT_EQ(left.size(), right.size());
    for (std::size_t i = 0; i < left.size(); ++i)
      EXPECT_TRUE(compare(left[i], right[i]).identical)
          << model.graph.outputs()[i].name << " of " << rows;
  }
}

TEST(KeepChoices, MaxPoolsAreKeptInBytesWithTheSameBits) {
  const std::vector<Pooling> all{
      {},
      {.kernel = {3, 3}, .strides = {2, 2}, .low = {1, 1}, .high = {1, 1}},
      {.kernel = {3, 3}, .strides = {1, 1}},
      {.kernel = {2, 3}, .strides = {3, 2}, .dilations = {2, 1}},
      // Windows that lie in the frame alone choose nothing.
      {.kernel = {2, 2}, .strides = {2, 2}, .low = {2, 2}, .high = {4, 4}},
      {.kernel = {15, 17}, .strides = {2, 2}},
      {.type = DType::f64}};
  for (const Pooling& pooling : all) {
    SCOPED_TRACE(testing::PrintToString(pooling.kernel) + testing::PrintToString(pooling.strides));
    const Model model = pooled(pooling);
    const Graph chosen = optimize(model.graph), plain = optimize(model.graph, without_choices());
    EXPECT_THAT(kept(chosen), Contains("choice u8"));
    EXPECT_LT(kept_bytes(chosen), kept_bytes(plain));
    expect_same_bits(model);
  }
}

// What is pooled has the sign of what it was chosen among, so no bits are packed of that, and no
// kernel is there that was not. With a negative slope it has not, and the gradient has other zeros
// behind it.
TEST(KeepChoices, SignsAreThoseOfWhatIsPooled) {
  for (const Pooling& pooling :
       {Pooling{}, {.kernel = {3, 3}, .strides = {2, 2}, .low = {1, 1}, .high = {1, 1}}}) {
    const Model model = pooled(pooling);
    const Graph chosen = optimize(model.graph), plain = optimize(model.graph, without_choices());
    EXPECT_THAT(kept(chosen), Not(Contains("bits u8")));
    EXPECT_LE(lower(chosen).calls.size(), lower(plain).calls.size());
  }
  const Model model = pooled({.slope = -0.5});
  EXPECT_THAT(kept(optimize(model.graph)), testing::IsSupersetOf({"choice u8", "bits u8"}));
  expect_same_bits(model);
}

// Of 256 taps there is no number that means none, and what the kernel at the border pools is there
// anyway.
TEST(KeepChoices, WhatWouldNotBeLessStaysAsItIs) {
  for (const Pooling& pooling :
       {Pooling{.kernel = {16, 16}, .strides = {2, 2}}, Pooling{.is_last = true}}) {
    const Model model = pooled(pooling);
    EXPECT_THAT(kept(optimize(model.graph)), Not(Contains("choice u8")));
    expect_same_bits(model);
  }
}

// The choice of one pooling stands in the gradient of the gradient as well.
TEST(KeepChoices, SecondDerivativesHaveTheSameBits) {
  Model model = pooled({});
  model.graph = gradient(model.graph, std::vector<std::string>{"w"}, {{"grad_x"}});
  expect_same_bits(model);
}

}  // namespace
}  // namespace weir
