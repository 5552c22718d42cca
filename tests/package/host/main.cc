// A host outside the tree: builds a layer and its gradient, compiles it in memory, runs it on the
// runtime's thread pool, and compares with plain loops. With an argument, it also writes the
// program to that object file, which ../device links.
#include <cmath>
#include <cstdio>
#include <exception>
#include <vector>

#include "compiler/autodiff/gradient.h"
#include "compiler/frontend/file.h"
#include "compiler/pipeline.h"
#include "ir/builder_ops.h"
#include "runtime/weir_runtime.h"

namespace {

constexpr int kRows = 100, kIn = 8, kOut = 4;
constexpr float kSlope = 0.05f;

weir::Model declare_layer() {
  weir::GraphBuilder builder("layer");
  weir::Var x = builder.input("x", weir::DType::f32, {weir::Dim::symbol("N"), kIn});
  weir::Var w = builder.input("w", weir::DType::f32, {kOut, kIn});
  weir::Var b = builder.input("b", weir::DType::f32, {kOut});
  builder.output("y", leaky_relu(linear(x, w, b), kSlope));
  weir::Model model = builder.finish();
  std::vector<std::string> wrt{"x"};
  model.graph = weir::gradient(model.graph, wrt);
  return model;
}

std::vector<float> wave(int count, float frequency) {
  std::vector<float> values;
  for (int i = 0; i < count; ++i) values.push_back(std::sin(frequency * static_cast<float>(i)));
  return values;
}

bool near(float a, float b) { return std::abs(a - b) <= 1e-5f * (1 + std::abs(b)); }

bool runs(const weir::Executable& layer) {
  std::vector<float> x = wave(kRows * kIn, 0.7f), w = wave(kOut * kIn, 1.3f), b = wave(kOut, 2.1f);
  weir_thread_pool* pool = weir_thread_pool_create(2);
  std::vector<weir::Tensor> results = layer.run({{"x", weir::Tensor::from<float>(x, {kRows, kIn})},
                                                 {"w", weir::Tensor::from<float>(w, {kOut, kIn})},
                                                 {"b", weir::Tensor::from<float>(b, {kOut})}},
                                                weir_thread_pool_executor(pool));
  weir_thread_pool_destroy(pool);
  auto y = results[0].elements<float>(), gradient = results[1].elements<float>();
  bool good = true;
  for (int n = 0; n < kRows; ++n) {
    std::vector<float> expected(kIn);
    for (int o = 0; o < kOut; ++o) {
      float sum = b[o];
      for (int i = 0; i < kIn; ++i) sum += x[n * kIn + i] * w[o * kIn + i];
      float slope = sum > 0 ? 1 : kSlope;
      good = good && near(y[n * kOut + o], slope * sum);
      for (int i = 0; i < kIn; ++i) expected[i] += slope * w[o * kIn + i];
    }
    for (int i = 0; i < kIn; ++i) good = good && near(gradient[n * kIn + i], expected[i]);
  }
  return good;
}

}  // namespace

int main(int argc, char** argv) try {
  weir::Model model = declare_layer();
  bool good = runs(weir::compile(model));
  if (argc > 1) {
    weir::ObjectCode object = weir::compile_object(model.graph);
    weir::write_file(argv[1], {object.bytes});
  }
  std::puts(good ? "the compiled layer agrees with plain loops" : "the compiled layer is WRONG");
  return good ? 0 : 1;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
