// leaky_relu, compiled, over all 2^32 floats, bit for bit against the formula in C++.
//
//   forward    x > 0 ? x : slope * x
//   gradient   g * (x > 0 ? 1 : slope), for upstream gradients g that are hard: -0, infinity, NaN,
//   denormal
// NaN results compare equal whatever their payload.
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>

#include <gtest/gtest.h>

#include "compiler/autodiff/gradient.h"
#include "compiler/pipeline.h"
#include "ir/text.h"
#include "runtime/thread_pool.h"

namespace weir {
namespace {

constexpr std::int64_t kChunk = 1 << 18;  // floats at a time: they stay in cache
constexpr std::int64_t kChunks = (std::int64_t{1} << 32) / kChunk;

float leaky_relu(float x) { return x > 0 ? x : 0.01f * x; }
float derivative(float x) { return x > 0 ? 1.0f : 0.01f; }

// One thread's buffers.
struct Buffers {
  explicit Buffers(std::size_t count) : x(count), upstream(count), actual(count), expected(count) {}
  std::vector<float> x, upstream, actual, expected;
};

// Every float once, in chunks spread over two threads: `expect` fills in what the program must
// give.
template <class Expect>
void check_all(const Executable& program, float upstream, Expect expect) {
  struct Task {
    const Executable& program;
    Expect& expect;
    std::vector<std::unique_ptr<Buffers>> buffers;
    std::vector<std::int64_t> different, first;
    bool takes_upstream;
  };
  ThreadPool pool(2);
  Task all{program,
           expect,
           {},
           std::vector<std::int64_t>(2),
           std::vector<std::int64_t>(2, -1),
           program.inputs().size() > 1};
  for (int i = 0; i < pool.threads(); ++i) {
    all.buffers.push_back(std::make_unique<Buffers>(kChunk));
    all.buffers.back()->upstream.assign(kChunk, upstream);
  }
  pool.parallel_for(
      kChunks,
      [](void* argument, std::ptrdiff_t chunk, int worker) {
        Task& task = *static_cast<Task*>(argument);
        auto number = static_cast<std::size_t>(worker);
        Buffers& buffers = *task.buffers[number];
        auto base = static_cast<std::uint32_t>(chunk * kChunk);
        for (std::uint32_t i = 0; i < kChunk; ++i) buffers.x[i] = std::bit_cast<float>(base + i);
        for (std::size_t i = 0; i < kChunk; ++i) buffers.expected[i] = task.expect(buffers.x[i]);
        Tensor x = Tensor::view(DType::f32, {kChunk}, buffers.x.data());
        Tensor g = Tensor::view(DType::f32, {kChunk}, buffers.upstream.data());
        Tensor y = Tensor::view(DType::f32, {kChunk}, buffers.actual.data());
        std::vector<Tensor> inputs{x};
        if (task.takes_upstream) inputs.push_back(g);
        task.program.run_into(inputs, std::span(&y, 1));
        if (std::memcmp(buffers.actual.data(), buffers.expected.data(), kChunk * sizeof(float)) ==
            0)
          return;
        for (std::size_t i = 0; i < kChunk; ++i) {
          float a = buffers.actual[i], b = buffers.expected[i];
          if (std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b)) continue;
          if (std::isnan(a) && std::isnan(b)) continue;
          if (task.different[number]++ == 0)
            task.first[number] = static_cast<std::int64_t>(base) + static_cast<std::int64_t>(i);
        }
      },
      &all);
  for (std::size_t i = 0; i < 2; ++i)
    EXPECT_EQ(all.different[i], 0)
        << "upstream " << upstream << "; the first is that of the float with bits " << all.first[i];
}

Executable compiled(const Graph& graph) {
  CompileOptions options;
  options.debug_lines = false;
  return compile(Model{graph, {}}, options);
}

TEST(AllFloats, LeakyRelu) {
  Executable program = compiled(parse_graph(R"(graph @m(%x: f32[N]) -> (f32[N]) {
  %y = leaky_relu(%x) {negative_slope = 0.01}
  return %y
})",
                                            "leaky_relu.weir"));
  check_all(program, 1, leaky_relu);
}

TEST(AllFloats, GradientOfLeakyRelu) {
  // The gradient of the sum of g * leaky_relu(x), in which g arrives at leaky_relu as the
  // cotangent.
  Graph forward = parse_graph(R"(graph @m(%x: f32[N], %g: f32[N]) -> (f32[N]) {
  %y = leaky_relu(%x) {negative_slope = 0.01}
  %z = mul(%y, %g)
  return %z
})",
                              "leaky_relu.weir");
  std::vector<std::string> wrt{"x"};
  Graph both = gradient(forward, wrt);
  Graph backward = parse_graph(R"(graph @m(%x: f32[N], %g: f32[N]) -> (f32[N]) {
  %dx = leaky_relu.grad(%x, %g) {negative_slope = 0.01}
  return %dx
})",
                               "leaky_relu.weir");
  // The autodiff pass writes that very node.
  bool written = false;
  for (const Node& node : both.nodes()) written = written || node.op == backward.nodes()[0].op;
  EXPECT_TRUE(written);
  Executable program = compiled(backward);
  constexpr float infinity = std::numeric_limits<float>::infinity();
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  for (float g : {1.0f, -0.0f, infinity, nan, 1e-40f})
    check_all(program, g, [g](float x) { return g * derivative(x); });
}

}  // namespace
}  // namespace weir
