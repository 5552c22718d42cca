// The digits classifier: a network that PyTorch trained is loaded, compiled with its input
// gradient, and run on 360 digits it has not seen. Predictions are drawn, and the numbers are
// compared with PyTorch's.
//
// Usage: example_digits [FOLDER OF THE FILES]. Returns 0 if logits and gradient are within 1e-5 of
// PyTorch's, relative to the largest.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/autodiff/gradient.h"
#include "compiler/frontend/model_file.h"
#include "compiler/frontend/npy.h"
#include "compiler/pipeline.h"

namespace {

using weir::Tensor;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kSide = 8;
constexpr std::size_t kPixels = kSide * kSide;
constexpr std::size_t kClasses = 10;

double milliseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

std::vector<std::size_t> predictions(const Tensor& logits) {
  std::span<const float> numbers = logits.elements<float>();
  std::vector<std::size_t> result;
  for (std::size_t i = 0; i < numbers.size(); i += kClasses) {
    auto row = numbers.subspan(i, kClasses);
    result.push_back(
        static_cast<std::size_t>(std::max_element(row.begin(), row.end()) - row.begin()));
  }
  return result;
}

// Digits side by side, two characters a pixel.
void draw(std::span<const float> images, std::span<const std::size_t> chosen) {
  constexpr std::string_view kShades = " .:-=+*#%@";
  for (std::size_t line = 0; line < kSide; ++line) {
    std::string text;
    for (std::size_t image : chosen) {
      for (std::size_t column = 0; column < kSide; ++column) {
        float ink = images[image * kPixels + line * kSide + column];
        text.append(
            2, kShades[static_cast<std::size_t>(ink * static_cast<float>(kShades.size() - 1))]);
      }
      text += "    ";
    }
    text.erase(text.find_last_not_of(' ') + 1);
    std::printf("  %s\n", text.c_str());
  }
}

bool compare_with_pytorch(const char* name, const Tensor& result, const std::string& file) {
  weir::Difference difference = weir::compare(result, weir::read_npy(file));
  bool good = difference.relative() <= 1e-5;
  std::printf("%-10s at most %.1e from PyTorch's, relative to the largest%s\n", name,
              difference.relative(), good ? "" : ": WRONG");
  return good;
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc > 1 && std::string_view(argv[1]) == "--help") {
    std::puts("usage: example_digits [FOLDER OF THE FILES]");
    return 0;
  }
  std::string folder = argc > 1 ? argv[1] : WEIR_SOURCE_DIR "/examples/digits";
  Clock::time_point start = Clock::now();
  weir::Model model = weir::load_model(folder + "/digits.weir");
  std::vector<std::string> wrt{"x"};
  model.graph = weir::gradient(model.graph, wrt);
  weir::Executable executable = weir::compile(model);
  std::printf("digits.weir with its input gradient: loaded and compiled in %.0f ms\n\n",
              milliseconds_since(start));

  Tensor x = weir::read_npy(folder + "/x_test.npy");
  Tensor labels = weir::read_npy(folder + "/labels.npy");
  std::vector<Tensor> results = executable.run({{"x", x}});

  std::vector<std::size_t> read = predictions(results[0]);
  std::vector<std::size_t> right, wrong;
  for (std::size_t i = 0; i < read.size(); ++i)
    (static_cast<std::int64_t>(read[i]) == labels.elements<std::int64_t>()[i] ? right : wrong)
        .push_back(i);
  std::vector<std::size_t> chosen(right.begin(), right.begin() + 3);
  chosen.insert(chosen.end(), wrong.begin(), wrong.begin() + (wrong.empty() ? 0 : 1));
  draw(x.elements<float>(), chosen);
  std::string captions;
  for (std::size_t i : chosen) {
    std::string caption = "a " + std::to_string(labels.elements<std::int64_t>()[i]) + ", read as " +
                          std::to_string(read[i]);
    captions += caption + std::string(2 * kSide + 4 - caption.size(), ' ');
  }
  captions.erase(captions.find_last_not_of(' ') + 1);
  std::printf("  %s\n\n", captions.c_str());
  std::printf("%zu of %zu digits read right (%.1f%%)\n", right.size(), read.size(),
              100.0 * static_cast<double>(right.size()) / static_cast<double>(read.size()));

  bool good = compare_with_pytorch("logits", results[0], folder + "/logits.npy");
  good = compare_with_pytorch("gradient", results[1], folder + "/gradient_x.npy") && good;

  std::vector<double> times;
  std::vector<Tensor> inputs{x};
  for (int i = 0; i < 51; ++i) {
    start = Clock::now();
    executable.run_into(inputs, results);
    times.push_back(milliseconds_since(start));
  }
  std::nth_element(times.begin(), times.begin() + 25, times.end());
  std::printf("logits and gradient of all %zu in %.2f ms on one thread (median of %zu runs)\n",
              read.size(), times[25], times.size());
  return good ? 0 : 1;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
