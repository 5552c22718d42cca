// Params that have no gradient because every path from them to the loss loses its derivative: where
// that holds for all, there is no training step, and the error says where the last path ends; else
// the others are trained, and these stay as they are.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compiler/autodiff/gradient.h"
#include "compiler/autodiff/training_step.h"
#include "compiler/initialize.h"
#include "compiler/trainer.h"
#include "ir/verifier.h"
#include "tests/support/graphs.h"

namespace weir {
namespace {

using test::error_of;
using test::parse;
using testing::ElementsAre;
using testing::HasSubstr;

// A graph of inputs x, t: f32[N, 4] and params v: f32[4], w: f32[4, 4] with this body and %loss.
Graph with_body(const std::string& body) {
  return parse(
      "graph @g(%x: f32[N, 4], %t: f32[N, 4]) -> (f32[]) {\n  param %v: f32[4]\n"
      "  param %w: f32[4, 4]\n" +
      body + "  return %loss\n}\n");
}

struct Cut {
  std::string body, told;
};
void PrintTo(const Cut& cut, std::ostream* out) { *out << cut.told; }

class UnreachedLoss : public testing::TestWithParam<Cut> {};

TEST_P(UnreachedLoss, IsRefused) {
  Graph graph = with_body(GetParam().body);
  const std::string error =
      "error: no path with a derivative leads from a param that is trained "
      "to the loss %loss";
  EXPECT_THAT(error_of([&] { training_step(graph, {"sgd"}); }), HasSubstr(error + GetParam().told));
  Model model{graph, {}};
  initialize(model, {"he"}, 1);
  EXPECT_THAT(error_of([&] { Trainer(std::move(model), {"sgd"}); }),
              HasSubstr(error + GetParam().told));
  // To the gradient that is no error: it is zero.
  std::vector<std::string> wrt{"v", "w"};
  EXPECT_EQ(error_of([&] { gradient(graph, wrt); }), "no error");
}

INSTANTIATE_TEST_SUITE_P(
    Cuts, UnreachedLoss,
    testing::Values(
        // The later one of two.
        Cut{"  %y = matmul(%x, %w)\n  %k = arg_max(%y)\n  %f = cast(%k) {dtype = f32}\n"
            "  %n = neg(%f)\n  %loss = reduce_mean(%n)\n",
            ": the last one ends at arg_max at test.weir:5:8, whose result is i64[N]\n"},
        Cut{"  %y = linear(%x, %w, %v)\n  %i = cast(%y) {dtype = i32}\n"
            "  %f = cast(%i) {dtype = f32}\n  %loss = mse_loss(%f, %t)\n",
            ": the last one ends at cast at test.weir:5:8, whose result is i32[N, 4]\n"},
        Cut{"  %y = mul(%x, %v)\n  %c = less(%y, %t)\n  %s = select(%c, %x, %t)\n"
            "  %loss = reduce_sum(%s)\n",
            ": the last one ends at less at test.weir:5:8, whose result is bool[N, 4]\n"},
        Cut{"  %y = mul(%x, %v)\n  %s = stop_gradient(%y)\n  %loss = l1_loss(%s, %t)\n",
            ": the last one ends at stop_gradient at test.weir:5:8\n"},
        // The derivative of relu.grad for its first operand.
        Cut{"  %y = mul(%x, %v)\n  %s = relu.grad(%y, %t)\n  %loss = reduce_sum(%s)\n",
            ": the last one ends at relu.grad at test.weir:5:8, whose derivative is 0\n"},
        // Of two ends the last one.
        Cut{"  %y = mul(%x, %v)\n  %s = stop_gradient(%y)\n  %z = mul(%s, %v)\n"
            "  %c = less(%z, %s)\n  %p = select(%c, %s, %t)\n  %loss = reduce_sum(%p)\n",
            ": the last one ends at less at test.weir:7:8, whose result is bool[N, 4]\n"},
        Cut{"  %y = matmul(%x, %w)\n  %loss = mse_loss(%x, %t)\n",
            ", which is made of none of them\n"}));

// loss = mean((w * x - t)^2) beside a count of what v says, which has no derivative for v.
Graph partly_reached() {
  return with_body(
      "  %y = matmul(%x, %w)\n  %c = less(%y, %v)\n  %f = cast(%c) {dtype = f32}\n"
      "  %n = reduce_mean(%f)\n  %m = mse_loss(%y, %t)\n  %loss = add(%m, %n)\n");
}

TEST(UnreachedParam, IsStateThatStays) {
  TrainingStep step = training_step(partly_reached(), {"adamw"});
  verify(step.graph);
  EXPECT_THAT(step.unreached, ElementsAre("v"));
  std::vector<std::string> state;
  for (const Graph::Output& output : step.graph.outputs())
    if (output.updates.valid()) state.push_back(step.graph.value(output.updates).name);
  EXPECT_THAT(state, ElementsAre("w.mean", "w.mean_square", "w", "optimizer.step", "v"));

  Model model{partly_reached(), {}};
  initialize(model, {"uniform"}, 1);
  // Weight decay, too, leaves it alone.
  for (bool check_finite : {false, true}) {
    Trainer trainer(model, parse_optimizer("adamw:weight_decay=0.5"),
                    {.check_finite = check_finite});
    EXPECT_THAT(trainer.unreached(), ElementsAre("v"));
    test::Generator generator(3);
    std::vector<Tensor> rows{test::random_tensor(DType::f32, {5, 4}, generator),
                             test::random_tensor(DType::f32, {5, 4}, generator)};
    for (int i = 0; i < 3; ++i) trainer.step(rows, 0.1);
    EXPECT_TRUE(compare(trainer.read("v"), model.weights.at("v")).identical);
    EXPECT_FALSE(compare(trainer.read("w"), model.weights.at("w")).identical);
    // What is written is what evaluation reads.
    double before = trainer.evaluate(rows)[0].elements<float>()[0];
    trainer.write("v", Tensor::from<float>({9, 9, 9, 9}, {4}));
    EXPECT_GT(trainer.evaluate(rows)[0].elements<float>()[0], before);
    EXPECT_EQ(trainer.c_step().variable_count, 5U);
  }
}

}  // namespace
}  // namespace weir
