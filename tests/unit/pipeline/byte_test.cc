// i8 and u8, compiled at every vector level of the machine and interpreted, against arithmetic on
// C++ integers:
//   - every pointwise op of one or two operands over all 2^8, or 2^8 * 2^8, operands
//   - casts to and from all other types but the 16-bit ones, which half_test.cc is about
//   - sums and products of many, which are i32
#include <cmath>
#include <cstdint>
#include <limits>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "ir/builder.h"
#include "ir/op.h"
#include "ir/registry.h"
#include "tests/unit/pipeline/compiled.h"

namespace weir::test {
namespace {

// An op on numbers that have room; the result is then cut to 8 bits. A division has no operand 0.
struct Meaning {
  const char* op;
  int (*value)(int a, int b);
  int (*of_zero)(int a) = nullptr;  // the result where b is 0
};

constexpr Meaning kMeanings[] = {
    {"add", [](int a, int b) { return a + b; }},
    {"sub", [](int a, int b) { return a - b; }},
    {"mul", [](int a, int b) { return a * b; }},
    {"div", [](int a, int b) { return a / b; }, [](int) { return 0; }},
    {"fmod", [](int a, int b) { return a % b; }, [](int a) { return a; }},
    {"remainder", [](int a, int b) { return (a % b + b) % b; }, [](int a) { return a; }},
    {"minimum", [](int a, int b) { return std::min(a, b); }},
    {"maximum", [](int a, int b) { return std::max(a, b); }},
    {"abs", [](int a, int) { return std::abs(a); }},
    {"neg", [](int a, int) { return -a; }},
    {"sign", [](int a, int) { return (a > 0) - (a < 0); }},
    {"equal", [](int a, int b) { return int{a == b}; }},
    {"not_equal", [](int a, int b) { return int{a != b}; }},
    {"less", [](int a, int b) { return int{a < b}; }},
    {"less_equal", [](int a, int b) { return int{a <= b}; }},
    {"greater", [](int a, int b) { return int{a > b}; }},
    {"greater_equal", [](int a, int b) { return int{a >= b}; }},
};

const Meaning* meaning_of(const std::string& op) {
  for (const Meaning& meaning : kMeanings)
    if (op == meaning.op) return &meaning;
  return nullptr;
}

// Pointwise ops on i8 and u8 alone, which the table above must have.
std::vector<std::string> byte_ops() {
  std::vector<std::string> names;
  for (const auto& op : all_ops()) {
    bool takes_bytes = op->pointwise && !op->keeps_types && !op->operands.empty();
    for (const OperandSpec& spec : op->operands)
      takes_bytes = takes_bytes && contains(spec.types, DType::i8);
    if (takes_bytes) names.push_back(op->name);
  }
  return names;
}

int number_of(DType type, int bits) {
  return type == DType::i8 ? static_cast<std::int8_t>(bits) : static_cast<std::uint8_t>(bits);
}

// The outputs at every vector level, and the interpreter's.
std::vector<std::pair<std::string, std::vector<Tensor>>> results_of(const Graph& graph,
                                                                    const Inputs& inputs) {
  Program program{graph, {}, inputs};
  std::vector<std::pair<std::string, std::vector<Tensor>>> results;
  results.emplace_back("interpreter", interpret(graph, {}, inputs));
  for (const VectorLevel& level : vector_levels())
    results.emplace_back(level.name(), compile(program, {level}).run(inputs));
  return results;
}

using OpAndType = std::tuple<std::string, DType>;

class ByteOp : public testing::TestWithParam<OpAndType> {};

TEST_P(ByteOp, AllOperands) {
  auto [name, type] = GetParam();
  const OpDef& op = get_op(name);
  const Meaning* meaning = meaning_of(name);
  ASSERT_NE(meaning, nullptr) << "byte_test.cc does not say what " << name << " means";
  // Three more than all pairs, so that something remains after whole vectors.
  constexpr std::int64_t kCount = 256 * 256 + 3;
  GraphBuilder builder("m");
  std::vector<Var> operands;
  Inputs inputs;
  for (std::size_t k = 0; k < op.operands.size(); ++k) {
    operands.push_back(builder.input(op.operands[k].name, type, {Dim::symbol("N")}));
    Tensor tensor(type, {kCount});
    for (std::int64_t i = 0; i < kCount; ++i)
      tensor.set_bits(i, {static_cast<std::uint64_t>(k == 0 ? i / 256 % 256 : i % 256)});
    inputs.emplace(op.operands[k].name, tensor);
  }
  builder.output("y", builder.apply(op, operands));
  for (const auto& [where, outputs] : results_of(builder.graph(), inputs)) {
    for (std::int64_t i = 0; i < kCount; ++i) {
      int a = number_of(type, static_cast<int>(i / 256)), b = number_of(type, static_cast<int>(i));
      int value = b == 0 && meaning->of_zero ? meaning->of_zero(a) : meaning->value(a, b);
      scalar::Bits expected = outputs[0].dtype() == DType::boolean
                                  ? scalar::from_bool(value != 0)
                                  : scalar::Bits{static_cast<std::uint8_t>(value)};
      ASSERT_EQ(outputs[0].bits(i), expected) << where << ": " << a << " " << b;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Registry, ByteOp,
                         testing::Combine(testing::ValuesIn(byte_ops()),
                                          testing::Values(DType::i8, DType::u8)),
                         [](const auto& instance) {
                           return fmt::format("{}_{}", std::get<0>(instance.param),
                                              name(std::get<1>(instance.param)));
                         });

TEST(ByteOps, HaveNoMeaningInVain) {
  for (const Meaning& meaning : kMeanings) EXPECT_NE(find_op(meaning.op), nullptr) << meaning.op;
}

Graph cast_graph(DType from, DType to) {
  GraphBuilder builder("m");
  Var x = builder.input("x", from, {Dim::symbol("N")});
  builder.output("y", builder.apply("cast", {x}, {{"dtype", to}}));
  return std::move(builder.graph());
}

class ByteCast : public testing::TestWithParam<std::tuple<DType, DType>> {};

TEST_P(ByteCast, ToEveryType) {
  auto [type, to] = GetParam();
  Tensor x(type, {256});
  for (int bits = 0; bits < 256; ++bits) x.set_bits(bits, {static_cast<std::uint64_t>(bits)});
  for (const auto& [where, outputs] : results_of(cast_graph(type, to), {{"x", x}})) {
    for (int bits = 0; bits < 256; ++bits) {
      int value = number_of(type, bits);
      scalar::Bits expected;
      switch (to) {
        case DType::f32:
          expected = scalar::from_f32(static_cast<float>(value));
          break;
        case DType::f64:
          expected = scalar::from_f64(value);
          break;
        case DType::boolean:
          expected = scalar::from_bool(value != 0);
          break;
        case DType::i32:
          expected = scalar::from_i32(value);
          break;
        case DType::i64:
          expected = scalar::from_i64(value);
          break;
        default:
          expected = {static_cast<std::uint8_t>(value)};
      }
      ASSERT_EQ(outputs[0].bits(bits), expected) << where << ": " << value;
    }
  }
}

// Integers wrap. Floats truncate, saturate, and NaN gives 0.
TEST_P(ByteCast, FromEveryType) {
  auto [type, from] = GetParam();
  std::vector<double> numbers;
  for (int quarter = -2400; quarter <= 2400; ++quarter) numbers.push_back(quarter * 0.25);
  for (double large : {65535.0, 65536.0, 1e9, 2147483648.0, 1e18, 0x1p63, 1e30,
                       std::numeric_limits<double>::infinity()}) {
    numbers.push_back(large);
    numbers.push_back(-large);
  }
  for (double odd : {std::numeric_limits<double>::quiet_NaN(), -0.0, 0.9999999, 254.9999999,
                     -127.9999999, 1e-40})
    numbers.push_back(odd);
  Tensor x(from, {static_cast<std::int64_t>(numbers.size())});
  for (std::int64_t i = 0; i < x.element_count(); ++i)
    x.set_bits(i, scalar::bits_of(from, numbers[static_cast<std::size_t>(i)]));
  for (const auto& [where, outputs] : results_of(cast_graph(from, type), {{"x", x}})) {
    for (std::int64_t i = 0; i < x.element_count(); ++i) {
      std::uint8_t expected = 0;
      if (is_float(from)) {
        double low = type == DType::i8 ? -128 : 0, high = type == DType::i8 ? 127 : 255;
        double value = scalar::to_double(from, x.bits(i));
        if (!std::isnan(value))
          expected = static_cast<std::uint8_t>(
              static_cast<int>(std::trunc(std::min(std::max(value, low), high))));
      } else {
        expected = static_cast<std::uint8_t>(x.bits(i).value);
      }
      ASSERT_EQ(outputs[0].bits(i).value, expected)
          << where << ": " << scalar::to_string(from, x.bits(i));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, ByteCast,
                         testing::Combine(testing::Values(DType::i8, DType::u8),
                                          testing::Values(DType::f32, DType::f64, DType::i8,
                                                          DType::u8, DType::i32, DType::i64,
                                                          DType::boolean)),
                         [](const auto& instance) {
                           return fmt::format("{}_{}", name(std::get<0>(instance.param)),
                                              name(std::get<1>(instance.param)));
                         });

TEST(ByteSums, AreOfTypeI32) {
  for (DType type : {DType::i8, DType::u8}) {
    GraphBuilder builder("m");
    Var x = builder.input("x", type, {3, 1000});
    Var w = builder.input("w", type, {5, 1000});
    builder.output("sum",
                   builder.apply("reduce_sum", {x}, {{"axes", std::vector<std::int64_t>{1}}}));
    builder.output("max",
                   builder.apply("reduce_max", {x}, {{"axes", std::vector<std::int64_t>{1}}}));
    builder.output("product", builder.apply("matmul", {x, w}, {{"transpose_b", true}}));
    Tensor a(type, {3, 1000}), b(type, {5, 1000});
    for (std::int64_t i = 0; i < 3000; ++i)
      a.set_bits(i, {static_cast<std::uint64_t>(i * 37 % 256)});
    for (std::int64_t i = 0; i < 5000; ++i)
      b.set_bits(i, {static_cast<std::uint64_t>(i * 91 % 251)});
    auto number = [&](const Tensor& tensor, std::int64_t at) {
      return number_of(type, static_cast<int>(tensor.bits(at).value));
    };
    for (const auto& [where, outputs] : results_of(builder.graph(), {{"x", a}, {"w", b}})) {
      EXPECT_EQ(outputs[0].dtype(), DType::i32);
      EXPECT_EQ(outputs[1].dtype(), type);
      EXPECT_EQ(outputs[2].dtype(), DType::i32);
      for (std::int64_t row = 0; row < 3; ++row) {
        int sum = 0, largest = -1000;
        for (std::int64_t i = 0; i < 1000; ++i) {
          sum += number(a, row * 1000 + i);
          largest = std::max(largest, number(a, row * 1000 + i));
        }
        EXPECT_EQ(scalar::as_i32(outputs[0].bits(row)), sum) << where;
        EXPECT_EQ(number(outputs[1], row), largest) << where;
        for (std::int64_t column = 0; column < 5; ++column) {
          int product = 0;
          for (std::int64_t i = 0; i < 1000; ++i)
            product += number(a, row * 1000 + i) * number(b, column * 1000 + i);
          EXPECT_EQ(scalar::as_i32(outputs[2].bits(row * 5 + column)), product) << where;
        }
      }
    }
  }
}

}  // namespace
}  // namespace weir::test
