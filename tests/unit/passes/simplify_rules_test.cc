// Every rule of the simplify table, on random instances of its pattern: random element types,
// shapes, attributes and operands, special numbers included. The rule alone must keep every bit.

#include "compiler/passes/simplify_rules.h"

#include <algorithm>
#include <numeric>
#include <set>

#include "compiler/passes/simplify.h"
#include "ir/builder.h"
#include "tests/support/graphs.h"

namespace weir {

// Tests are listed under the rule's name.
static void PrintTo(const RewriteRule& rule, std::ostream* out) { *out << rule.name; }

namespace {

using test::Generator;
using Integers = std::vector<std::int64_t>;

constexpr DType kTypes[]{DType::f32, DType::f64, DType::f16, DType::bf16,   DType::i8,
                         DType::u8,  DType::i32, DType::i64, DType::boolean};

// Builds random instances of patterns.
class Instance {
 public:
  explicit Instance(std::uint64_t seed) : generator_(seed) {}

  Graph of(const Pattern& pattern) {
    type_ = kTypes[pick(std::size(kTypes))];
    builder_.output("y", build(pattern, type_));
    return builder_.graph();
  }

 private:
  std::size_t pick(std::size_t count) { return generator_() % count; }
  bool one_in(std::size_t count) { return pick(count) == 0; }

  // A part of a pattern; `type` is what its surroundings would take.
  Var build(const Pattern& pattern, DType type) {
    switch (pattern.kind) {
      case Pattern::Kind::op:
        return use(pattern);
      case Pattern::Kind::variable:
        return variable(pattern.variable, type);
      default:
        return literal(pattern);
    }
  }

  Var use(const Pattern& pattern) {
    std::vector<Var> operands;
    for (std::size_t i = 0; i < pattern.operands.size(); ++i) {
      const OperandSpec& spec = pattern.op->operands[std::min(i, pattern.op->operands.size() - 1)];
      operands.push_back(
          build(pattern.operands[i], spec.types == TypeSet::boolean ? DType::boolean : type_));
    }
    return builder_.apply(*pattern.op, operands, attributes(*pattern.op, operands[0].shape()));
  }

  // Mostly an input; sometimes a constant of one number, since rules may ask for that.
  Var variable(std::size_t number, DType type) {
    while (variables_.size() <= number) variables_.emplace_back();
    Var& result = variables_[number];
    if (result.valid()) return result;
    static const std::vector<Shape> kShapes{{}, {4}, {1, 4}, {3, 4}, {3, 1}, {2, 3, 4}};
    if (one_in(4)) {
      static constexpr double kNumbers[]{1, 2, -4, 0.125, 0, 3, 1e-40, 0x1p126};
      result = builder_.scalar(type, kNumbers[pick(std::size(kNumbers))]);
    } else {
      result = builder_.input("x" + std::to_string(number), type, kShapes[pick(kShapes.size())]);
    }
    return result;
  }

  Var literal(const Pattern& pattern) {
    DType type = pattern.bits(type_) ? type_ : pattern.literal_class;
    Var scalar = builder_.scalar(type, pattern.literal);
    if (one_in(2)) return scalar;
    return builder_.apply("broadcast", {scalar}, {{"shape", one_in(2) ? Shape{3, 4} : Shape{4}}});
  }

  Attributes attributes(const OpDef& op, const Shape& shape) {
    Attributes result;
    for (const AttributeSpec& spec : op.attributes)
      result.set(spec.name, attribute(spec.name, shape));
    return result;
  }

  // A value for an attribute by its name, which means the same in every op.
  Attribute attribute(const std::string& name, const Shape& shape) {
    Integers axes(shape.size());
    std::iota(axes.begin(), axes.end(), 0);
    if (name == "dtype") return kTypes[pick(std::size(kTypes))];
    if (name == "permutation") {
      if (one_in(4)) return Integers{};
      std::shuffle(axes.begin(), axes.end(), generator_);
      return axes;
    }
    if (name == "shape") {
      Shape result = shape;
      if (one_in(3)) result.insert(result.begin(), Dim(one_in(2) ? 1 : 2));
      if (one_in(3)) std::reverse(result.begin(), result.end());
      return result;
    }
    if (name == "axis")
      return static_cast<std::int64_t>(pick(std::max<std::size_t>(shape.size(), 1)));
    if (name == "strides")
      return one_in(2) ? Integers{} : each(shape, [&](auto) { return 1 + pick(2); });
    if (name == "starts")
      return each_dim(shape, [&](auto size) { return one_in(2) ? 0 : pick(size + 1); });
    if (name == "limits")
      return each_dim(shape, [&](auto size) { return one_in(2) ? size : pick(size + 1); });
    if (name == "low" || name == "high") return each_dim(shape, [&](auto) { return pick(4) / 3; });
    if (name == "interior")
      return one_in(2) ? Integers{} : each(shape, [&](auto) { return pick(4) / 3; });
    return 0.5;
  }

  template <class Choose>
  static Integers each(const Shape& shape, Choose&& choose) {
    Integers result;
    for (const Dim& dim : shape)
      result.push_back(static_cast<std::int64_t>(choose(static_cast<std::size_t>(dim.value()))));
    return result;
  }
  template <class Choose>
  static Shape each_dim(const Shape& shape, Choose&& choose) {
    Integers result = each(shape, choose);
    return {result.begin(), result.end()};
  }

  Generator generator_;
  GraphBuilder builder_;
  DType type_ = DType::f32;
  std::vector<Var> variables_;
};

class SimplifyRule : public testing::TestWithParam<RewriteRule> {};

TEST_P(SimplifyRule, KeepsEveryBit) {
  ParsedRule parsed(GetParam());
  int applied = 0;
  for (std::uint64_t seed = 0; seed < 4000 && applied < 100; ++seed) {
    Graph graph;
    try {
      graph = Instance(seed).of(parsed.pattern);
    } catch (const Error&) {
      continue;  // types or shapes that the ops do not take
    }
    Graph after = simplify_with(graph, {&GetParam(), 1});
    if (print(after) == print(graph)) continue;
    ++applied;
    test::expect_same_results(graph, after, seed, true);
    // What the whole table makes of it is a fixed point.
    Graph simple = simplify(graph);
    test::expect_same_results(graph, simple, seed, true);
    EXPECT_EQ(print(simplify(simple)), print(simple));
    if (HasFailure()) return;
  }
  EXPECT_GE(applied, 10) << "the pattern hardly ever occurs: " << GetParam().pattern;
}

INSTANTIATE_TEST_SUITE_P(Table, SimplifyRule,
                         testing::ValuesIn(simplify_rules().begin(), simplify_rules().end()),
                         [](const auto& instance) { return std::string(instance.param.name); });

TEST(SimplifyRules, HaveNamesOfTheirOwn) {
  std::set<std::string_view> names;
  for (const RewriteRule& rule : simplify_rules())
    EXPECT_TRUE(names.insert(rule.name).second) << rule.name;
}

}  // namespace
}  // namespace weir
