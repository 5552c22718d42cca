// Compiled programs in memory: they are freed as a whole, many live side by side, and many threads
// use one.

#include <unistd.h>

#include <atomic>
#include <fstream>
#include <thread>

#include <gtest/gtest.h>

#include "compiler/pipeline.h"
#include "runtime/thread_pool.h"
#include "tests/support/sanitized.h"

namespace weir {
namespace {

// leaky_relu(x) + offset on f32[N, columns].
Model small_model(int columns, double offset) {
  GraphBuilder builder("small");
  Var x = builder.input("x", DType::f32, {Dim::symbol("N"), columns});
  Var w = builder.param("w", Tensor::from<float>({static_cast<float>(offset)}, {1}));
  builder.output("y", builder.apply("add", {builder.apply("leaky_relu", {x}), w}));
  return builder.finish();
}

float small_model_value(float x, double offset) {
  return (x > 0 ? x : 0.01F * x) + static_cast<float>(offset);
}

Tensor ramp(std::int64_t rows, std::int64_t columns, float start) {
  Tensor result(DType::f32, {rows, columns});
  std::span<float> elements = result.mutable_elements<float>();
  for (std::size_t i = 0; i < elements.size(); ++i)
    elements[i] = start + 0.25F * static_cast<float>(i % 1024);
  return result;
}

bool is_small_model_of(const Tensor& y, const Tensor& x, double offset) {
  std::span<const float> from = x.elements<float>(), to = y.elements<float>();
  for (std::size_t i = 0; i < from.size(); ++i)
    if (to[i] != small_model_value(from[i], offset)) return false;
  return from.size() == to.size();
}

std::size_t resident_bytes() {
  std::size_t total = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

TEST(Jit, AThousandModelsLeaveNothingBehind) {
  constexpr int kWarmUp = 200;
  // A single page of every model that stayed would make three times as much.
  constexpr std::size_t kCeiling = std::size_t{1} << 20;
  Tensor x = ramp(8, 5, -2);
  std::size_t settled = 0;
  for (int i = 0; i < 1000; ++i) {
    if (i == kWarmUp) settled = resident_bytes();
    Executable executable = compile(small_model(5, i));
    std::vector<Tensor> inputs{x};
    ASSERT_TRUE(is_small_model_of(executable.run(inputs)[0], x, i)) << "model " << i;
  }
  if (!test::kSanitized) {  // which keep freed memory in quarantine
    EXPECT_LT(resident_bytes(), settled + kCeiling);
  }
}

TEST(Jit, ManyModelsLiveSideBySide) {
  std::vector<Executable> models;
  for (int i = 0; i < 40; ++i) models.push_back(compile(small_model(3, i)));
  Tensor x = ramp(7, 3, -3);
  // Dropping every other model disturbs none of the rest.
  for (int round = 0; round < 2; ++round) {
    for (std::size_t i = 0; i < models.size(); ++i) {
      double offset = round == 0 ? static_cast<double>(i) : static_cast<double>(2 * i + 1);
      std::vector<Tensor> inputs{x};
      EXPECT_TRUE(is_small_model_of(models[i].run(inputs)[0], x, offset)) << round << ", " << i;
    }
    if (round == 1) break;
    std::vector<Executable> kept;
    for (std::size_t i = 1; i < models.size(); i += 2) kept.push_back(std::move(models[i]));
    models = std::move(kept);
  }
}

TEST(Jit, ManyThreadsCompileAndRunTheirOwnModels) {
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([t, &wrong] {
      for (int i = 0; i < 8; ++i) {
        double offset = 100.0 * t + i;
        Executable executable = compile(small_model(4 + t, offset));
        Tensor x = ramp(9, 4 + t, -4);
        std::vector<Tensor> inputs{x};
        if (!is_small_model_of(executable.run(inputs)[0], x, offset)) ++wrong;
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

// Two rows of softmax after a matmul: kernels, a workspace and weights.
Model layered_model() {
  GraphBuilder builder("layered");
  Var x = builder.input("x", DType::f32, {Dim::symbol("N"), 48});
  Tensor weights(DType::f32, {40, 48});
  std::span<float> elements = weights.mutable_elements<float>();
  for (std::size_t i = 0; i < elements.size(); ++i)
    elements[i] = 0.01F * static_cast<float>(i % 37) - 0.18F;
  Var hidden = builder.apply("linear", {x, builder.param("w", weights)});
  builder.output("y", builder.apply("softmax", {builder.apply("leaky_relu", {hidden})}));
  return builder.finish();
}

TEST(Jit, ManyThreadsRunOneExecutable) {
  Executable executable = compile(layered_model());
  constexpr int kThreads = 6;
  std::vector<Tensor> inputs, expected;
  for (int t = 0; t < kThreads; ++t) {
    // Sizes from a handful of rows to more than one task.
    inputs.push_back(ramp(3 + 700 * t, 48, static_cast<float>(-t)));
    expected.push_back(executable.run({&inputs.back(), 1})[0]);
  }
  ThreadPool pool(3);
  for (const weir_executor* executor :
       {static_cast<const weir_executor*>(nullptr), &pool.executor()}) {
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (std::size_t t = 0; t < kThreads; ++t)
      threads.emplace_back([&, t] {
        for (int i = 0; i < 20; ++i) {
          // The sizes wander, so workspaces change hands between them.
          std::size_t which = (t + static_cast<std::size_t>(i)) % kThreads;
          Tensor y = executable.run({&inputs[which], 1}, executor)[0];
          if (!compare(y, expected[which]).identical) ++wrong;
        }
      });
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(wrong, 0) << (executor ? "shared pool" : "each on its own thread");
  }
}

TEST(Jit, AnExecutableMovesWithItsCode) {
  Executable first = compile(small_model(2, 1));
  Executable second = compile(small_model(2, 2));
  first = std::move(second);
  Tensor x = ramp(2, 2, -1);
  EXPECT_TRUE(is_small_model_of(first.run({&x, 1})[0], x, 2));
}

}  // namespace
}  // namespace weir
