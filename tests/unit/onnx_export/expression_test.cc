// The forms in which scalar expressions are exported, evaluated: they have to mean what the
// primitives mean that they replace, at special numbers too.
#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "compiler/frontend/onnx/export_expression.h"
#include "ir/op.h"
#include "ir/registry.h"
#include "ir/scalar/evaluate.h"
#include "ir/scalar/expr.h"
#include "tests/support/graphs.h"

namespace weir::test {
namespace {

using scalar::Arena;
using scalar::Bits;
using scalar::Expr;
using scalar::Primitive;

Bits evaluate(const Arena& arena, scalar::Id root, std::span<const Bits> arguments) {
  scalar::Evaluator evaluator(arena, {root}, {scalar::Numerics::Mode::mathematical, false});
  scalar::Environment environment;
  environment.arguments = arguments;
  return evaluator.run(environment)[0];
}

// One primitive of arguments, and its form.
struct Form {
  Form(Primitive primitive, DType type) {
    std::vector<scalar::Id> arguments;
    for (int i = 0; i < scalar::info(primitive).arity; ++i)
      arguments.push_back(arena.argument(static_cast<std::uint32_t>(i), type));
    expression = arena.make(primitive, arguments);
    form = in_onnx_primitives(arena, expression);
  }
  Form(DType from, DType to) {
    expression = arena.cast(arena.argument(0, from), to);
    form = in_onnx_primitives(arena, expression);
  }

  // The relative error of the form, where the primitive's value is x.
  double error(std::span<const Bits> arguments) const {
    DType type = arena[expression].type;
    Bits expected = evaluate(arena, expression, arguments),
         actual = evaluate(arena, form, arguments);
    if (scalar::same_value(type, expected, actual)) return 0;
    double x = scalar::to_double(type, expected), y = scalar::to_double(type, actual);
    if (x == y && (x != 0 || !is_float(type))) return 0;
    return std::isfinite(x) && std::isfinite(y) && x != 0 ? std::abs(y - x) / std::abs(x)
                                                          : std::numeric_limits<double>::infinity();
  }

  Arena arena;
  scalar::Id expression, form;
};

// Numbers of a type: special ones, and random ones of every magnitude.
std::vector<Bits> numbers(DType type, std::size_t count) {
  Generator generator(3);
  std::vector<Bits> result;
  for (std::size_t i = 0; i < count; ++i) {
    double number = random_number(type, generator, i % 2 == 0);
    if (is_float(type) && i % 4 == 1)
      number *= std::exp2(static_cast<double>(generator() % 60) - 40);
    result.push_back(scalar::bits_of(type, number));
  }
  return result;
}

void expect_exact(const Form& form, DType type) {
  std::size_t arity =
      static_cast<std::size_t>(scalar::info(form.arena[form.expression].primitive).arity);
  std::vector<Bits> values = numbers(type, arity == 1 ? 3000 : 120);
  for (Bits a : values) {
    if (arity == 1) {
      EXPECT_EQ(form.error(std::array{a}), 0) << scalar::to_string(type, a);
      continue;
    }
    for (Bits b : values)
      EXPECT_EQ(form.error(std::array{a, b}), 0)
          << scalar::to_string(type, a) << ", " << scalar::to_string(type, b);
  }
}

TEST(ExportedExpression, IntegerDivisionIsDefinedEverywhere) {
  for (DType type : {DType::i32, DType::i64}) {
    expect_exact(Form(Primitive::div, type), type);
    expect_exact(Form(Primitive::rem, type), type);
  }
}

// What would be undefined in ONNX must not be computed, not even where it is not chosen.
TEST(ExportedExpression, IntegerDivisionNeverDividesByZero) {
  Arena arena;
  Expr a(arena, arena.argument(0, DType::i32)), b(arena, arena.argument(1, DType::i32));
  scalar::Id form = in_onnx_primitives(arena, (a / b).id());
  std::vector<scalar::Id> divisors;
  for (scalar::Id id : scalar::reachable(arena, std::array{form}))
    if (arena[id].primitive == Primitive::div) divisors.push_back(arena.operand(id, 1));
  ASSERT_EQ(divisors.size(), 1u);
  for (std::int32_t divisor : {0, -1, 1, 7, -7, INT32_MIN}) {
    std::int32_t safe = scalar::as_i32(
        evaluate(arena, divisors[0], std::array{scalar::from_i32(5), scalar::from_i32(divisor)}));
    EXPECT_NE(safe, 0);
    EXPECT_NE(safe, -1);
  }
}

TEST(ExportedExpression, DivisionByAConstantIsOneNode) {
  Arena arena;
  Expr a(arena, arena.argument(0, DType::i64));
  Expr quotient = a / 3;
  EXPECT_EQ(in_onnx_primitives(arena, quotient.id()), quotient.id());
}

TEST(ExportedExpression, ConversionsToIntegersSaturate) {
  for (DType from : {DType::f32, DType::f64})
    for (DType to : {DType::i32, DType::i64}) {
      Form form(from, to);
      for (Bits x : numbers(from, 3000))
        EXPECT_EQ(form.error(std::array{x}), 0) << scalar::to_string(from, x);
      for (double x : {2147483647.0, 2147483648.0, -2147483648.0, -2147483904.0, 0x1p63, -0x1p63,
                       0x1p63 - 1024, -0x1p63 - 2048, 0x1p31 - 128})
        EXPECT_EQ(form.error(std::array{scalar::bits_of(from, x)}), 0) << x;
    }
}

TEST(ExportedExpression, ExactFormsOfFloats) {
  for (DType type : {DType::f32, DType::f64}) {
    expect_exact(Form(Primitive::trunc, type), type);
    expect_exact(Form(Primitive::ne, type), type);
  }
}

struct Accuracy {
  Primitive primitive;
  double f32, f64;  // relative errors, beside those of exp, log and tanh themselves
};

TEST(ExportedExpression, ElementaryFormsAreAccurateEverywhere) {
  for (const Accuracy& accuracy :
       {Accuracy{Primitive::expm1, 3e-7, 6e-16}, Accuracy{Primitive::log1p, 3e-7, 6e-16},
        Accuracy{Primitive::erfc, 1e-6, 3e-15}})
    for (DType type : {DType::f32, DType::f64}) {
      Form form(accuracy.primitive, type);
      double largest = 0, at = 0;
      for (Bits x : numbers(type, 20000)) {
        double value = scalar::to_double(type, x);
        // Below the normal numbers there are few digits, of half the argument too.
        double smallest = type == DType::f32 ? 0x1p-125 : 0x1p-1021;
        if (value != 0 && std::abs(value) < smallest) continue;
        double limit = type == DType::f32 ? 9.0 : 26.0;
        if (accuracy.primitive == Primitive::erfc && std::isfinite(value) && value > limit)
          continue;
        double error = form.error(std::array{x});
        if (error > largest) largest = error, at = value;
      }
      EXPECT_LE(largest, type == DType::f32 ? accuracy.f32 : accuracy.f64)
          << scalar::info(accuracy.primitive).name << " of " << at << ", " << name(type);
    }
}

TEST(ExportedExpression, ErfcUnderflowsToZero) {
  for (DType type : {DType::f32, DType::f64}) {
    Form form(Primitive::erfc, type);
    for (double x : {28.0, 100.0, 1e30, std::numeric_limits<double>::infinity()}) {
      Bits argument = scalar::bits_of(type, x);
      EXPECT_EQ(scalar::to_double(type, evaluate(form.arena, form.form, std::array{argument})), 0)
          << x;
    }
  }
}

// Every pointwise op and its gradients: the form has the op's value, NaN included, up to rounding.
TEST(ExportedExpression, EveryPointwiseOpKeepsItsMeaning) {
  std::vector<const OpDef*> ops;
  for (const auto& op : all_ops()) {
    if (!op->pointwise) continue;
    ops.push_back(op.get());
    for (std::size_t i = 0; i < op->operands.size(); ++i)
      if (const OpDef* gradient = gradient_op(*op, i)) ops.push_back(gradient);
  }
  ASSERT_GT(ops.size(), 80u);
  for (const OpDef* op : ops) {
    std::vector<TensorType> types = example_types(*op);
    Attributes attributes = example_attributes(*op);
    Arena arena;
    scalar::Id expression = pointwise_expression(arena, {op, types, attributes}).id();
    scalar::Id form = in_onnx_primitives(arena, expression);
    DType type = arena[expression].type;
    Generator generator(9);
    for (int i = 0; i < 2000; ++i) {
      std::vector<Bits> arguments;
      for (const TensorType& operand : types)
        arguments.push_back(
            scalar::bits_of(operand.dtype, random_number(operand.dtype, generator, i % 3 == 0)));
      double expected = scalar::to_double(type, evaluate(arena, expression, arguments));
      double actual = scalar::to_double(type, evaluate(arena, form, arguments));
      if (expected == actual || (std::isnan(expected) && std::isnan(actual))) continue;
      // Of a gradient, the last argument is a factor, and summands may cancel.
      double scale = std::abs(expected);
      if (op->family == "gradient")
        scale += std::abs(scalar::to_double(types.back().dtype, arguments.back()));
      EXPECT_LE(std::abs(actual - expected), 1e-6 * scale + 1e-37)
          << op->name << " of " << scalar::to_string(types[0].dtype, arguments[0]) << ": " << actual
          << " for " << expected;
    }
  }
}

TEST(ExportedExpression, WhatOnnxDoesNotHaveIsNamed) {
  Arena arena;
  Expr a(arena, arena.argument(0, DType::i32)), b(arena, arena.argument(1, DType::i32));
  struct Nodes final : OnnxNodes {
    std::vector<OnnxValue> add_all(std::string_view, std::vector<OnnxValue>, const Attributes&,
                                   std::size_t) override {
      return {"value"};
    }
    OnnxValue constant(const Tensor&) override { return "constant"; }
    OnnxValue sizes(const Shape&) override { return "sizes"; }
  } nodes;
  std::vector<OnnxValue> arguments{"a", "b"};
  for (auto [expression, message] :
       {std::pair{a << b, "it computes shl on i32, which no op of ONNX opset 17 does"},
        std::pair{a & b, "it computes and on i32, which no op of ONNX opset 17 does"},
        std::pair{bitcast(a, DType::f32),
                  "it computes bitcast on f32, which no op of ONNX opset 17 does"}})
    EXPECT_EQ(
        error_of([&, id = expression.id()] { write_expression(nodes, arena, id, arguments); }),
        message);
}

}  // namespace
}  // namespace weir::test
