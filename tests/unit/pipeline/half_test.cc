// f16 and bf16, compiled at every vector level of the machine: an op on them is the op on f32,
// rounded once. The f32 results come from a compiled program that has no narrow type in it, and
// rounding from a table of all values (tests/support/half.h).
//   - every op of one operand, and the gradients of those, over all 2^16 values
//   - every pointwise op of two operands over all pairs of 600 values that matter
//   - casts from all other types at and around every tie
#include <cmath>
#include <limits>
#include <random>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "ir/builder.h"
#include "ir/op.h"
#include "ir/registry.h"
#include "tests/support/half.h"
#include "tests/unit/pipeline/compiled.h"

namespace weir::test {
namespace {

// Operands admit a floating-point type, and there are so many of them.
bool takes_floats(const OpDef& op, std::size_t count) {
  if (!op.pointwise || op.keeps_types || op.operands.size() != count) return false;
  for (const OperandSpec& spec : op.operands)
    if (!contains(spec.types, DType::f16)) return false;
  return true;
}

std::vector<std::string> names_of(std::size_t operands) {
  std::vector<std::string> names;
  for (const auto& op : all_ops()) {
    if (takes_floats(*op, operands)) names.push_back(op->name);
    if (takes_floats(*op, operands) && operands == 1)
      if (const OpDef* gradient = gradient_op(*op, 0)) names.push_back(gradient->name);
  }
  return names;
}

// The op on inputs of this type, all of them of the shape [N].
Graph graph_of(const OpDef& op, DType type) {
  GraphBuilder builder("m");
  std::vector<Var> operands;
  for (const OperandSpec& spec : op.operands)
    operands.push_back(builder.input(spec.name, type, {Dim::symbol("N")}));
  builder.output("y", builder.apply(op, operands, example_attributes(op)));
  return std::move(builder.graph());
}

Tensor run_compiled(const Graph& graph, const VectorLevel& level,
                    const std::vector<Tensor>& inputs) {
  CompileOptions options;
  options.target.cpu = level.cpu;
  options.debug_lines = false;
  return compile(Model{graph, {}}, options).run(std::span(inputs))[0];
}

Tensor tensor_of(DType type, const std::vector<std::uint16_t>& bits) {
  Tensor result(type, {static_cast<std::int64_t>(bits.size())});
  for (std::size_t i = 0; i < bits.size(); ++i)
    result.set_bits(static_cast<std::int64_t>(i), {bits[i]});
  return result;
}

Tensor widened(DType type, const std::vector<std::uint16_t>& bits) {
  Tensor result(DType::f32, {static_cast<std::int64_t>(bits.size())});
  for (std::size_t i = 0; i < bits.size(); ++i)
    result.mutable_elements<float>()[i] = static_cast<float>(half_table(type).value(bits[i]));
  return result;
}

// `describe` says which operands element i has.
template <class Describe>
void expect_rounded(DType type, const Tensor& actual, const Tensor& exact, Describe describe) {
  const HalfTable& table = half_table(type);
  int different = 0;
  for (std::int64_t i = 0; i < exact.element_count() && different < 5; ++i) {
    if (exact.dtype() == DType::boolean) {
      if (actual.bits(i) == exact.bits(i)) continue;
    } else {
      std::uint16_t expected = table.nearest(scalar::to_double(exact.dtype(), exact.bits(i)));
      if (table.same(static_cast<std::uint16_t>(actual.bits(i).value), expected)) continue;
    }
    ++different;
    ADD_FAILURE() << fmt::format("{}: {:#x} = {}; in {}: {}", describe(i), actual.bits(i).value,
                                 scalar::to_string(actual.dtype(), actual.bits(i)),
                                 name(exact.dtype()),
                                 scalar::to_string(exact.dtype(), exact.bits(i)));
  }
}

// This machine's level, and one of the others in turn: what differs are the conversions, which
// HalfCast looks at for all.
std::vector<VectorLevel> two_levels() {
  static std::size_t turn = 0;
  const std::span<const VectorLevel> all = vector_levels();
  std::vector<VectorLevel> levels{all.front()};
  if (all.size() > 1) levels.push_back(all[1 + turn++ % (all.size() - 1)]);
  return levels;
}

void expect_op_rounds_once(const OpDef& op, DType type,
                           const std::vector<std::vector<std::uint16_t>>& operands) {
  std::vector<Tensor> narrow, wide;
  for (const auto& operand : operands) {
    narrow.push_back(tensor_of(type, operand));
    wide.push_back(widened(type, operand));
  }
  for (const VectorLevel& level : two_levels()) {
    Tensor exact = run_compiled(graph_of(op, DType::f32), level, wide);
    Tensor actual = run_compiled(graph_of(op, type), level, narrow);
    expect_rounded(type, actual, exact, [&](std::int64_t i) {
      std::string text = level.name() + ", " + op.name;
      for (const auto& operand : operands)
        text += fmt::format(" {:#x}", operand[static_cast<std::size_t>(i)]);
      return text;
    });
    if (testing::Test::HasFailure()) return;
  }
}

using OpAndType = std::tuple<std::string, DType>;

std::string name_of(const testing::TestParamInfo<OpAndType>& info) {
  std::string name = std::get<0>(info.param);
  std::replace(name.begin(), name.end(), '.', '_');
  return fmt::format("{}_{}", name, weir::name(std::get<1>(info.param)));
}

class HalfUnary : public testing::TestWithParam<OpAndType> {};

TEST_P(HalfUnary, AllValues) {
  auto [name, type] = GetParam();
  const OpDef& op = get_op(name);
  std::vector<std::uint16_t> all;
  for (int bits = 0; bits < 1 << 16; ++bits) all.push_back(static_cast<std::uint16_t>(bits));
  std::vector<std::vector<std::uint16_t>> operands{all};
  // The cotangent of a gradient op.
  if (op.operands.size() == 2) operands.emplace_back(all.size(), half_table(type).nearest(-1.375));
  expect_op_rounds_once(op, type, operands);
}

INSTANTIATE_TEST_SUITE_P(Registry, HalfUnary,
                         testing::Combine(testing::ValuesIn(names_of(1)),
                                          testing::Values(DType::f16, DType::bf16)),
                         name_of);

class HalfBinary : public testing::TestWithParam<OpAndType> {};

TEST_P(HalfBinary, ManyPairs) {
  auto [name, type] = GetParam();
  const HalfTable& table = half_table(type);
  std::vector<std::uint16_t> values;
  // Around zero, one, two and infinity; and anywhere.
  for (double center : {0.0, 1.0, 2.0, std::numeric_limits<double>::infinity()})
    for (int step = -20; step <= 20; ++step)
      for (int sign : {0, 0x8000})
        if (int bits = table.nearest(center) + step; bits >= 0)
          values.push_back(static_cast<std::uint16_t>(bits | sign));
  std::mt19937 random(1);
  while (values.size() < 600) values.push_back(static_cast<std::uint16_t>(random()));
  std::vector<std::vector<std::uint16_t>> operands(2);
  for (std::uint16_t a : values)
    for (std::uint16_t b : values) {
      operands[0].push_back(a);
      operands[1].push_back(b);
    }
  expect_op_rounds_once(get_op(name), type, operands);
}

INSTANTIATE_TEST_SUITE_P(Registry, HalfBinary,
                         testing::Combine(testing::ValuesIn(names_of(2)),
                                          testing::Values(DType::f16, DType::bf16)),
                         name_of);

Graph cast_graph(DType from, DType to) {
  GraphBuilder builder("m");
  Var x = builder.input("x", from, {Dim::symbol("N")});
  builder.output("y", builder.apply("cast", {x}, {{"dtype", to}}));
  return std::move(builder.graph());
}

class HalfCast : public testing::TestWithParam<std::tuple<DType, DType>> {};

TEST_P(HalfCast, ToEveryType) {
  auto [type, to] = GetParam();
  std::vector<std::uint16_t> all;
  for (int bits = 0; bits < 1 << 16; ++bits) all.push_back(static_cast<std::uint16_t>(bits));
  for (const VectorLevel& level : vector_levels()) {
    Tensor actual = run_compiled(cast_graph(type, to), level, {tensor_of(type, all)});
    for (std::uint16_t bits : all) {
      double value = half_table(type).value(bits);
      scalar::Bits found = actual.bits(bits);
      bool right = false;
      if (is_half(to)) {
        right = half_table(to).same(static_cast<std::uint16_t>(found.value),
                                    half_table(to).nearest(value));
      } else if (is_float(to)) {
        double wide = scalar::to_double(to, found);
        right = std::isnan(value) ? std::isnan(wide)
                                  : wide == value && std::signbit(wide) == std::signbit(value);
      } else if (to == DType::boolean) {
        right = scalar::as_bool(found) == (value != 0);
      } else {
        int width = bit_width(to);
        double low = is_signed(to) ? -std::ldexp(1, width - 1) : 0;
        double high = std::ldexp(1, is_signed(to) ? width - 1 : width) - 1;  // 2^63 for i64
        std::int64_t expected = std::isnan(value) ? 0
                                : value <= low    ? static_cast<std::int64_t>(low)
                                : value >= high
                                    ? (width == 64 ? INT64_MAX : static_cast<std::int64_t>(high))
                                    : static_cast<std::int64_t>(value);
        right = scalar::to_integer(to, found) == expected;
      }
      ASSERT_TRUE(right) << level.name() << ": " << name(type) << " " << value << " became "
                         << scalar::to_string(to, found);
    }
  }
}

// Every value, every tie between neighbours, and what lies next to these in the type that is cast
// from.
TEST_P(HalfCast, FromEveryType) {
  auto [type, from] = GetParam();
  if (is_half(from)) return;  // the other half of ToEveryType
  const HalfTable& table = half_table(type);
  std::vector<double> numbers{std::numeric_limits<double>::quiet_NaN()};
  for (int bits = 0; bits <= table.infinity(); ++bits) {
    double low = table.value(static_cast<std::uint16_t>(bits));
    double high = bits + 1 < table.infinity()
                      ? table.value(static_cast<std::uint16_t>(bits + 1))
                      : 2 * low - table.value(static_cast<std::uint16_t>(bits - 1));
    numbers.push_back(low);
    if (bits >= table.infinity()) continue;
    double middle = low + (high - low) / 2;
    for (double at : {low, middle}) {
      numbers.push_back(at);
      double toward[] = {-1, 1e300};
      for (double end : toward) {
        numbers.push_back(std::nextafter(at, end));
        numbers.push_back(std::nextafter(static_cast<float>(at), static_cast<float>(end)));
      }
      // As far away as f32 resolves, and half of that: rounding to f32 first would be a tie.
      numbers.push_back(at * (1 + 0x1p-25));
      numbers.push_back(at * (1 - 0x1p-26));
    }
  }
  for (double small : {1e-45, 1e-40, 1e-300, 5e-324, 1e39, 1e300}) numbers.push_back(small);
  Tensor x(from, {static_cast<std::int64_t>(2 * numbers.size())});
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    x.set_bits(static_cast<std::int64_t>(2 * i), scalar::bits_of(from, numbers[i]));
    x.set_bits(static_cast<std::int64_t>(2 * i + 1), scalar::bits_of(from, -numbers[i]));
  }
  if (from == DType::i32 || from == DType::i64) {
    // Neighbours of the same numbers, as far as they are integers.
    std::mt19937_64 random(1);
    for (std::int64_t i = 0; i < x.element_count(); i += 2) {
      std::int64_t near = scalar::to_integer(from, x.bits(i));
      std::uint64_t step = static_cast<std::uint64_t>(random() % 3) - 1;
      if (random() % 2 == 0) step <<= random() % 30;
      x.set_bits(i, scalar::bits_of(
                        from, static_cast<std::int64_t>(static_cast<std::uint64_t>(near) + step)));
    }
  }
  for (const VectorLevel& level : vector_levels()) {
    Tensor actual = run_compiled(cast_graph(from, type), level, {x});
    for (std::int64_t i = 0; i < x.element_count(); ++i) {
      long double exact = from == DType::i64 ? static_cast<long double>(scalar::as_i64(x.bits(i)))
                                             : scalar::to_double(from, x.bits(i));
      std::uint16_t expected = table.nearest(exact);
      ASSERT_TRUE(table.same(static_cast<std::uint16_t>(actual.bits(i).value), expected))
          << level.name() << ": " << name(from) << " " << scalar::to_string(from, x.bits(i))
          << " became " << scalar::to_string(type, actual.bits(i)) << " and not "
          << scalar::to_string(type, {expected});
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, HalfCast,
                         testing::Combine(testing::Values(DType::f16, DType::bf16),
                                          testing::Values(DType::f32, DType::f64, DType::f16,
                                                          DType::bf16, DType::i8, DType::u8,
                                                          DType::i32, DType::i64, DType::boolean)),
                         [](const auto& instance) {
                           return fmt::format("{}_{}", name(std::get<0>(instance.param)),
                                              name(std::get<1>(instance.param)));
                         });

}  // namespace
}  // namespace weir::test
