// Params that a program updates in place: many steps of compiled code on one block of state against
// as many runs of the interpreter, each of which takes what the one before it gave, bit for bit.
// The graphs are those where a write could come before a read, or over it.
#include <cstring>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compiler/lowering/program.h"
#include "runtime/workspace.h"
#include "tests/support/graphs.h"
#include "tests/unit/pipeline/compiled.h"

namespace weir::test {
namespace {

using testing::HasSubstr;

struct StateGraph {
  const char* text;
  bool in_place;  // nothing is copied when all is done
  std::string name() const { return parse(text).name(); }
};
void PrintTo(const StateGraph& graph, std::ostream* out) { *out << graph.name(); }

class State : public testing::TestWithParam<StateGraph> {};

// The params as the outputs of a run leave them.
void take_updates(const Graph& graph, const std::vector<Tensor>& outputs, Weights& weights) {
  for (std::size_t i = 0; i < outputs.size(); ++i)
    if (ValueId param = graph.outputs()[i].updates; param.valid())
      weights.insert_or_assign(graph.value(param).name, outputs[i]);
}

TEST_P(State, StepsInPlaceAsTheInterpreterDoes) {
  Graph graph = parse(GetParam().text);
  Generator generator(5);
  Weights first = random_values(graph, graph.params(), generator);
  std::vector<Inputs> batches;
  for (int i = 0; i < 4; ++i)
    batches.push_back(
        random_values(graph, graph.inputs(), generator, false, {{"N", i == 2 ? 1 : 37}}));
  for (const VectorLevel& level : vector_levels()) {
    for (Way way : {Way{level}, Way{level, false, false}, Way{level, true, true, true}}) {
      Executable executable = compile({graph, first, {}}, way);
      Workspace block;
      void* state = block.reserve(executable.state_bytes());
      executable.write_initial_state(state);
      Weights weights = first;
      for (const Inputs& batch : batches) {
        std::vector<Tensor> expected = interpret_expanded({graph, weights, batch}, level.has_fma);
        std::vector<Tensor> inputs;
        for (const Signature& input : executable.inputs()) inputs.push_back(batch.at(input.name));
        std::vector<Tensor> outputs = executable.outputs_in_place(inputs);
        executable.run_in_place(inputs, outputs, state, test_executors()[0]);
        take_updates(graph, expected, weights);
        std::size_t next = 0;
        for (std::size_t i = 0; i < expected.size(); ++i)
          if (!graph.outputs()[i].updates.valid()) {
            EXPECT_TRUE(compare(outputs[next++], expected[i]).identical) << graph.outputs()[i].name;
          }
        for (const StateVariable& variable : executable.state()) {
          Tensor now = read_state(variable, state);
          EXPECT_TRUE(compare(now, weights.at(variable.name)).identical)
              << way.name() << ": " << variable.name << " is " << now.to_string() << " instead of "
              << weights.at(variable.name).to_string();
        }
        if (HasFailure()) return;
      }
    }
  }
}

// All outputs in order, the updates among them, from the values that the model has.
TEST_P(State, IsAnOutputToWhoOnlyRuns) {
  Graph graph = parse(GetParam().text);
  Generator generator(7);
  Program program{graph, random_values(graph, graph.params(), generator),
                  random_values(graph, graph.inputs(), generator)};
  std::vector<Tensor> expected = interpret_expanded(program, vector_levels()[0].has_fma);
  Executable executable = compile(program, {vector_levels()[0]});
  for (int run = 0; run < 2; ++run)
    EXPECT_EQ(difference_run(graph, executable, program.inputs, expected, test_executors()),
              std::nullopt);
}

TEST_P(State, IsCopiedOnlyWhereItMustBe) {
  weir::Program program = lower_graph(parse(GetParam().text));
  std::size_t copies = 0;
  for (const KernelCall& call : program.calls) {
    const Buffer& from = program.buffers[call.buffers[0]];
    const Buffer& to = program.buffers[call.buffers.back()];
    if (call.buffers.size() == 2 && program.kernels[call.kernel].name == "copy" &&
        from.place == Buffer::Place::workspace && to.place == Buffer::Place::state)
      ++copies;
  }
  EXPECT_EQ(copies == 0, GetParam().in_place) << print(program);
}

INSTANTIATE_TEST_SUITE_P(
    Graphs, State,
    testing::ValuesIn(std::vector<StateGraph>{
        // The kernels that make the next values read the old ones where they write.
        {R"(graph @descend(%x: f32[N, 17], %rate: f32[]) {
  param %w: f32[9, 17]
  param %b: f32[9]
  %h = linear(%x, %w, %b)
  %loss = reduce_mean(%h)
  %g = mul(%h, %rate)
  %gw = matmul(%g, %x) {transpose_a = true}
  %w1 = sub(%w, %gw)
  %gb = reduce_sum(%g) {axes = [0]}
  %b1 = sub(%b, %gb)
  return %loss, %w1 updates %w, %b1 updates %b
})",
         true},
        // What reads the old value stands behind what makes the next one in the graph.
        {R"(graph @read_later(%x: f32[N, 8]) {
  param %w: f32[8, 8]
  %g = matmul(%x, %x) {transpose_a = true}
  %w1 = sub(%w, %g)
  %y = matmul(%x, %w)
  %z = tanh(%y)
  return %z, %w1 updates %w
})",
         true},
        // Read along one dimension and written along the other, beside what it is moved by.
        {R"(graph @layer(%x: f32[N, 40], %g: f32[N, 70]) {
  param %w: f32[70, 40]
  param %m: f32[70, 40]
  %h = matmul(%x, %w) {transpose_b = true}
  %gw = matmul(%g, %x) {transpose_a = true}
  %m1 = add(%m, %gw)
  %w1 = sub(%w, %m1)
  return %h, %w1 updates %w, %m1 updates %m
})",
         true},
        // Several of one kernel, and a counter.
        {R"(graph @moments(%g: f32[5, 40]) {
  param %w: f32[5, 40]
  param %m: f32[5, 40]
  param %v: f32[5, 40]
  param %steps: i64[]
  %one = constant {value = i64[] 1}
  %beta = constant {value = f32[] 0.875}
  %n = add(%steps, %one)
  %c = cast(%n) {dtype = f32}
  %bm = mul(%beta, %m)
  %m1 = add(%bm, %g)
  %gg = mul(%g, %g)
  %bv = mul(%beta, %v)
  %v1 = add(%bv, %gg)
  %r = abs(%v1)
  %s = sqrt(%r)
  %d = div(%m1, %s)
  %e = div(%d, %c)
  %w1 = sub(%w, %e)
  return %v1 updates %v, %w1 updates %w, %m1 updates %m, %n updates %steps
})",
         true},
        // Each needs the other's old value.
        {R"(graph @swap(%x: f32[3]) {
  param %a: f32[3]
  param %b: f32[3]
  %y = add(%a, %x)
  return %b updates %a, %y, %a updates %b
})",
         false},
        // Other elements of the old value are read than the one that is written.
        {R"(graph @transposed(%x: f32[6, 6]) {
  param %w: f32[6, 6]
  %t = transpose(%w)
  %y = add(%t, %x)
  return %y updates %w
})",
         false},
        // What reads the old value needs the next one too.
        {R"(graph @both(%x: f32[N, 4]) {
  param %w: f32[4, 4]
  %g = matmul(%x, %x) {transpose_a = true}
  %w1 = sub(%w, %g)
  %p = matmul(%w1, %w)
  %y = matmul(%x, %p)
  return %y, %w1 updates %w
})",
         false},
        // One value for two params, which is an output as well; an input, and a constant.
        {R"(graph @shared(%x: f32[3], %y: f32[70]) {
  param %a: f32[3]
  param %b: f32[3]
  param %c: f32[70]
  param %d: f32[2]
  %e = exp(%x)
  %s = add(%e, %a)
  %k = constant {value = f32[2] [1.0, 2.0]}
  return %s, %s updates %a, %s updates %b, %y updates %c, %k updates %d
})",
         true},
        // Only read, though it is state; and not read at all.
        {R"(graph @kept(%x: f32[N, 3]) {
  param %a: f32[3]
  param %b: f32[0, 2]
  param %c: f64[5]
  %y = mul(%x, %a)
  return %y, %a updates %a, %c updates %c, %b updates %b
})",
         true},
        // A chain through several params, from the last to the first.
        {R"(graph @delay(%x: f32[33]) {
  param %a: f32[33]
  param %b: f32[33]
  param %c: f32[33]
  return %c as "out", %b updates %c, %a updates %b, %x updates %a
})",
         true}}),
    [](const auto& instance) { return instance.param.name(); });

TEST(StateBlock, IsLaidOutInTheOrderOfTheParams) {
  Executable executable = compile({parse(R"(graph @g(%x: f32[3]) {
  param %a: f32[17]
  param %fixed: f32[3]
  param %b: i64[]
  %y = mul(%x, %fixed)
  param %c: f32[3]
  return %y updates %c, %b updates %b, %a updates %a
})"),
                                   {{"a", Tensor(DType::f32, {17})},
                                    {"fixed", Tensor(DType::f32, {3})},
                                    {"b", Tensor(DType::i64, {})},
                                    {"c", Tensor(DType::f32, {3})}},
                                   {}},
                                  {vector_levels()[0]});
  ASSERT_EQ(executable.state().size(), 3U);
  EXPECT_EQ(executable.state()[0].name, "a");
  EXPECT_EQ(executable.state()[1].name, "b");
  EXPECT_EQ(executable.state()[1].offset, 128U);
  EXPECT_EQ(executable.state()[2].name, "c");
  EXPECT_EQ(executable.state()[2].offset, 192U);
  EXPECT_EQ(executable.state_bytes(), 256U);
}

TEST(StateBlock, IsNeeded) {
  Graph graph = parse("graph @g(%x: f32[3]) {\n  param %a: f32[3]\n  return %x updates %a\n}");
  Executable executable =
      compile({graph, {{"a", Tensor(DType::f32, {3})}}, {}}, {vector_levels()[0]});
  Tensor x = Tensor::from<float>({1, 2, 3}, {3});
  const void* inputs[] = {x.data()};
  weir_call call{inputs, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr};
  EXPECT_EQ(executable.program()(&call), WEIR_INVALID_CALL);
  alignas(WEIR_ALIGNMENT) float state[16] = {};
  call.state = state;
  EXPECT_EQ(executable.program()(&call), WEIR_OK);
  EXPECT_EQ(state[2], 3.0F);
  EXPECT_THAT(error_of([&] { compile({graph, {}, {}}, {vector_levels()[0]}); }),
              HasSubstr("these params have no value: %a (f32[3])"));
}

// A step whose first half would change the state, and whose second half finds an index out of
// range. So many additions that without fusion the calls stand in several functions.
std::string faulty_step(const char* indices) {
  std::string text = R"(graph @faulty(%x: f32[4], %at: i64[4]) {
  param %w: f32[4]
  param %steps: f32[4]
  %next = sub(%w, %x)
  %0 = add(%next, %steps)
)";
  for (int i = 1; i < 30; ++i) text += fmt::format("  %{} = add(%{}, %x)\n", i, i - 1);
  return text + "  %cast = cast(%29) {dtype = i64}\n  %y = gather(%29, " + indices +
         ")\n  %count = add(%steps, %y)\n  return %y, %next updates %w, %count updates %steps\n}";
}

TEST(StateBlock, IsAsItWasAfterAFault) {
  // Indices that are given, and those that are computed from the next value itself.
  for (const char* indices : {"%at", "%cast"}) {
    Graph graph = parse(faulty_step(indices));
    Weights weights{{"w", Tensor::from<float>({3, 2, 1, 0}, {4})},
                    {"steps", Tensor(DType::f32, {4})}};
    for (bool fuse : {true, false}) {
      Executable executable = compile({graph, weights, {}}, {vector_levels()[0], fuse, true});
      Workspace block;
      auto* state = static_cast<char*>(block.reserve(executable.state_bytes()));
      executable.write_initial_state(state);
      std::string before(state, executable.state_bytes());
      Tensor x = Tensor::from<float>({1, 1, 1, 1}, {4});
      Tensor good = Tensor::from<std::int64_t>({3, 2, 1, 0}, {4});
      Tensor bad = Tensor::from<std::int64_t>({0, 1, 2, 4}, {4});
      Tensor zeros(DType::f32, {4}), y(DType::f32, {4});
      std::vector<Tensor> outputs{y};
      EXPECT_THAT(error_of([&] {
                    executable.run_in_place(std::vector{x, bad}, outputs, state,
                                            test_executors()[0]);
                  }),
                  HasSubstr("gather: index "))
          << indices;
      EXPECT_EQ(std::string(state, executable.state_bytes()), before) << indices << ", " << fuse;
      // Zeros make the computed indices those of the first values.
      executable.run_in_place(std::vector{zeros, good}, outputs, state, test_executors()[0]);
      EXPECT_EQ(outputs[0].bits(0).value, scalar::from_f32(0).value);
      EXPECT_NE(std::string(state, executable.state_bytes()), before);
    }
  }
}

}  // namespace
}  // namespace weir::test
