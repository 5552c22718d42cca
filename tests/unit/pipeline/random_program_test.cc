// The generator and the shrinker of random programs: that what is generated covers every op and
// every form a kernel can have, and that what is left of a failing program is small, still fails,
// and is text that can be read back.
#include <cstdlib>
#include <map>
#include <set>
#include <stdexcept>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ir/op.h"
#include "ir/registry.h"
#include "ir/text.h"
#include "tests/support/graphs.h"
#include "tests/unit/pipeline/random_program.h"

namespace weir::test {
namespace {

using scalar::Primitive;

constexpr std::uint64_t kPrograms = 1500;

bool reaches(const scalar::Arena& arena, scalar::Id root, Primitive primitive) {
  for (scalar::Id id : scalar::reachable(arena, std::span(&root, 1)))
    if (arena[id].primitive == primitive) return true;
  return false;
}

// What a kernel has of the forms that compiler/lowering/kernel.h describes.
std::set<std::string> forms_of(const Kernel& kernel) {
  std::set<std::string> forms;
  std::size_t folds = 0, maps = 0, stores = 0;
  for (const Stage& stage : kernel.stages) {
    stores += stage.stores.size();
    if (stage.fold) {
      ++folds;
      bool lanes = stage.fold->order == Reduction::Order::lanes;
      forms.insert(lanes ? "fold in lanes" : "fold in a chain");
      if (stage.fold->elements.size() > 1) forms.insert("fold of several elements");
      if (!stage.fold->partials.empty()) forms.insert("fold split by chunks");
    } else {
      ++maps;
      if (stage.axis) forms.insert("map along an axis of its own");
    }
  }
  if (kernel.across) forms.insert("fold across rows");
  if (folds > 1) forms.insert("several folds");
  if (folds > 0 && maps > 0) forms.insert("map behind a fold");
  if (folds == 0 && stores > 1) forms.insert("several results of one map");
  if (kernel.rows.empty()) forms.insert("no rows");
  if (!kernel_symbols(kernel).empty()) forms.insert("symbolic sizes");
  for (scalar::Id id : scalar::reachable(kernel.arena, roots_of(kernel))) {
    const scalar::Node& node = kernel.arena[id];
    bool guarded = node.primitive == Primitive::load_if;
    if (guarded) forms.insert("guarded load");
    if (!guarded && node.primitive != Primitive::load) continue;
    for (scalar::Id index : kernel.arena.operands(id).subspan(guarded ? 2 : 0)) {
      if (reaches(kernel.arena, index, Primitive::floor_div)) forms.insert("quotient in an index");
      if (reaches(kernel.arena, index, Primitive::modulo)) forms.insert("remainder in an index");
    }
  }
  return forms;
}

TEST(RandomProgram, CoversEveryOpAndEveryForm) {
  std::map<std::string, int> ops, forms;
  for (std::uint64_t seed = 1; seed <= kPrograms; ++seed) {
    Program program = random_program(seed);
    for (const Node& node : program.graph.nodes()) ++ops[node.op->name];
    for (const Kernel& kernel : lower_graph(program.graph).kernels)
      for (const std::string& form : forms_of(kernel)) ++forms[form];
  }
  std::vector<std::string> rare;  // which of so many ops these are is chance
  for (const auto& op : all_ops()) {
    EXPECT_GE(ops[op->name], 1) << op->name;
    if (ops[op->name] < 3) rare.push_back(op->name);
    for (std::size_t i = 0; i < op->operands.size(); ++i)
      if (const OpDef* gradient = gradient_op(*op, i)) {
        EXPECT_GE(ops[gradient->name], 1) << gradient->name;
      }
  }
  EXPECT_LE(rare.size(), all_ops().size() / 20) << fmt::format("{}", fmt::join(rare, ", "));
  for (const char* form :
       {"fold in lanes", "fold in a chain", "fold of several elements", "fold split by chunks",
        "several folds", "fold across rows", "map behind a fold", "map along an axis of its own",
        "several results of one map", "no rows", "symbolic sizes", "guarded load",
        "quotient in an index", "remainder in an index"})
    EXPECT_GE(forms[form], 10) << form;
  fmt::print("kernels by form: {}\n", forms);
}

TEST(RandomProgram, IsThatOfItsSeed) {
  EXPECT_EQ(describe(random_program(7)), describe(random_program(7)));
  EXPECT_NE(describe(random_program(7)), describe(random_program(8)));
}

// A program of many nodes in which one op among them is said to be wrong.
Program large_program() {
  Graph graph = parse(
      R"(graph @large(%x: f32[N, 24], %y: f32[N, 24], %z: f32[24]) -> (f32[N, 24], f32[N], f32[24]) {
  %a = add(%x, %y)
  %b = leaky_relu(%a)
  %c = mul(%b, %z)
  %d = softmax(%c)
  %e = tanh(%d)
  %f = sub(%e, %y)
  %g = reduce_sum(%f) {axes = [1]}
  %h = reduce_max(%c) {axes = [0]}
  return %f, %g, %h
})");
  Generator generator(3);
  Inputs inputs = random_values(graph, graph.inputs(), generator, false, {{"N", 17}});
  return {std::move(graph), {}, std::move(inputs)};
}

TEST(Shrink, LeavesTheNodeAtFault) {
  int tries = 0;
  auto fails = [&](const Program& program) {
    ++tries;
    for (const Node& node : program.graph.nodes())
      if (node.op->name == "tanh") return true;
    return false;
  };
  Program smallest = shrink(large_program(), fails);
  ASSERT_TRUE(fails(smallest));
  // The node, and one that takes its result to the output.
  EXPECT_LE(smallest.graph.nodes().size(), 2U) << describe(smallest);
  EXPECT_TRUE(smallest.graph.symbols().empty()) << describe(smallest);
  for (const auto& [name, tensor] : smallest.inputs) EXPECT_LE(tensor.element_count(), 1) << name;
  EXPECT_LT(tries, 400);
}

// The values that a result had go on as those of an input, so that what depends on them still does.
TEST(Shrink, KeepsTheValuesThatMatter) {
  auto fails = [](const Program& program) {
    std::vector<Tensor> results = interpret_expanded(program, true);
    bool found = false;
    for (const Node& node : program.graph.nodes()) found = found || node.op->name == "sub";
    if (!found) return false;
    for (const Tensor& result : results)
      for (std::int64_t i = 0; i < result.element_count(); ++i)
        if (scalar::to_double(result.dtype(), result.bits(i)) > 1.5) return true;
    return false;
  };
  Program program = large_program();
  ASSERT_TRUE(fails(program));
  Program smallest = shrink(std::move(program), fails);
  EXPECT_TRUE(fails(smallest));
  EXPECT_EQ(smallest.graph.nodes().size(), 1U) << describe(smallest);
}

TEST(Shrink, WhatIsLeftIsTextThatReadsBack) {
  Program smallest = shrink(large_program(), [](const Program& program) {
    bool softmax = false, sum = false;
    for (const Node& node : program.graph.nodes()) {
      softmax = softmax || node.op->name == "softmax";
      sum = sum || node.op->name == "reduce_sum";
    }
    return softmax && sum;
  });
  std::string text = describe(smallest);
  Graph graph = parse_graph(text, "shrunk.weir");
  EXPECT_EQ(print(graph), print(smallest.graph));
  for (const auto& [name, tensor] : smallest.inputs)
    EXPECT_THAT(text, testing::HasSubstr(fmt::format(
                          "// {} = {} {}", name, to_string(tensor.type()), tensor.to_string())));
}

TEST(Shrink, AProgramThatCannotGetSmallerStays) {
  Program program = large_program();
  std::string before = describe(program);
  EXPECT_EQ(describe(shrink(std::move(program),
                            [&](const Program& smaller) { return describe(smaller) == before; })),
            before);
}

TEST(FromEnvironment, TakesNumbersThatRunSomething) {
  const char* name = "WEIR_TEST_OF_NUMBERS";
  ASSERT_EQ(unsetenv(name), 0);
  EXPECT_EQ(from_environment(name, 2000, 1), 2000);
  ASSERT_EQ(setenv(name, "40", 1), 0);
  EXPECT_EQ(from_environment(name, 2000, 1), 40);
  for (const char* wrong : {"0", "", "-1", "many", "12x", "99999999999999999999"}) {
    ASSERT_EQ(setenv(name, wrong, 1), 0);
    EXPECT_THROW(from_environment(name, 2000, 1), std::invalid_argument) << wrong;
  }
}

}  // namespace
}  // namespace weir::test
