// The same bits every time: from run to run, for any number of threads, wherever tensors lie in
// memory and wherever an element lies in its vector.
#include <cstring>
#include <numeric>

#include <gtest/gtest.h>

#include "compiler/passes/pass_manager.h"
#include "runtime/thread_pool.h"
#include "tests/support/graphs.h"
#include "tests/unit/pipeline/compiled.h"

namespace weir::test {
namespace {

// Every way of looping: maps, rows in lanes and in chunks, columns in chains, products, gathers.
constexpr const char* kMixed = R"(graph @mixed(%x: f32[N, 37], %w: f32[37, 37], %m: bool[N, 37]) ->
    (f32[N, 37], f32[37], f32[N], f32[N, 37], f32[37, N], bool[N, 37]) {
  %a = leaky_relu(%x)
  %s = softmax(%a)
  %columns = reduce_sum(%x) {axes = [0]}
  %rows = reduce_max(%x) {axes = [1]}
  %product = matmul(%s, %w)
  %chosen = select(%m, %product, %x)
  %t = transpose(%chosen)
  %positive = greater(%chosen, %x)
  return %s, %columns, %rows, %chosen, %t, %positive
})";

Program mixed(std::int64_t n) {
  Generator generator(7);
  Graph graph = parse(kMixed);
  Inputs inputs = random_values(graph, graph.inputs(), generator, false, {{"N", n}});
  return {std::move(graph), {}, std::move(inputs)};
}

TEST(Determinism, SameBitsFromRunToRun) {
  Program program = mixed(3000);
  Executable executable = compile(program, {vector_levels().front()});
  std::vector<Tensor> first = executable.run(program.inputs);
  EXPECT_EQ(difference(program.graph, first,
                       interpret_expanded(program, vector_levels().front().has_fma)),
            std::nullopt);
  for (int threads : {1, 2, 3, 7}) {
    ThreadPool pool(threads);
    for (int run = 0; run < 5; ++run)
      EXPECT_EQ(difference(program.graph, executable.run(program.inputs, &pool.executor()), first),
                std::nullopt)
          << threads << " threads, run " << run;
  }
}

TEST(Determinism, SameBitsFromCompilationToCompilation) {
  Program program = mixed(50);
  Way way{vector_levels().front()};
  std::vector<Tensor> first = compile(program, way).run(program.inputs);
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(difference(program.graph, compile(program, way).run(program.inputs), first),
              std::nullopt);
}

// A tensor in the caller's memory, `offset` elements behind a boundary of 64 bytes.
class Placed {
 public:
  Placed(const Tensor& tensor, std::int64_t offset)
      : memory_(tensor.byte_count() + 192, std::byte{0x5a}),
        tensor_(tensor.dtype(), tensor.sizes()) {
    auto start = reinterpret_cast<std::uintptr_t>(memory_.data());
    std::uintptr_t boundary = (start + 63) / 64 * 64;
    begin_ = boundary - start +
             static_cast<std::size_t>(offset) * static_cast<std::size_t>(byte_size(tensor.dtype()));
    tensor_ = Tensor::view(tensor.dtype(), tensor.sizes(), memory_.data() + begin_);
    for (std::int64_t i = 0; i < tensor.element_count(); ++i) tensor_.set_bits(i, tensor.bits(i));
  }
  Tensor& tensor() { return tensor_; }
  // Whether nothing but the tensor has been written.
  bool intact() const {
    for (std::size_t i = 0; i < memory_.size(); ++i)
      if ((i < begin_ || i >= begin_ + tensor_.byte_count()) && memory_[i] != std::byte{0x5a})
        return false;
    return true;
  }

 private:
  std::vector<std::byte> memory_;
  Tensor tensor_;
  std::size_t begin_ = 0;
};

TEST(Determinism, SameBitsWhereverTensorsLie) {
  for (const VectorLevel& level : vector_levels()) {
    Program program = mixed(19);
    Executable executable = compile(program, {level});
    std::vector<Tensor> expected = interpret_expanded(program, level.has_fma);
    for (std::int64_t offset : {0, 1, 2, 3, 5, 7, 8, 13, 15}) {
      std::vector<Placed> inputs, outputs;
      std::vector<Tensor> input_tensors, output_tensors;
      for (const Signature& input : executable.inputs())
        inputs.emplace_back(program.inputs.find(input.name)->second, offset + std::ssize(inputs));
      for (const Tensor& output : expected)
        outputs.emplace_back(Tensor(output.dtype(), output.sizes()),
                             15 - offset + std::ssize(outputs) % 2);
      for (Placed& placed : inputs) input_tensors.push_back(placed.tensor());
      for (Placed& placed : outputs) output_tensors.push_back(placed.tensor());
      executable.run_into(input_tensors, output_tensors);
      EXPECT_EQ(difference(program.graph, output_tensors, expected), std::nullopt)
          << level.name() << ", offset " << offset;
      for (const Placed& placed : inputs) EXPECT_TRUE(placed.intact());
      for (const Placed& placed : outputs)
        EXPECT_TRUE(placed.intact()) << level.name() << ", offset " << offset;
    }
  }
}

// What is too large for any cache is stored around it, by stores that need whole vectors at
// addresses of their size: in one row, and in rows that begin at any address.
TEST(Determinism, SameBitsWhereStoresGoAroundTheCache) {
  Graph graph = parse(R"(graph @m(%x: f32[N, 4099], %b: f32[4099]) -> (f32[N, 4099], f32[N, 4099]) {
  %y = leaky_relu(%x)
  %z = add(%x, %b)
  return %y, %z
})");
  constexpr std::size_t kRows = 800, kColumns = 4099, kCount = kRows * kColumns;
  std::vector<float> x(kCount), b(kColumns), y(kCount), z(kCount);
  for (std::size_t i = 0; i < kCount; ++i) x[i] = static_cast<float>(i % 1021) / 16 - 30;
  for (std::size_t i = 0; i < kColumns; ++i) b[i] = static_cast<float>(i % 37) / 4;
  for (std::size_t i = 0; i < kCount; ++i) {
    y[i] = x[i] > 0 ? x[i] : 0.01f * x[i];
    z[i] = x[i] + b[i % kColumns];
  }
  std::vector<Tensor> inputs{Tensor::view(DType::f32, {kRows, kColumns}, x.data()),
                             Tensor::view(DType::f32, {kColumns}, b.data())};
  // Results lie `offset` elements behind the beginning of a block that has 32 more.
  constexpr std::size_t kBytes = kCount * sizeof(float), kBlockBytes = kBytes + 32 * sizeof(float);
  std::vector<std::vector<float>> blocks(2, std::vector<float>(kCount + 32));
  const std::vector<std::byte> untouched(32 * sizeof(float), std::byte{0x5a});
  ThreadPool pool(2);
  for (const VectorLevel& level : vector_levels()) {
    // Unfused: a kernel with two results stores both in the plain way.
    Executable executable = compile({graph, {}, {}}, {level, false});
    for (std::size_t offset : {0, 5}) {
      std::vector<Tensor> outputs;
      for (std::vector<float>& block : blocks) {
        std::memset(block.data(), 0x5a, kBlockBytes);
        outputs.push_back(Tensor::view(DType::f32, {kRows, kColumns}, block.data() + offset));
      }
      executable.run_into(inputs, outputs, offset == 0 ? nullptr : &pool.executor());
      for (std::size_t i = 0; i < 2; ++i) {
        const float* begin = blocks[i].data() + offset;
        const float* end = begin + kCount;
        EXPECT_EQ(std::memcmp(begin, (i == 0 ? y : z).data(), kBytes), 0)
            << level.name() << ", result " << i << ", offset " << offset;
        std::size_t before = offset * sizeof(float);
        EXPECT_EQ(std::memcmp(blocks[i].data(), untouched.data(), before), 0);
        EXPECT_EQ(std::memcmp(end, untouched.data(), untouched.size() - before), 0);
      }
    }
  }
}

// How far away operands are decides which loop of a map runs, and in a program of one kernel, which
// function: sizes on both sides of where each begins, without an executor and with one, whole steps
// and what they leave.
TEST(Determinism, SameBitsHoweverFarOperandsAre) {
  constexpr const char* kChain =
      "%xa = mul(%x, %a) %s = add(%xa, %b) %l = leaky_relu(%s) %c = mul(%l, %a2) %y = sub(%c, %x)";
  constexpr const char* kGradient = "%g = leaky_relu.grad(%x, %a)";
  const std::string operands = "(%x: f32[N], %a: f32[N]", more = ", %b: f32[N], %a2: f32[N]";
  const Graph chain =
                  parse("graph @c" + operands + more + ") -> (f32[N]) {" + kChain + " return %y }"),
              gradient =
                  parse("graph @g" + operands + ") -> (f32[N]) {" + kGradient + " return %g }"),
              both = parse("graph @b" + operands + more + ") -> (f32[N], f32[N]) {" + kChain + " " +
                           kGradient + " return %y, %g }");
  constexpr std::int64_t kMost = 1100000;
  // 1 MB with five arrays, 2 and 4 MB with three, and 12 MB.
  constexpr std::int64_t kCounts[] = {1,      52428,  52429,  52493,   174762, 174763,
                                      349526, 349600, 629146, 1048577, kMost};
  std::vector<std::vector<float>> values(4, std::vector<float>(kMost));
  for (std::size_t k = 0; k < values.size(); ++k)
    for (std::size_t i = 0; i < kMost; ++i)
      values[k][i] = static_cast<float>((i * (k + 3) * 7919) % 2039) / 64 - 15;
  std::vector<float> y(kMost), g(kMost);
  for (std::size_t i = 0; i < kMost; ++i) {
    const float product = values[0][i] * values[1][i], sum = product + values[2][i];
    const float left = (sum > 0 ? sum : 0.01f * sum) * values[3][i];
    y[i] = left - values[0][i];
    g[i] = values[0][i] > 0 ? values[1][i] : 0.01f * values[1][i];
  }
  constexpr std::size_t kBehind = 16;
  ThreadPool pool(2);
  struct Case {
    const Graph& graph;
    std::vector<const std::vector<float>*> expected;
  };
  for (const VectorLevel& level : vector_levels())
    for (const Case& one : {Case{chain, {&y}}, Case{gradient, {&g}}, Case{both, {&y, &g}}}) {
      Executable executable = compile({one.graph, {}, {}}, {level, false});
      for (std::int64_t count : kCounts)
        for (const weir_executor* executor :
             {static_cast<const weir_executor*>(nullptr), &pool.executor()}) {
          std::vector<Tensor> inputs, outputs;
          for (std::size_t k = 0; k < one.graph.inputs().size(); ++k)
            inputs.push_back(Tensor::view(DType::f32, {count}, values[k].data()));
          std::vector<std::vector<float>> results(one.expected.size());
          for (std::vector<float>& made : results) {
            made.assign(static_cast<std::size_t>(count) + kBehind, 77.0f);
            outputs.push_back(Tensor::view(DType::f32, {count}, made.data()));
          }
          executable.run_into(inputs, outputs, executor);
          for (std::size_t k = 0; k < results.size(); ++k) {
            EXPECT_EQ(std::memcmp(results[k].data(), one.expected[k]->data(),
                                  static_cast<std::size_t>(count) * sizeof(float)),
                      0)
                << level.name() << ", graph " << one.graph.name() << ", " << count << " elements";
            for (std::size_t i = 0; i < kBehind; ++i)
              ASSERT_EQ(results[k][static_cast<std::size_t>(count) + i], 77.0f);
          }
        }
    }
}

// An element of a pointwise program has the same bits alone, in the middle of a vector, and in the
// rest that fills no vector.
TEST(Determinism, SameBitsWhereverAnElementLiesInItsVector) {
  Graph graph = parse(R"(graph @m(%x: f32[N]) -> (f32[N]) {
  %a = gelu(%x)
  %b = log1p(%a)
  %c = div(%b, %x)
  return %c
})");
  constexpr std::int64_t kCount = 200;
  Generator generator(3);
  Tensor all = random_tensor(DType::f32, {kCount}, generator, true);
  for (const VectorLevel& level : vector_levels()) {
    Executable executable = compile({graph, {}, {}}, {level});
    std::vector<Tensor> whole = executable.run(std::span(&all, 1));
    for (std::int64_t begin : {0, 1, 3, 17, 64, 99, 150})
      for (std::int64_t count : {1, 2, 7, 16, 31, 50}) {
        Tensor part =
            Tensor::view(DType::f32, {count}, all.mutable_elements<float>().data() + begin);
        std::vector<Tensor> results = executable.run(std::span(&part, 1));
        for (std::int64_t i = 0; i < count; ++i)
          ASSERT_TRUE(scalar::same_value(DType::f32, results[0].bits(i), whole[0].bits(begin + i)))
              << level.name() << ": element " << begin + i << " as element " << i << " of "
              << count;
      }
  }
}

}  // namespace
}  // namespace weir::test
