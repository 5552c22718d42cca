// A host application with a model in two forms: compiled in memory when the program runs, and
// loaded from a shared object that was compiled ahead of time. Both run on the host's own threads,
// oneTBB's, and give the same bits.
//
// Returns 0 if they do.
#include <cstdio>
#include <cstring>
#include <exception>
#include <filesystem>
#include <string>
#include <vector>

#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include "compiler/aot/compile_model.h"
#include "compiler/frontend/file.h"
#include "compiler/pipeline.h"
#include "ir/builder_ops.h"
#include "runtime/weir_runtime.h"

namespace {

using weir::DType;
using weir::Tensor;

constexpr std::int64_t kRows = 512, kIn = 256, kOut = 128;

// What a program needs of the host's threads: a loop over tasks, and who runs each of them.
class TbbExecutor {
 public:
  TbbExecutor() : arena_(tbb::task_arena::automatic) {
    executor_.context = this;
    executor_.max_workers = arena_.max_concurrency();
    executor_.parallel_for = [](void* context, std::ptrdiff_t tasks, weir_task task,
                                void* argument) {
      static_cast<TbbExecutor*>(context)->arena_.execute([&] {
        tbb::parallel_for(std::ptrdiff_t{0}, tasks, [&](std::ptrdiff_t i) {
          task(argument, i, tbb::this_task_arena::current_thread_index());
        });
      });
    };
  }
  const weir_executor* get() const { return &executor_; }

 private:
  tbb::task_arena arena_;
  weir_executor executor_{};
};

Tensor numbers(Tensor::Sizes sizes, float step) {
  Tensor tensor(DType::f32, std::move(sizes));
  float x = -1;
  for (float& element : tensor.mutable_elements<float>()) {
    element = x;
    x = x + step > 1 ? x + step - 2 : x + step;
  }
  return tensor;
}

weir::Model layer() {
  weir::GraphBuilder builder("layer");
  weir::Var x = builder.input("x", DType::f32, {weir::Dim::symbol("N"), kIn});
  weir::Var w = builder.param("w", numbers({kOut, kIn}, 0.0173f));
  weir::Var b = builder.param("b", numbers({kOut}, 0.31f));
  builder.output("y", leaky_relu(linear(x, w, b), 0.01f));
  return builder.finish();
}

// Writes the model as a shared object, which some other program would do, and some other day.
void compile_ahead(const weir::Model& model, const std::string& path) {
  weir::CompileModelOptions options;
  options.form = weir::ObjectForm::shared;
  std::vector<weir::ModelProgram> programs{{"forward", model.graph}};
  weir::write_file(path, {weir::compile_model(programs, model.weights, options).code});
}

bool run_loaded(const std::string& path, const Tensor& x, Tensor& y,
                const weir_executor* executor) {
  char reason[256];
  weir_loaded_model* model = weir_model_open(path.c_str(), reason, sizeof(reason));
  if (model == nullptr) {
    std::fprintf(stderr, "%s\n", reason);
    return false;
  }
  const weir_program_info* forward = weir_model_program(model, "forward");
  weir_workspace* workspace = weir_workspace_create();
  std::ptrdiff_t rows = x.sizes()[0];
  std::size_t fixed = 0, per_worker = 0;
  int status = forward->workspace_size(&rows, &fixed, &per_worker);
  const void* inputs[] = {x.data()};
  void* outputs[] = {y.mutable_data()};
  weir_call call{};
  call.inputs = inputs;
  call.outputs = outputs;
  call.weights = weir_model_describe(model)->weights;
  call.workspace = weir_workspace_reserve(
      workspace, fixed + per_worker * static_cast<std::size_t>(executor->max_workers));
  call.dims = &rows;
  call.executor = executor;
  if (status == WEIR_OK) status = forward->run(&call);
  std::printf("loaded: %s of %s, compiled by Weir %s\n", forward->name,
              weir_model_describe(model)->name, weir_model_describe(model)->version);
  weir_workspace_destroy(workspace);
  weir_model_close(model);
  return status == WEIR_OK;
}

}  // namespace

int main() try {
  weir::Model model = layer();
  std::string path = (std::filesystem::temp_directory_path() / "weir_host_app.so").string();
  compile_ahead(model, path);
  TbbExecutor executor;
  Tensor x = numbers({kRows, kIn}, 0.0411f);
  std::vector<Tensor> compiled = weir::compile(model).run({{"x", x}}, executor.get());
  Tensor loaded(DType::f32, {kRows, kOut});
  bool good = run_loaded(path, x, loaded, executor.get());
  std::filesystem::remove(path);
  good = good && std::memcmp(compiled[0].data(), loaded.data(), loaded.byte_count()) == 0;
  std::printf("compiled in memory and loaded: %s\n", good ? "the same bits" : "different");
  return good ? 0 : 1;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
