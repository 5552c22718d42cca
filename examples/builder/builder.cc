// A model declared in C++ and compiled in memory: y = leaky_relu(linear(x, w, b), 0.05), added to a
// skip connection, with the gradients of the sum of y with respect to x and the weights.
//
// Returns 0 if the results agree with the same formulas as plain loops.
#include <cmath>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "compiler/autodiff/gradient.h"
#include "compiler/pipeline.h"
#include "ir/builder_ops.h"
#include "ir/text.h"

namespace {

using weir::DType;
using weir::Tensor;

constexpr std::size_t kFeatures = 3;

const std::vector<float> kWeights{0.5f, -1.0f, 0.25f, 2.0f, 0.75f, -0.5f, -1.5f, 1.0f, 0.125f};
const std::vector<float> kBias{0.1f, -0.2f, 0.3f};
const std::vector<float> kInput{1.0f, -2.0f, 0.5f, -0.25f, 4.0f, 1.5f};  // two rows

weir::Model declare_model() {
  weir::GraphBuilder builder("skip");
  weir::Var x = builder.input("x", DType::f32, {weir::Dim::symbol("N"), 3});
  weir::Var w = builder.param("w", Tensor::from<float>(kWeights, {3, 3}));
  weir::Var b = builder.param("b", Tensor::from<float>(kBias, {3}));
  weir::Var y = leaky_relu(linear(x, w, b), 0.05f) + 0.5f * x;
  builder.output("y", y);
  return builder.finish();
}

struct Results {
  std::vector<float> y, grad_x, grad_w;
};

Results expected_results() {
  std::size_t rows = kInput.size() / kFeatures;
  Results results{std::vector<float>(kInput.size()), std::vector<float>(kInput.size(), 0.5f),
                  std::vector<float>(kWeights.size())};
  for (std::size_t n = 0; n < rows; ++n)
    for (std::size_t o = 0; o < kFeatures; ++o) {
      const float* x = &kInput[n * kFeatures];
      float h = kBias[o];
      for (std::size_t i = 0; i < kFeatures; ++i) h += x[i] * kWeights[o * kFeatures + i];
      float slope = h > 0 ? 1.0f : 0.05f;
      results.y[n * kFeatures + o] = slope * h + 0.5f * x[o];
      for (std::size_t i = 0; i < kFeatures; ++i) {
        results.grad_x[n * kFeatures + i] += slope * kWeights[o * kFeatures + i];
        results.grad_w[o * kFeatures + i] += slope * x[i];
      }
    }
  return results;
}

bool show_and_compare(const char* name, const Tensor& result, const std::vector<float>& expected) {
  std::span<const float> numbers = result.elements<float>();
  bool good = numbers.size() == expected.size();
  for (std::size_t i = 0; good && i < expected.size(); ++i)
    good = std::abs(numbers[i] - expected[i]) <= 1e-6f * (1 + std::abs(expected[i]));
  std::printf("%-7s %s%s\n", name, result.to_string().c_str(), good ? "" : "  WRONG");
  return good;
}

}  // namespace

int main() try {
  weir::Model model = declare_model();
  std::vector<std::string> wrt{"x", "w"};
  model.graph = weir::gradient(model.graph, wrt);
  std::printf("%s\n", print(model.graph).c_str());

  weir::Executable executable = weir::compile(model);
  std::vector<Tensor> results = executable.run({{"x", Tensor::from<float>(kInput, {2, 3})}});

  Results expected = expected_results();
  bool good = show_and_compare("y", results[0], expected.y);
  good = show_and_compare("grad_x", results[1], expected.grad_x) && good;
  good = show_and_compare("grad_w", results[2], expected.grad_w) && good;
  return good ? 0 : 1;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
