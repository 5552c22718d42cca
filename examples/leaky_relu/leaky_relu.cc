// The three examples of the published LeakyReLU module in a host program: each model is loaded from
// its .weir file, its gradient is added, and both are compiled and run.
//
// The gradient of the second example is [[0.1, 0.1, 1.0, 0.1]]. The published page prints 0.0 for
// its second entry, against the formula on the same page: slope wherever x > 0 does not hold, so
// also at 0.
//
// Usage: example_leaky_relu [FOLDER OF THE MODELS]. Returns 0 if every number is right.
#include <cmath>
#include <cstdio>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/autodiff/gradient.h"
#include "compiler/frontend/model_file.h"
#include "compiler/pipeline.h"

namespace {

using Numbers = std::vector<float>;

struct Example {
  const char* model;
  Numbers x, y, gradient;  // one row each
};

const Example kExamples[] = {
    {"default_slope",
     {-1.0f, 2.0f, -0.5f, 3.0f},
     {-0.01f, 2.0f, -0.005f, 3.0f},
     {0.01f, 1.0f, 0.01f, 1.0f}},
    {"custom_slope",
     {-2.0f, 0.0f, 1.5f, -3.0f},
     {-0.2f, 0.0f, 1.5f, -0.3f},
     {0.1f, 0.1f, 1.0f, 0.1f}},
    {"linear", {0.5f, -1.2f, 3.3f}, {1.01f, -0.0755f}, {0.185f, -0.375f, 0.09f}},
};

bool agrees(const weir::Tensor& result, const Numbers& expected) {
  std::span<const float> numbers = result.elements<float>();
  bool good = numbers.size() == expected.size();
  for (std::size_t i = 0; good && i < expected.size(); ++i)
    good = std::abs(numbers[i] - expected[i]) <= 1e-6f * std::abs(expected[i]);
  return good;
}

bool run(const std::string& folder, const Example& example) {
  weir::Model model = weir::load_model(folder + "/" + example.model + ".weir");
  std::vector<std::string> wrt{"x"};
  model.graph = weir::gradient(model.graph, wrt);
  weir::Executable executable = weir::compile(model);

  weir::Tensor x =
      weir::Tensor::from<float>(example.x, {1, static_cast<std::int64_t>(example.x.size())});
  std::vector<weir::Tensor> results = executable.run({{"x", x}});

  bool good = agrees(results[0], example.y) && agrees(results[1], example.gradient);
  std::printf("%s\n  x         %s\n  y         %s\n  gradient  %s\n  %s\n", example.model,
              x.to_string().c_str(), results[0].to_string().c_str(), results[1].to_string().c_str(),
              good ? "right" : "WRONG");
  return good;
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc > 1 && std::string_view(argv[1]) == "--help") {
    std::puts("usage: example_leaky_relu [FOLDER OF THE MODELS]");
    return 0;
  }
  std::string folder = argc > 1 ? argv[1] : WEIR_SOURCE_DIR "/examples/leaky_relu";
  bool good = true;
  for (const Example& example : kExamples) good = run(folder, example) && good;
  return good ? 0 : 1;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
