// The op declarations: every op is complete, shapes come out right, and what does not fit is
// refused with a message that says what would.

#include "ir/ops/ops.h"

#include <cmath>
#include <fstream>
#include <functional>
#include <limits>
#include <set>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ir/builder_ops.h"
#include "ir/ops/helpers.h"
#include "ir/reference.h"
#include "ir/registry.h"

namespace weir {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const Dim kDimN = Dim::symbol("N");
const Dim kDimM = Dim::symbol("M");

// The message of an error, without the place.
std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.diagnostic().message;
  }
  return "no error";
}

// Inputs of these types in one graph.
class Ops : public ::testing::Test {
 protected:
  Var input(Shape shape, DType type = DType::f32) {
    return builder_.input("x" + std::to_string(count_++), type, std::move(shape));
  }
  GraphBuilder builder_;
  int count_ = 0;
};

// --- Registry ----------------------------------------------------------------

TEST(Registry, targets_that_a_loss_does_not_take_are_told_by_its_message) {
  std::set<std::string> losses;
  for (const auto& op : all_ops()) {
    if (!op->targets) continue;
    SCOPED_TRACE(op->name);
    losses.insert(op->name);
    const TargetRange& range = *op->targets;
    EXPECT_TRUE(op->is_loss);
    ASSERT_EQ(op->operands.size(), 2U);
    EXPECT_EQ(op->operands[1].name, "target");
    const bool is_any = range.most == std::numeric_limits<double>::max();
    for (double end : {range.least, range.most}) {
      EXPECT_TRUE(range.takes(end));
      EXPECT_THAT(range.text, HasSubstr(is_any ? "finite" : std::to_string(static_cast<int>(end))));
    }
    EXPECT_EQ(range.takes((range.least + range.most) / 2), !range.ends_alone);
    EXPECT_FALSE(range.takes(is_any ? std::numeric_limits<double>::infinity() : range.most + 0.5));
    EXPECT_FALSE(range.takes(std::nan("")));
  }
  EXPECT_THAT(losses, ElementsAre("binary_cross_entropy", "cross_entropy", "hinge_loss",
                                  "huber_loss", "l1_loss", "mse_loss"));
}

TEST(Registry, every_op_is_complete) {
  const std::set<std::string> families{"arithmetic",      "elementary", "logic",    "activation",
                                       "reduce",          "movement",   "contract", "window",
                                       "indexed",         "normalize",  "loss",     "source",
                                       "differentiation", "random",     "memory",   "recurrent"};
  for (const auto& op : all_ops()) {
    SCOPED_TRACE(op->name);
    EXPECT_TRUE(families.contains(op->family)) << op->family;
    EXPECT_EQ(op->summary.back(), '.');
    EXPECT_EQ(op->semantics.back(), '.');
    EXPECT_TRUE(op->onnx.is_stated) << "the ONNX op of the same meaning, or OnnxOp::none()";
    EXPECT_EQ(op->operands.empty(), op->family == "source");
    for (const OperandSpec& operand : op->operands) EXPECT_NE(operand.name, "");
    for (const AttributeSpec& attribute : op->attributes) {
      EXPECT_EQ(attribute.summary.back(), '.') << attribute.name;
      if (attribute.default_value) {
        EXPECT_EQ(kind(*attribute.default_value), attribute.kind) << attribute.name;
      }
    }
    int meanings = (op->pointwise ? 1 : 0) + (op->comprehension ? 1 : 0) + (op->steps ? 1 : 0) +
                   (op->data ? 1 : 0) + (op->composite && !op->is_composite ? 1 : 0);
    EXPECT_EQ(meanings, 1);
    EXPECT_TRUE(op->infer || op->pointwise || op->composite);
    EXPECT_EQ(find_op(op->name), op.get());
  }
}

TEST(Registry, properties_are_those_of_the_declaration) {
  std::set<std::string> orders, contractions, images, spreading, losses, parts, in_parts;
  for (const auto& op : all_ops()) {
    SCOPED_TRACE(op->name);
    if (op->keeps_order) {
      orders.insert(op->name);
      EXPECT_TRUE(op->is_movement && op->keeps_elements);
      EXPECT_EQ(op->operands.size(), 1U);
    }
    if (op->part) parts.insert(op->name);
    EXPECT_TRUE(op->is_movement || !op->part);
    if (op->operand_axis) {
      in_parts.insert(op->name);
      EXPECT_TRUE(op->is_contraction);
    }
    if (op->takes_images) images.insert(op->name);
    if (op->spreads_images) {
      spreading.insert(op->name);
      EXPECT_TRUE(op->takes_images);
    }
    if (op->is_contraction) {
      contractions.insert(op->name);
      EXPECT_TRUE(op->comprehension);
      EXPECT_GE(op->operands.size(), 2U);
      EXPECT_FALSE(op->is_movement);
    }
    if (op->is_loss) {
      losses.insert(op->name);
      ASSERT_GE(op->operands.size(), 2U);
      EXPECT_EQ(op->operands[1].name, "target");
      EXPECT_EQ(op->attributes.back().name, "reduction");
    }
  }
  EXPECT_THAT(orders, ElementsAre("reshape"));
  EXPECT_THAT(parts, ElementsAre("slice"));
  EXPECT_THAT(in_parts, ElementsAre("conv", "conv_transpose", "matmul"));
  EXPECT_THAT(contractions,
              ElementsAre("conv", "conv_filter_gradient", "conv_filter_gradient_columns",
                          "conv_transpose", "matmul"));
  EXPECT_THAT(images, ElementsAre("arg_max_pool", "average_pool", "conv", "conv_filter_gradient",
                                  "conv_filter_gradient_columns", "conv_transpose", "max_pool",
                                  "window_put", "window_take"));
  EXPECT_THAT(spreading, ElementsAre("conv_transpose"));
  EXPECT_THAT(losses, ElementsAre("binary_cross_entropy", "cross_entropy", "hinge_loss",
                                  "huber_loss", "l1_loss", "mse_loss"));
}

TEST(Registry, every_op_has_a_gradient_or_a_reason) {
  for (const auto& op : all_ops()) {
    SCOPED_TRACE(op->name);
    const GradientRule& gradient = op->gradient;
    EXPECT_EQ(gradient.kind == GradientRule::Kind::stated, static_cast<bool>(gradient.rule));
    EXPECT_EQ(gradient.kind == GradientRule::Kind::none, !gradient.reason.empty());
    if (gradient.kind == GradientRule::Kind::derived) {
      EXPECT_TRUE(op->pointwise || op->composite);
      if (op->pointwise) {
        EXPECT_NE(gradient_op(*op, op->operands.size() - 1), nullptr);
      }
    }
    if (op->derivative) {
      EXPECT_EQ(gradient.kind, GradientRule::Kind::derived);
    }
  }
}

TEST(Registry, gradient_ops_are_found_by_name_and_differentiated_again) {
  const OpDef* gradient = find_op("leaky_relu.grad");
  ASSERT_NE(gradient, nullptr);
  EXPECT_EQ(gradient, gradient_op(get_op("leaky_relu"), 0));
  EXPECT_EQ(gradient->operands.size(), 2u);
  EXPECT_NE(find_op("prelu.grad1"), nullptr);
  EXPECT_EQ(find_op("prelu.grad2"), nullptr);
  EXPECT_EQ(find_op("floor.grad"), nullptr);
  EXPECT_EQ(find_op("cast.grad"), nullptr);
  EXPECT_NE(find_op("tanh.grad.grad0"), nullptr);
  EXPECT_EQ(find_op("select.grad0"), nullptr);
  EXPECT_NE(find_op("select.grad1"), nullptr);
}

TEST(Registry, names_near_to_a_wrong_one) {
  EXPECT_THAT(similar_ops("leakyrelu"), ElementsAre("leaky_relu"));
  EXPECT_EQ(similar_ops("sotfmax").front(), "softmax");
  EXPECT_THAT(similar_ops(std::string(65, 'a')), testing::IsEmpty());
}

TEST(Reference, a_page_shows_the_expression_and_the_gradient) {
  std::string page = op_page(get_op("leaky_relu"));
  EXPECT_THAT(page, HasSubstr("leaky_relu(x) {negative_slope = 0.01}\n"));
  EXPECT_THAT(page, HasSubstr("Meaning     select(x > 0.0, x, 0.01 * x)\n"));
  EXPECT_THAT(page, HasSubstr("            select(x > 0.0, g, 0.01 * g)\n"));
  EXPECT_THAT(page, HasSubstr("ONNX        LeakyRelu\n"));
}

TEST(Reference, pages_keep_to_80_columns) {
  std::string text = op_list();
  for (const auto& op : all_ops()) text += op_page(*op);
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 80u) << line;
}

TEST(Reference, the_file_in_docs_is_up_to_date) {
  std::ifstream file(WEIR_SOURCE_DIR "/docs/ops.md");
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_TRUE(text.str() == markdown_reference()) << "run: weir ops --markdown > docs/ops.md";
}

// --- Pointwise ---------------------------------------------------------------

TEST_F(Ops, pointwise_operands_broadcast) {
  EXPECT_EQ(add(input({kDimN, 1, 4}), input({3, 1})).shape(), (Shape{kDimN, 3, 4}));
  EXPECT_EQ(add(input({}), input({kDimN})).shape(), (Shape{kDimN}));
  EXPECT_EQ(select(input({kDimN, 1}, DType::boolean), input({}), input({4})).shape(),
            (Shape{kDimN, 4}));
  EXPECT_THAT(message_of([&] { add(input({kDimN}), input({kDimM})); }),
              HasSubstr("add: shapes [N] and [M] do not broadcast: N against M"));
}

TEST_F(Ops, pointwise_result_types) {
  EXPECT_EQ(less(input({2}), input({2})).dtype(), DType::boolean);
  EXPECT_EQ(cast(input({2}, DType::boolean), DType::i64).dtype(), DType::i64);
  EXPECT_EQ(select(input({}, DType::boolean), input({}, DType::i32), input({}, DType::i32)).dtype(),
            DType::i32);
  EXPECT_EQ(abs(input({2}, DType::i32)).dtype(), DType::i32);
}

TEST_F(Ops, element_types_that_do_not_fit) {
  EXPECT_THAT(message_of([&] { exp(input({2}, DType::i32)); }),
              HasSubstr("exp: operand x has element type i32; it takes a floating-point type"));
  EXPECT_THAT(
      message_of([&] { add(input({2}), input({2}, DType::f64)); }),
      HasSubstr("add: operands a and b have different element types, f32 and f64; cast one"));
  EXPECT_THAT(message_of([&] { less(input({}, DType::boolean), input({}, DType::boolean)); }),
              HasSubstr("operand a has element type bool; it takes a numeric type"));
  EXPECT_THAT(message_of([&] { logical_and(input({2}), input({2})); }), HasSubstr("it takes bool"));
}

TEST_F(Ops, attributes_that_do_not_fit) {
  double infinity = std::numeric_limits<double>::infinity();
  EXPECT_THAT(message_of([&] { leaky_relu(input({2}), infinity); }),
              HasSubstr("leaky_relu: the attribute negative_slope must be finite, not inf"));
  EXPECT_THAT(message_of([&] { celu(input({2}), 0.0); }), HasSubstr("alpha must not be 0"));
  EXPECT_THAT(message_of([&] { celu(input({2}), infinity); }), HasSubstr("must be finite"));
  EXPECT_THAT(message_of([&] { clip(input({2}), 2, 1); }),
              HasSubstr("the attribute min must not be above max: they are 2 and 1"));
  EXPECT_THAT(message_of([&] { clip(input({2}), 0, std::nan("")); }),
              HasSubstr("the attribute max must be a number, not nan"));
}

// --- Reductions --------------------------------------------------------------

TEST_F(Ops, reductions_drop_or_keep_axes) {
  Var x = input({kDimN, 3, 4, 5});
  EXPECT_EQ(reduce_sum(x).shape(), Shape{});
  EXPECT_EQ(reduce_sum(x, {}, true).shape(), (Shape{1, 1, 1, 1}));
  EXPECT_EQ(reduce_max(x, {-1}).shape(), (Shape{kDimN, 3, 4}));
  EXPECT_EQ(reduce_max(x, {2, 0}).shape(), (Shape{3, 5}));
  EXPECT_EQ(reduce_mean(x, {1, 3}, true).shape(), (Shape{kDimN, 1, 4, 1}));
  EXPECT_EQ(reduce_min(input({2}, DType::i64)).dtype(), DType::i64);
  EXPECT_EQ(reduce_sum(input({})).shape(), Shape{});
}

TEST_F(Ops, adjacent_axes_are_one_fold_and_others_a_composite) {
  Var x = input({kDimN, 3, 4, 5});
  auto instance_of = [&](Attributes& attributes) {
    static std::vector<TensorType> types;
    types = {x.type()};
    attributes.set("keep_dims", false);
    return OpInstance{&get_op("reduce_sum"), types, attributes};
  };
  using Axes = std::vector<std::int64_t>;
  Attributes rows{{"axes", Axes{1, 2, 3}}}, columns{{"axes", Axes{0, 1}}},
      both{{"axes", Axes{0, 3}}};
  const OpDef& sum = get_op("reduce_sum");
  Comprehension along_rows = sum.comprehension(instance_of(rows));
  EXPECT_THAT(along_rows.reduce_extents, ElementsAre(Dim(60)));
  EXPECT_EQ(along_rows.reduction->order, Reduction::Order::lanes);
  Comprehension across_rows = sum.comprehension(instance_of(columns));
  EXPECT_THAT(across_rows.reduce_extents, ElementsAre(kDimN * Dim(3)));
  EXPECT_EQ(across_rows.reduction->order, Reduction::Order::chain);
  EXPECT_FALSE(sum.composite_for(instance_of(rows)));
  EXPECT_TRUE(sum.composite_for(instance_of(both)));
}

TEST_F(Ops, axes_that_do_not_fit) {
  EXPECT_THAT(
      message_of([&] { reduce_sum(input({2, 3}), {2}); }),
      HasSubstr("reduce_sum: axis 2 is out of range for a tensor of rank 2; it may be -2 to 1"));
  EXPECT_THAT(message_of([&] { reduce_mean(input({2, 3}), {1, -1}); }),
              HasSubstr("reduce_mean: axis 1 is given twice"));
  EXPECT_THAT(message_of([&] { softmax(input({2, 3}), 5); }),
              HasSubstr("softmax: axis 5 is out of range"));
}

// --- Movement ----------------------------------------------------------------

TEST_F(Ops, reshape_compares_element_counts_as_polynomials) {
  Var x = input({kDimN, 8, 4});
  EXPECT_EQ(reshape(x, {kDimN * Dim(8), 4}).shape(), (Shape{kDimN * Dim(8), 4}));
  EXPECT_EQ(reshape(x, {kDimN * Dim(32)}).shape().size(), 1u);
  EXPECT_THAT(
      message_of([&] { reshape(x, {kDimM, 32}); }),
      HasSubstr("reshape: f32[N, 8, 4] has 32*N elements and does not fit the shape [M, 32]"));
  EXPECT_THAT(message_of([&] { reshape(x, {-1, 32}); }), HasSubstr("negative dimension"));
}

TEST_F(Ops, transpose_reverses_by_default) {
  Var x = input({kDimN, 2, 3});
  EXPECT_EQ(transpose(x).shape(), (Shape{3, 2, kDimN}));
  EXPECT_EQ(transpose(x, {0, 2, 1}).shape(), (Shape{kDimN, 3, 2}));
  EXPECT_THAT(
      message_of([&] { transpose(x, {0, 1}); }),
      HasSubstr("the permutation [0, 1] must hold each of the axes 0 to 2 of f32[N, 2, 3] once"));
  EXPECT_THAT(message_of([&] { transpose(x, {0, 1, 1}); }), HasSubstr("once"));
  EXPECT_THAT(message_of([&] { transpose(x, {0, 1, 9}); }), HasSubstr("once"));
}

TEST_F(Ops, broadcast_is_one_sided) {
  EXPECT_EQ(broadcast(input({1, 4}), {kDimN, 3, 4}).shape(), (Shape{kDimN, 3, 4}));
  EXPECT_THAT(message_of([&] { broadcast(input({3, 4}), {1, 4}); }),
              HasSubstr("broadcast: f32[3, 4] does not broadcast to [1, 4]"));
  EXPECT_THAT(message_of([&] { broadcast(input({3, 4}), {4}); }), HasSubstr("does not broadcast"));
}

TEST_F(Ops, slices_lie_within_for_every_symbol) {
  Var x = input({kDimN + Dim(4), 10});
  EXPECT_EQ(slice(x, {4, 1}, {kDimN + Dim(4), 10}, {1, 4}).shape(), (Shape{kDimN, 3}));
  EXPECT_EQ(slice(x, {0, 5}, {kDimN, 5}).shape(), (Shape{kDimN, 0}));
  EXPECT_EQ(slice(input({kDimN * Dim(4)}), {0}, {kDimN * Dim(4)}, {2}).shape(),
            (Shape{kDimN * Dim(2)}));
  EXPECT_THAT(
      message_of([&] { slice(input({kDimN}), {0}, {1}); }),
      HasSubstr("axis 0 of f32[N] is cut from 0 to 1; 0 <= start <= limit <= N must hold for all "
                "symbols from 0 on"));
  EXPECT_THAT(message_of([&] { slice(input({8}), {2}, {9}); }), HasSubstr("must hold"));
  EXPECT_THAT(message_of([&] { slice(input({8}), {2}, {1}); }), HasSubstr("must hold"));
  // No length is below 0 where a call is let in.
  EXPECT_EQ(slice(input({kDimN}), {1}, {kDimN}).shape(), (Shape{kDimN - Dim(1)}));
  EXPECT_THAT(message_of([&] { slice(input({8}), {2}, {4}, {0}); }),
              HasSubstr("must be at least 1"));
  EXPECT_THAT(message_of([&] { slice(input({8}), {2, 0}, {4, 1}); }),
              HasSubstr("one entry for each axis"));
  EXPECT_EQ(slice(input({kDimN}), {0}, {kDimN}, {2}).shape(),
            (Shape{floor_quotient(kDimN + 1, 2)}));
}

TEST_F(Ops, concat_adds_sizes_along_the_axis) {
  EXPECT_EQ(concat({input({kDimN, 2}), input({kDimM, 2}), input({3, 2})}, 0).shape(),
            (Shape{kDimN + kDimM + Dim(3), 2}));
  EXPECT_EQ(concat(std::vector<Var>{input({2})}, -1).shape(), (Shape{2}));
  EXPECT_THAT(message_of([&] { concat({input({2, 2}), input({2, 3})}, 0); }),
              HasSubstr("concat: f32[2, 2] and f32[2, 3] must be the same but for axis 0"));
  EXPECT_THAT(message_of([&] { concat({input({})}, 0); }), HasSubstr("reshape them to [1]"));
  EXPECT_THAT(message_of([&] { concat(std::vector<Var>{}, 0); }), HasSubstr("no operand is given"));
}

TEST_F(Ops, pad_frames_and_spreads) {
  EXPECT_EQ(pad(input({kDimN, 3}), {1, 0}, {kDimM, 2}, {0, 2}).shape(),
            (Shape{kDimN + kDimM + Dim(1), 9}));
  EXPECT_EQ(pad(input({0}), {2}, {1}, {3}).shape(), (Shape{3}));
  EXPECT_THAT(message_of([&] { pad(input({3}), {-1}, {0}); }), HasSubstr("none may be negative"));
  EXPECT_EQ(pad(input({kDimN}), {0}, {0}, {1}).shape(), (Shape{kDimN * Dim(2) - Dim(1)}));
}

// --- Contractions and normalizations -----------------------------------------

TEST_F(Ops, matmul_transposes_and_broadcasts_batches) {
  Var a = input({kDimN, 1, 2, 3}), b = input({5, 3, 4});
  EXPECT_EQ(matmul(a, b).shape(), (Shape{kDimN, 5, 2, 4}));
  EXPECT_EQ(matmul(input({3, kDimN}), input({4, 3}), true, true).shape(), (Shape{kDimN, 4}));
  EXPECT_THAT(
      message_of([&] { matmul(a, b, true); }),
      HasSubstr("matmul: the contracted dimensions differ: 2 in a, f32[N, 1, 2, 3] transposed, and "
                "3 in b, f32[5, 3, 4]"));
  EXPECT_THAT(
      message_of([&] { matmul(input({3}), b); }),
      HasSubstr(
          "operand a is f32[3]; matmul takes matrices, so reshape a vector to [1, K] or [K, 1]"));
  EXPECT_THAT(message_of([&] { matmul(input({2, 3, 3}), b); }), HasSubstr("do not broadcast"));
}

TEST_F(Ops, linear_takes_any_leading_axes) {
  Var w = input({4, 3}), bias = input({4});
  EXPECT_EQ(linear(input({3}), w).shape(), (Shape{4}));
  EXPECT_EQ(linear(input({kDimN, 3}), w, bias).shape(), (Shape{kDimN, 4}));
  EXPECT_EQ(linear(input({kDimN, kDimM, 3}), w, bias).shape(), (Shape{kDimN, kDimM, 4}));
  EXPECT_THAT(
      message_of([&] { linear(input({2, 4}), w); }),
      HasSubstr("linear: x has 4 features in its last axis and w takes 3: they are f32[2, 4] and "
                "f32[4, 3], and w must be [out, in]"));
  EXPECT_THAT(
      message_of([&] { linear(input({3}), w, input({3})); }),
      HasSubstr("linear: operand bias is f32[3]; it must have one element for each row of w"));
  EXPECT_THAT(message_of([&] { linear(input({3}), bias); }),
              HasSubstr("must be a matrix [out, in]"));
}

TEST_F(Ops, normalizations_keep_the_shape) {
  Var x = input({kDimN, 3, 4});
  EXPECT_EQ(softmax(x).shape(), x.shape());
  EXPECT_EQ(log_softmax(x, 0).shape(), x.shape());
  EXPECT_EQ(layer_norm(x).shape(), x.shape());
  EXPECT_EQ(layer_norm(x, input({3, 4}), input({4}), 1).shape(), x.shape());
  EXPECT_THAT(
      message_of([&] { layer_norm(x, input({3})); }),
      HasSubstr(
          "layer_norm: operand scale is f32[3]; it must broadcast to the normalized axes [4] of "
          "f32[N, 3, 4]"));
}

TEST_F(Ops, recurrent_layers) {
  Var x = input({7, kDimN, 3}), w = input({1, 20, 3}), r = input({1, 20, 5}), b = input({1, 40});
  EXPECT_EQ(lstm(x, w, r, b).at(0).shape(), Shape({7, 1, kDimN, 5}));
  EXPECT_EQ(lstm(x, w, r).at(2).shape(), Shape({1, kDimN, 5}));
  EXPECT_EQ(gru(x, input({2, 6, 3}), input({2, 6, 2}), Var(), Var(), "bidirectional").at(1).shape(),
            Shape({2, kDimN, 2}));
  EXPECT_THAT(message_of([&] { lstm(x, w, r, input({1, 20})); }),
              HasSubstr("lstm: its b is f32[1, 20]; it must be [1, 40]"));
  EXPECT_THAT(message_of([&] { gru(x, w, r); }), HasSubstr("its w is f32[1, 20, 3]; it must be "));
  EXPECT_THAT(message_of([&] { rnn(input({4, 3}), w, r); }),
              HasSubstr("x, w and r must have three axes; one is f32[4, 3]"));
  for (const Dim& steps : {kDimN, Dim(0), Dim(4097)})
    EXPECT_THAT(message_of([&] { lstm(input({steps, 2, 3}), w, r); }),
                HasSubstr("which are written out one by one: their number must be known, and 1 to "
                          "4096"));
  EXPECT_THAT(message_of([&] { lstm(x, w, r, Var(), Var(), Var(), "both"); }),
              HasSubstr("the direction is \"both\"; it must be"));
}

TEST_F(Ops, ranges) {
  auto length = [&](double start, double limit, double step) {
    return builder_.apply("range", {}, {{"start", start}, {"limit", limit}, {"step", step}})
        .shape();
  };
  EXPECT_EQ(length(2, 12, 3), Shape{Dim(4)});
  EXPECT_EQ(length(5, -3.5, -3), Shape{Dim(3)});
  EXPECT_EQ(length(5, 5, 1), Shape{Dim(0)});
  EXPECT_EQ(length(5, 7, -1), Shape{Dim(0)});
  EXPECT_THAT(message_of([&] { length(0, 3, 0); }), HasSubstr("the step is 0"));
  EXPECT_THAT(message_of([&] { length(0, 3, 0.5); }),
              HasSubstr("the step is 0.5, which is no i64"));
  EXPECT_THAT(message_of([&] { length(0, 1e300, 1); }), HasSubstr("the range would have"));
  EXPECT_THAT(
      message_of([&] { builder_.apply("range", {}, {{"limit", 300.0}, {"dtype", DType::i8}}); }),
      HasSubstr("a range from 0 to 299 is no i8"));
}

TEST_F(Ops, normalizations_by_channel) {
  Var x = input({kDimN, 4, 5}), c = input({4});
  EXPECT_EQ(instance_norm(x, c, c).shape(), x.shape());
  EXPECT_EQ(group_norm(x, c, c, 2).shape(), x.shape());
  EXPECT_EQ(batch_norm_training(x, c, c, c, c).at(2).shape(), c.shape());
  EXPECT_THAT(message_of([&] { group_norm(x, c, c, 3); }),
              HasSubstr("group_norm: 4 channels do not divide into 3 groups"));
  EXPECT_THAT(message_of([&] { batch_norm(x, c, c, c, input({5})); }),
              HasSubstr("operand variance is f32[5]; it must have one element for each of the 4 "
                        "channels of x"));
  EXPECT_THAT(message_of([&] { instance_norm(input({kDimN, 4})); }),
              HasSubstr("it must have a batch, channels and positions behind them"));
}

TEST_F(Ops, extend_tile_and_split) {
  EXPECT_EQ(extend(input({kDimN + Dim(3)}), {2}, {1}).shape(), (Shape{kDimN + Dim(6)}));
  EXPECT_EQ(extend(input({kDimN + Dim(1)}), {kDimM}, {0}, "edge").shape(),
            (Shape{kDimN + kDimM + Dim(1)}));
  EXPECT_THAT(message_of([&] { extend(input({kDimN + Dim(2)}), {2}, {1}); }),
              HasSubstr("extend: axis 0 of f32[N + 2] is extended by 2 and 1 in the mode reflect, "
                        "and may be too short for that"));
  EXPECT_THAT(message_of([&] { extend(input({0}), {1}, {1}); }), HasSubstr("and has no element"));
  // Sides of many repetitions do not take a node for each.
  const std::vector<Var> x{input({7})};
  const std::size_t before = builder_.graph().nodes().size();
  composite_results(
      get_op("extend"), builder_, x,
      {{"low", Shape{1'000'000'007}}, {"high", Shape{5}}, {"mode", std::string("wrap")}});
  EXPECT_LT(builder_.graph().nodes().size() - before, 50);
  EXPECT_THAT(message_of([&] { extend(input({3}), {1}, {1}, "mirror"); }),
              HasSubstr("mode is \"mirror\"; it must be one of reflect, edge, wrap"));
  EXPECT_EQ(tile(input({kDimN, 2}), {3, kDimM}).shape(), (Shape{kDimN * Dim(3), kDimM * Dim(2)}));
  EXPECT_THAT(message_of([&] { tile(input({2, 2}), {3}); }), HasSubstr("tile: repeats is [3]"));
  EXPECT_EQ(split(input({2, kDimN + Dim(1)}), {1, kDimN}, 1).at(1).shape(), (Shape{2, kDimN}));
  EXPECT_THAT(message_of([&] { split(input({5}), {2, 2}); }),
              HasSubstr("split: the sizes [2, 2] must add up to 5, the size of axis 0 of f32[5]"));
  EXPECT_THAT(message_of([&] { depth_to_space(input({1, 6, 2, 2}), 2); }),
              HasSubstr("axis 1 of f32[1, 6, 2, 2] does not divide by 4"));
}

TEST_F(Ops, einsum) {
  Var a = input({kDimN, 3, 4}), b = input({4, 5});
  EXPECT_EQ(weir::einsum({a, b}, "bij,jk->bik").shape(), (Shape{kDimN, 3, 5}));
  EXPECT_EQ(weir::einsum({a, b}, "...j,jk").shape(), (Shape{kDimN, 3, 5}));
  EXPECT_EQ(weir::einsum({input({kDimN, kDimN}, DType::i8)}, "ii").type(),
            (TensorType{DType::i32, {}}));
  for (auto [equation, message] : std::vector<std::pair<const char*, const char*>>{
           {"bij->bij", "is for 1 operands, and there are 2"},
           {"bij,j->b", "operand 1 is f32[4, 5]; the equation \"bij,j->b\" has 1 axes for it"},
           {"bij,jk->x", "must have labels of the operands, each once"},
           {"bij,jk->bb", "must have labels of the operands, each once"},
           {"b?j,jk", "\"b?j\" is no list of letters"},
           {"bij,bk->ik", "a label stands for axes of N and of 4 elements"}})
    EXPECT_THAT(message_of([&] { weir::einsum({a, b}, equation); }), HasSubstr(message))
        << equation;
}

TEST_F(Ops, indexed) {
  Var x = input({kDimN, 5, 3}), at = input({kDimM, 2}, DType::i64);
  EXPECT_EQ(gather(x, at, 1).shape(), (Shape{kDimN, kDimM, 2, 3}));
  EXPECT_EQ(gather_nd(x, at).shape(), (Shape{kDimM, 3}));
  EXPECT_EQ(gather_elements(x, input({kDimN, 7, 2}, DType::i32), 1).shape(), (Shape{kDimN, 7, 2}));
  EXPECT_EQ(arg_max(x, 1).type(), (TensorType{DType::i64, {kDimN, 3}}));
  EXPECT_EQ(one_hot(at, {kDimN}, 0).shape(), (Shape{kDimN, kDimM, 2}));
  EXPECT_THAT(message_of([&] { gather(x, input({2})); }),
              HasSubstr("gather: operand indices has element type f32; it takes an integer type"));
  EXPECT_THAT(message_of([&] { gather_elements(x, input({kDimM, 5, 3}, DType::i64), 1); }),
              HasSubstr("none of them larger but axis 1"));
  EXPECT_THAT(message_of([&] { gather_nd(x, input({2, 4}, DType::i64)); }),
              HasSubstr("must be at most 3, the axes of"));
  EXPECT_THAT(message_of([&] { gather_nd(x, input({2, kDimN}, DType::i64)); }),
              HasSubstr("their last dimension must be a number"));
  EXPECT_THAT(message_of([&] { scatter_nd(x, at, input({kDimM, 4})); }),
              HasSubstr("the updates are f32[M, 4]; they must be [M, 3], one for each place"));
  EXPECT_THAT(message_of([&] { top_k(x, 6, 1); }),
              HasSubstr("k is 6; of axis 1 of f32[N, 5, 3] it must be 0 to 5"));
  EXPECT_THAT(message_of([&] { top_k(x, 2, 0); }),
              HasSubstr("axis 0 of f32[N, 5, 3] may be smaller"));
  EXPECT_THAT(message_of([&] { arg_min(input({0, 2}), 0); }),
              HasSubstr("axis 0 of f32[0, 2] has no elements"));
}

TEST_F(Ops, sources) {
  EXPECT_EQ(iota(builder_, {kDimN, 3}, 1, DType::f32).type(), (TensorType{DType::f32, {kDimN, 3}}));
  EXPECT_EQ(size_of(builder_, {kDimN, 3}).type(), (TensorType{DType::i64, {}}));
  EXPECT_EQ(constant(builder_, Tensor(DType::i32, {2, 3})).type(),
            (TensorType{DType::i32, {2, 3}}));
  EXPECT_THAT(message_of([&] { iota(builder_, {2}, 1); }),
              HasSubstr("iota: axis 1 is out of range"));
  EXPECT_THAT(message_of([&] { iota(builder_, {2}, 0, DType::boolean); }),
              HasSubstr("must be a numeric type, not bool"));
  EXPECT_THAT(message_of([&] { iota(builder_, {-1}); }), HasSubstr("-1 of [-1] is negative"));
}

TEST_F(Ops, operands_that_are_missing_or_foreign) {
  GraphBuilder other;
  Var foreign = other.input("x", DType::f32, {2});
  // Whether the message is this one, and its place the line of the call.
  auto expect = [](std::string_view message, int line, const std::function<void()>& action) {
    try {
      action();
      ADD_FAILURE() << "no error: " << message;
    } catch (const Error& error) {
      EXPECT_THAT(error.diagnostic().message, HasSubstr(message));
      EXPECT_EQ(error.diagnostic().location.line, line) << error.what();
    }
  };
  Var own = input({2});
  int line = __LINE__;
  expect("add: the operands belong to different graphs", line + 1, [&] { add(own, foreign); });
  expect("add: the operands belong to different graphs", line + 2, [&] { own + foreign; });
  expect("exp: an operand is an empty Var", line + 3, [&] { exp(Var()); });
  expect("an operand is an empty Var", line + 4, [&] { Var() * 2; });
  expect("layer_norm: an operand is an empty Var", line + 5, [&] { layer_norm(own, Var(), own); });
  EXPECT_THAT(message_of([&] { builder_.apply("leakyrelu", {own}); }),
              HasSubstr("there is no op leakyrelu; did you mean leaky_relu?"));
  EXPECT_THAT(message_of([&] { builder_.apply("add", {own}); }),
              HasSubstr("add: takes 2 operands, and 1 is given"));
}

TEST_F(Ops, nodes_record_the_line_of_the_call) {
  Var x = input({2});
  int here = __LINE__ + 1;
  relu(exp(x));
  for (const Node& node : builder_.graph().nodes()) EXPECT_EQ(node.location.line, here);
}

}  // namespace
}  // namespace weir
