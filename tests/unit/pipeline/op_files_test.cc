// The walk of the registry: every op has its file of graphs, tests/ops/NAME.weir. Every graph of it
//   - survives the round trip of its text form, and the verifier;
//   - gives the same, up to rounding, interpreted mathematically and expanded;
//   - gives the same bits as the expanded interpreter when compiled at this machine's vector level and, at first at the
//     baseline, at the lesser ones in turn, fused and not, on one thread and on several workers;
// for several sizes of its symbols, with ordinary and with special numbers, and all of that once
// more with narrow types in the place of f32 and i32. An op with a gradient has it compared with
// central differences, and one without has a mathematical reason. What it looks like as a graph, as
// its gradient and as a kernel is shown by its text test, tests/lit/ops/NAME.weir.
#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <set>
#include <sstream>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compiler/autodiff/gradient.h"
#include "ir/op.h"
#include "ir/registry.h"
#include "ir/text.h"
#include "ir/verifier.h"
#include "tests/support/graphs.h"
#include "tests/support/op_files.h"
#include "tests/unit/autodiff/gradients.h"
#include "tests/unit/pipeline/compiled.h"

namespace weir::test {
namespace {

std::string content_of(const std::string& path, const std::string& purpose) {
  std::ifstream file(path);
  if (!file) throw Error("there is no " + path + ": every op needs " + purpose);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

bool uses(const Graph& graph, const std::string& op) {
  return std::any_of(graph.nodes().begin(), graph.nodes().end(),
                     [&](const Node& node) { return node.op->name == op; });
}

// The graph on inputs of random numbers, its symbols all being `size`. The weights depend on the
// graph alone.
Program program_of(const Graph& graph, std::int64_t size, std::uint64_t seed, bool special) {
  Generator generator(seed), weight_generator(1);
  Dim::Bindings bindings;
  for (const std::string& symbol : graph.symbols()) bindings.emplace(symbol, size);
  Inputs inputs = random_values(graph, graph.inputs(), generator, special, bindings);
  Weights weights = random_values(graph, graph.params(), weight_generator, false, bindings);
  return {graph, std::move(weights), std::move(inputs)};
}

// Both narrow types are tried on graphs of an op's file as far as this; further ones have one each,
// in turn.
constexpr std::size_t kOfBothTypes = 4;

// The graphs of an op's file in the narrow types: f16 and bf16 for f32, i8 and u8 for i32. Left out
// are those that have no such type in them, or whose other types do not fit any more.
std::vector<Graph> narrow_graphs_of(const std::string& op) {
  static constexpr std::array<std::pair<DType, DType>, 4> kNarrower{{{DType::f32, DType::f16},
                                                                     {DType::f32, DType::bf16},
                                                                     {DType::i32, DType::i8},
                                                                     {DType::i32, DType::u8}}};
  std::vector<Graph> graphs;
  std::map<DType, std::size_t> turns;  // graphs that become of this type
  for (const Graph& graph : graphs_of(op)) {
    for (auto [from, to] : kNarrower) {
      bool has_type = false;
      for (std::uint32_t i = 0; i < graph.value_count(); ++i)
        has_type = has_type || graph.type(ValueId{i}).dtype == from;
      if (!has_type) continue;
      std::size_t turn = ++turns[to];
      bool is_first = to == DType::f16 || to == DType::i8;
      if (turn > kOfBothTypes && is_first != (turn % 2 == 0)) continue;
      try {
        graphs.push_back(retyped(graph, from, to));
      } catch (const Error&) {
      }
    }
  }
  return graphs;
}

bool finite(const Tensor& tensor) {
  for (std::int64_t i = 0; i < tensor.element_count(); ++i)
    if (!std::isfinite(scalar::to_double(tensor.dtype(), tensor.bits(i)))) return false;
  return true;
}

// Into the domain of roots and logarithms.
void make_positive(Inputs& tensors) {
  for (auto& [name, tensor] : tensors)
    if (tensor.dtype() == DType::f64)
      for (double& x : tensor.mutable_elements<double>()) x = std::min(std::abs(x), 0.9) + 1e-2;
}

// Central differences take two evaluations for each element.
bool has_differences(const Graph& graph) {
  double elements = 0;
  bool floats = false;
  for (auto values : {graph.inputs(), graph.params()})
    for (ValueId id : values) {
      double count = 1;
      for (const Dim& dim : graph.type(id).shape)
        count *= static_cast<double>(dim.evaluate({{"N", 3}}).value());
      elements += count;
      floats = floats || is_float(graph.type(id).dtype);
    }
  for (const Node& node : graph.nodes())
    if (is_imposed(node.op->gradient)) return false;
  bool float_output =
      std::any_of(graph.outputs().begin(), graph.outputs().end(),
                  [&](const auto& output) { return is_float(graph.type(output.value).dtype); });
  return floats && float_output && elements <= 150;
}

class OpFile : public testing::TestWithParam<std::string> {};

TEST_P(OpFile, UsesTheOpAndKeepsItsText) {
  for (const Graph& graph : graphs_of(GetParam())) {
    EXPECT_TRUE(uses(graph, GetParam())) << graph.name() << " does not use " << GetParam();
    EXPECT_NO_THROW(verify(graph)) << graph.name();
    EXPECT_NO_THROW(check_graph(graph)) << graph.name();
    std::string text = print(graph);
    EXPECT_EQ(print(parse_graph(text, "printed.weir")), text);
  }
}

TEST_P(OpFile, HasATextTest) {
  std::string path = std::string(WEIR_SOURCE_DIR) + "/tests/lit/ops/" + GetParam() + ".weir";
  std::string text = content_of(path, "a text test");
  EXPECT_TRUE(uses(parse_graph(text, path), GetParam())) << path << " does not use the op";
  // Graph and kernel are shown, and numbers that the author knows; with the gradient, if it has
  // one.
  bool differentiable = get_op(GetParam()).gradient.kind != GradientRule::Kind::none;
  for (const char* needed : {"weir inspect %s --stage=optimized", "--check-prefix=GRAPH",
                             "weir inspect %s --stage=kernels", "--check-prefix=KERNEL",
                             "weir run %s", "--check-prefix=VALUES"})
    EXPECT_THAT(text, testing::HasSubstr(needed)) << path;
  if (differentiable) {
    EXPECT_THAT(text, testing::ContainsRegex("GRAPH.* as \"grad_")) << path;
  }
}

// Expansions are within a few units in the last place; sums and powers of them may lose some more.
TEST_P(OpFile, ExpandedIsCloseToMathematical) {
  for (const Graph& graph : graphs_of(GetParam())) {
    Program program = program_of(graph, 16, 5, false);
    std::vector<Tensor> exact = interpret(graph, program.weights, program.inputs);
    std::vector<Tensor> expanded = interpret_expanded(program, true);
    bool single = false;  // something on the way is rounded to f32
    for (std::uint32_t i = 0; i < graph.value_count(); ++i)
      single = single || graph.type(ValueId{i}).dtype == DType::f32;
    for (std::size_t i = 0; i < exact.size(); ++i) {
      bool floating = is_float(exact[i].dtype());
      double tolerance = !floating ? 0 : single ? 2e-6 : 1e-13;
      EXPECT_LE(compare(expanded[i], exact[i]).relative(), tolerance)
          << graph.name() << ", output " << graph.outputs()[i].name;
    }
  }
}

constexpr std::int64_t kMostInterpreted = 40'000;  // of a value that is interpreted

// Values of the graph's symbols, as far as they lead to few elements: a batch of convolutions is
// the same images again.
std::vector<std::int64_t> sizes_for(const Graph& graph) {
  if (graph.symbols().empty()) return {1};
  std::vector<std::int64_t> sizes;
  for (std::int64_t size : {0, 1, 5, 16, 37, 130}) {
    Dim::Bindings bindings;
    for (const std::string& symbol : graph.symbols()) bindings.emplace(symbol, size);
    std::int64_t most = 0;
    for (std::uint32_t i = 0; i < graph.value_count(); ++i)
      most = std::max(most, element_count(graph.type({i}).shape).evaluate(bindings).value_or(0));
    if (size <= 16 || most <= kMostInterpreted) sizes.push_back(size);
  }
  return sizes;
}

// The graph, compiled in several ways, for several values of its symbols: small ones with ordinary
// operands and with special values among them, larger ones with either.
void expect_compiled_equals_interpreter(const Graph& graph, const std::vector<Way>& ways) {
  std::vector<Executable> executables;
  for (const Way& way : ways) executables.push_back(compile(program_of(graph, 1, 1, false), way));
  // One compiled program serves every size.
  for (std::int64_t size : sizes_for(graph)) {
    for (bool special : {false, true}) {
      if (size > 5 && special != (size == 37)) continue;
      Program program = program_of(graph, size, static_cast<std::uint64_t>(size) + 1, special);
      std::optional<std::vector<Tensor>> expected[2];  // without and with FMA
      for (std::size_t i = 0; i < ways.size(); ++i) {
        bool has_fma = ways[i].level.has_fma;
        if (!expected[has_fma]) expected[has_fma] = interpret_expanded(program, has_fma);
        ASSERT_EQ(difference_run(graph, executables[i], program.inputs, *expected[has_fma],
                                 test_executors()),
                  std::nullopt)
            << ways[i].name() << ", symbols " << size << "\n"
            << describe(program);
      }
    }
  }
}

// The lesser levels in turn, from the baseline on, where vectors are shortest and nothing rounds
// once.
VectorLevel lesser_level(std::uint64_t turn) {
  std::span<const VectorLevel> levels = vector_levels();
  return levels[levels.size() - 1 - turn % (levels.size() - 1)];
}

TEST_P(OpFile, CompiledEqualsTheInterpreter) {
  std::uint64_t turn = 0;
  std::span<const VectorLevel> levels = vector_levels();
  for (const Graph& graph : graphs_of(GetParam())) {
    // This machine's level, and for every second graph one of the lesser ones in turn.
    std::vector<Way> ways{{levels[0]}};
    if (levels.size() > 1 && turn % 2 == 0) ways.push_back({lesser_level(turn / 2)});
    ++turn;
    // One op is one kernel either way.
    if (graph.nodes().size() > 1) ways.push_back({vector_levels().front(), false, false});
    expect_compiled_equals_interpreter(graph, ways);
    if (HasFatalFailure()) return;
  }
}

TEST_P(OpFile, CompiledEqualsTheInterpreterInNarrowTypes) {
  std::set<DType> seen;
  std::uint64_t turn = 0;
  std::span<const VectorLevel> levels = vector_levels();
  for (const Graph& graph : narrow_graphs_of(GetParam())) {
    // This machine's level, and for every third graph one of the lesser ones in turn.
    std::vector<Way> ways{{levels[0]}};
    if (levels.size() > 1 && turn % 3 == 0) ways.push_back({lesser_level(turn / 3)});
    ++turn;
    for (std::uint32_t i = 0; i < graph.value_count(); ++i)
      seen.insert(graph.type(ValueId{i}).dtype);
    expect_compiled_equals_interpreter(graph, ways);
    if (HasFatalFailure()) return;
  }
  for (DType type : {DType::f16, DType::bf16, DType::i8, DType::u8})
    for (const OperandSpec& spec : get_op(GetParam()).operands)
      EXPECT_TRUE(!contains(spec.types, type) || seen.contains(type))
          << "the file has no graph for " << name(type);
}

// An op on f16 or bf16 is the op on f32 between casts. Operands are cast where the op reads them,
// so no value in between escapes being rounded.
TEST_P(OpFile, HalfIsRoundedAtEveryValue) {
  for (const Graph& graph : narrow_graphs_of(GetParam())) {
    GraphBuilder builder(graph.name());
    std::vector<Var> map(graph.value_count());
    for (auto values : {graph.inputs(), graph.params()})
      for (ValueId id : values)
        map[id.index] =
            builder.input(graph.value(id).name, graph.type(id).dtype, graph.type(id).shape);
    auto in_type = [&](Var value, DType type) {
      return value.dtype() == type ? value : builder.apply("cast", {value}, {{"dtype", type}});
    };
    for (const Node& node : graph.nodes()) {
      bool converts = node.op->keeps_types || node.op->is_movement || node.op->data;
      std::vector<Var> operands;
      for (ValueId id : node.operands)
        operands.push_back(converts ? map[id.index]
                                    : in_type(map[id.index], compute_type(graph.type(id).dtype)));
      std::vector<Var> results = builder.apply_all(*node.op, operands, node.attributes);
      for (std::size_t i = 0; i < results.size(); ++i)
        map[node.results[i].index] = in_type(results[i], graph.type(node.results[i]).dtype);
    }
    for (const Graph::Output& output : graph.outputs())
      builder.output(output.name, map[output.value.index]);
    Program program = program_of(graph, 5, 3, true);
    Inputs all = program.inputs;
    for (const auto& [name, value] : program.weights) all.emplace(name, value);
    std::vector<Tensor> expected = interpret(builder.graph(), {}, all, expanded());
    EXPECT_EQ(difference(graph, interpret_expanded(program, true), expected), std::nullopt)
        << describe(program);
  }
}

TEST_P(OpFile, HasAGradientOrAReason) {
  const OpDef& op = get_op(GetParam());
  if (op.gradient.kind == GradientRule::Kind::none) {
    EXPECT_FALSE(op.gradient.reason.empty()) << "no gradient needs a mathematical reason";
    return;
  }
  if (is_imposed(op.gradient)) return;
  int compared = 0;
  for (const Graph& graph : graphs_of(GetParam())) {
    if (!has_differences(graph)) continue;
    Graph wide = retyped(graph, DType::f32, DType::f64);
    Program program = program_of(wide, 3, 2, false);
    auto defined = [&] {
      std::vector<Tensor> outputs = interpret(wide, program.weights, program.inputs);
      return std::all_of(outputs.begin(), outputs.end(), finite);
    };
    if (!defined()) make_positive(program.inputs);
    if (!defined()) continue;
    ++compared;
    expect_gradient_matches_differences(wide, program.inputs, program.weights, 1e-5);
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(compared, 0) << "no graph of " << op.name << " has a point to compare at";
}

// The same gradient as in f32, up to rounding at every value; and compiled as interpreted.
TEST_P(OpFile, GradientInHalfIsNearThatInSingle) {
  std::size_t turn = 0;
  for (const Graph& graph : graphs_of(GetParam())) {
    std::vector<std::string> wrt;
    for (auto values : {graph.inputs(), graph.params()})
      for (ValueId id : values)
        if (graph.type(id).dtype == DType::f32) wrt.push_back(graph.value(id).name);
    if (wrt.empty() || !has_differences(graph)) continue;
    if (get_op(GetParam()).gradient.kind == GradientRule::Kind::none) continue;
    ++turn;
    for (DType type : {DType::f16, DType::bf16}) {
      if (turn > kOfBothTypes && (type == DType::f16) != (turn % 2 == 0)) continue;
      Program half = program_of(retyped(graph, DType::f32, type), 3, 2, false);
      half.graph = gradient(half.graph, wrt);
      Program single{gradient(graph, wrt), {}, {}};
      for (auto [from, to] :
           {std::pair(&half.inputs, &single.inputs), std::pair(&half.weights, &single.weights)}) {
        for (const auto& [name, tensor] : *from) {
          Tensor wide(tensor.dtype() == type ? DType::f32 : tensor.dtype(), tensor.sizes());
          for (std::int64_t i = 0; i < wide.element_count(); ++i)
            wide.set_bits(i, tensor.dtype() == type ? scalar::from_f32(static_cast<float>(
                                                          scalar::to_double(type, tensor.bits(i))))
                                                    : tensor.bits(i));
          to->emplace(name, wide);
        }
      }
      std::vector<Tensor> expected = interpret(single.graph, single.weights, single.inputs);
      std::vector<Tensor> actual = interpret_expanded(half, true);
      for (std::size_t i = graph.outputs().size(); i < expected.size(); ++i) {
        Tensor wide(DType::f32, actual[i].sizes());
        for (std::int64_t k = 0; k < wide.element_count(); ++k)
          wide.set_bits(k, scalar::bits_of(DType::f32, scalar::to_double(actual[i].dtype(),
                                                                         actual[i].bits(k))));
        if (!finite(expected[i])) continue;
        // Of softmax, for one, it is nothing but rounding.
        Difference difference = compare(wide, expected[i]);
        EXPECT_LE(difference.largest,
                  (type == DType::f16 ? 0.01 : 0.08) * std::max(difference.largest_reference, 1e-4))
            << half.graph.outputs()[i].name << ": " << wide.to_string() << " instead of "
            << expected[i].to_string() << "\n"
            << describe(half);
      }
      EXPECT_EQ(difference_compiled(half, {vector_levels().front()}, actual, {}), std::nullopt)
          << describe(half);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Registry, OpFile, testing::ValuesIn(op_names()),
                         [](const auto& instance) { return instance.param; });

TEST(OpFiles, AreOfOpsThatExist) {
  for (const auto& entry :
       std::filesystem::directory_iterator(std::string(WEIR_SOURCE_DIR) + "/tests/ops"))
    EXPECT_NE(find_op(entry.path().stem().string()), nullptr) << entry.path();
}

}  // namespace
}  // namespace weir::test
