// The gradient of a LeakyReLU layer for another runtime: the layer is declared, differentiated and
// written as an ONNX file of standard ops. Read back, the file computes the same numbers.
//
// Usage: example_onnx_gradient [FILE.onnx]. Without a file it writes one and removes it again.
// Returns 0 if the numbers are the same.
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/autodiff/gradient.h"
#include "compiler/frontend/model_file.h"
#include "compiler/frontend/save_model.h"
#include "compiler/pipeline.h"
#include "ir/builder_ops.h"

namespace {

using weir::DType;
using weir::Tensor;
using weir::Var;

// y = leaky_relu(x w^T + b), and with it the gradients of the sum of y.
weir::Model declare_layer() {
  weir::GraphBuilder builder("layer");
  Var x = builder.input("x", DType::f32, {weir::Dim::symbol("N"), 3});
  Var w = builder.param("w", Tensor::from<float>({0.5f, -1.0f, 0.25f, 1.5f, 0.75f, -0.5f}, {2, 3}));
  Var b = builder.param("b", Tensor::from<float>({0.1f, -0.2f}, {2}));
  builder.output("y", leaky_relu(linear(x, w, b), 0.05));
  weir::Model model = builder.finish();
  std::vector<std::string> wrt{"x", "w", "b"};
  model.graph = weir::gradient(model.graph, wrt);
  return model;
}

std::vector<Tensor> run(const weir::Model& model) {
  Tensor x = Tensor::from<float>({1.0f, 2.0f, -1.0f, 0.5f, -0.25f, 3.0f}, {2, 3});
  return weir::compile(model).run({{"x", x}});
}

bool export_and_compare(const std::string& path) {
  weir::Model model = declare_layer();
  weir::save_model(path, model);
  std::vector<Tensor> expected = run(model), results = run(weir::load_model(path));
  bool same = results.size() == expected.size();
  for (std::size_t i = 0; same && i < results.size(); ++i) {
    same = weir::compare(results[i], expected[i]).relative() <= 1e-6;
    std::printf("%-7s %s\n", model.graph.outputs()[i].name.c_str(), results[i].to_string().c_str());
  }
  std::printf("the file computes %s\n", same ? "the same" : "SOMETHING ELSE");
  return same;
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc > 1 && std::string_view(argv[1]) == "--help") {
    std::puts("usage: example_onnx_gradient [FILE.onnx]");
    return 0;
  }
  if (argc > 1) return export_and_compare(argv[1]) ? 0 : 1;
  std::string folder = (std::filesystem::temp_directory_path() / "weir-XXXXXX").string();
  if (::mkdtemp(folder.data()) == nullptr) throw std::runtime_error("no folder for the file");
  bool same = export_and_compare(folder + "/layer.onnx");
  std::filesystem::remove_all(folder);
  return same ? 0 : 1;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
