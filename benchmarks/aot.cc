// A model in a C program: the classifier 784-512-256-10 compiled ahead of time, what its file
// takes, how long a process takes from its start to the first result, how much memory stays with
// it, how long a shared object takes to open, and what a call costs beside its work (of a LeakyReLU
// on four numbers). Where WEIR_ONNXRUNTIME names its library, the same of ONNX Runtime in a C
// program, one after the other: there the file is the model's, the code is the library, and opening
// it is loading the library and making a session.
//
// Goals: 3 ms, weights + workspace + 3 MB, 50 ns.
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>

#include <exception>
#include <filesystem>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <tuple>
#include <utility>

#include "benchmarks/onnxruntime_process.h"
#include "benchmarks/report.h"
#include "compiler/aot/compile_model.h"
#include "compiler/frontend/file.h"
#include "compiler/frontend/save_model.h"
#include "ir/builder_ops.h"
#include "runtime/weir_runtime.h"
#include "tests/support/onnxruntime.h"
#include "tests/support/temporary_folder.h"

extern char** environ;

namespace weir::bench {
namespace {

constexpr std::int64_t kSizes[] = {784, 512, 256, 10};

constexpr const char* kFirstResult = R"(#include <stdio.h>
#include <string.h>
#include "mlp.h"
static float x[784], y[10];
static union { double aligned; char bytes[MLP_FORWARD_WORKSPACE_BYTES + 64]; } memory;
int main(int argc, char** argv) {
  mlp_forward_inputs inputs;
  mlp_forward_outputs outputs;
  char* workspace = memory.bytes;
  int status;
  workspace += (64 - (size_t)workspace % 64) % 64;
  inputs.x = x;
  outputs.y = y;
  status = mlp_forward(&inputs, &outputs, workspace, 0);
  if (argc > 1) {
    char line[256];
    FILE* file = fopen("/proc/self/status", "r");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL)
      if (strncmp(line, "VmHWM:", 6) == 0) printf("%s", line + 6);
    (void)argv;
  }
  return status;
}
)";

constexpr const char* kCalls = R"(#include <stdio.h>
#include <time.h>
#include "call.h"
int main(void) {
  static float x[4], y[4];
  static double workspace[8];
  call_forward_inputs inputs;
  call_forward_outputs outputs;
  struct timespec from, to;
  long i, failed = 0, calls = 20000000;
  inputs.x = x;
  outputs.y = y;
  clock_gettime(CLOCK_MONOTONIC, &from);
  for (i = 0; i < calls; ++i) failed |= call_forward(&inputs, &outputs, workspace, 0);
  clock_gettime(CLOCK_MONOTONIC, &to);
  printf("%.17g\n", ((double)(to.tv_sec - from.tv_sec) + 1e-9 * (double)(to.tv_nsec - from.tv_nsec)) / (double)calls);
  return (int)failed;
}
)";

Model classifier() {
  GraphBuilder builder("mlp");
  Var value = builder.input("x", DType::f32, {1, kSizes[0]});
  for (int layer = 0; layer < 3; ++layer) {
    Tensor weights(DType::f32, {kSizes[layer + 1], kSizes[layer]}),
        bias(DType::f32, {kSizes[layer + 1]});
    float step = 0.01f;
    for (float& element : weights.mutable_elements<float>())
      element = step = step > 0.05f ? -0.05f : step + 0.0007f;
    std::string number = std::to_string(layer + 1);
    value = linear(value, builder.param("w" + number, weights), builder.param("b" + number, bias));
    if (layer < 2) value = leaky_relu(value, 0.01f);
  }
  builder.output("y", value);
  return builder.finish();
}

Model one_leaky_relu() {
  GraphBuilder builder("call");
  builder.output("y", leaky_relu(builder.input("x", DType::f32, {1, 4}), 0.01f));
  return builder.finish();
}

// Seconds.
double run_process(const std::string& command, const std::string& output) {
  std::string words[] = {"/bin/sh", "-c", command};
  char* arguments[] = {words[0].data(), words[1].data(), words[2].data(), nullptr};
  bool alone = command.find(' ') == std::string::npos;
  char* program[] = {words[2].data(), nullptr};
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, output.c_str(),
                                     O_WRONLY | O_CREAT | O_TRUNC, 0644);
  auto start = std::chrono::steady_clock::now();
  pid_t child = 0;
  int failure = ::posix_spawn(&child, alone ? command.c_str() : "/bin/sh", &actions, nullptr,
                              alone ? program : arguments, environ);
  ::posix_spawn_file_actions_destroy(&actions);
  int status = 0;
  if (failure != 0 || ::waitpid(child, &status, 0) != child || status != 0)
    throw std::runtime_error(command + " failed");
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

CompiledModel compile_to(const Model& model, const std::filesystem::path& file, ObjectForm form) {
  CompileModelOptions options;
  options.form = form;
  options.file_name = file.filename();
  std::vector<ModelProgram> programs{{"forward", model.graph}};
  CompiledModel compiled = compile_model(programs, model.weights, options);
  write_file(file.string(), {compiled.code});
  write_file(std::filesystem::path(file).replace_extension(".h").string(), {compiled.header});
  return compiled;
}

void build(const std::filesystem::path& folder, const std::string& name, const char* source,
           const std::string& with) {
  std::string base = folder / name;
  write_file(base + ".c", {source});
  run_process("cc -O2 -I " + folder.string() + " " + base + ".c " + with + " -o " + base,
              "/dev/null");
}

// ONNX Runtime in processes of its own.
class OnnxRuntimeProcess {
 public:
  OnnxRuntimeProcess(const std::filesystem::path& folder, const char* library)
      : folder_(folder), library_(library) {
    build(folder, "ort", kOnnxRuntimeProcess, "-ldl");
    save_model(folder / "mlp.onnx", classifier());
    save_model(folder / "call.onnx", one_leaky_relu());
  }
  double file_bytes() const {
    return static_cast<double>(std::filesystem::file_size(folder_ / "mlp.onnx"));
  }
  // One process to the first result of the classifier.
  void run_first() {
    first.push_back(run("mlp.onnx", kSizes[0], 0));
    auto [session, call, kilobytes] = printed();
    opening.push_back(session);
    resident = kilobytes * 1024;
  }
  void run_calls() {
    run("call.onnx", 4, 200000);
    calls.push_back(std::get<1>(printed()));
  }

  std::vector<double> first, opening, calls;
  double resident = 0;

 private:
  double run(const char* model, std::int64_t elements, int count) {
    return run_process(fmt::format("exec {} {} {} {} {}", (folder_ / "ort").string(), library_,
                                   (folder_ / model).string(), elements, count),
                       folder_ / "ort.out");
  }
  std::tuple<double, double, double> printed() const {
    std::istringstream text(read_file(folder_ / "ort.out"));
    double session = 0, call = 0, kilobytes = 0;
    text >> session >> call >> kilobytes;
    return {session, call, kilobytes};
  }

  std::filesystem::path folder_;
  std::string library_;
};

std::string megabytes(double bytes) { return fmt::format("{:.2f} MB", bytes * 1e-6); }

void measure(const std::filesystem::path& folder, const Options& options) {
  CompiledModel mlp = compile_to(classifier(), folder / "mlp.o", ObjectForm::object);
  compile_to(classifier(), folder / "mlp.so", ObjectForm::shared);
  compile_to(one_leaky_relu(), folder / "call.o", ObjectForm::object);
  build(folder, "mlp", kFirstResult, folder / "mlp.o");
  build(folder, "call", kCalls, folder / "call.o");
  std::optional<OnnxRuntimeProcess> other;
  if (const char* library = test::onnxruntime_path())
    other.emplace(folder, library);
  else
    std::printf(
        "ONNX Runtime: set WEIR_ONNXRUNTIME to the path of libonnxruntime.so; ./dev setup "
        "--peers fetches it.\n");
  double weights = static_cast<double>(SizeTable::total(mlp.sizes.weights));
  double workspace = static_cast<double>(SizeTable::total(mlp.sizes.workspace));
  int rounds = options.quick ? 5 : 50;
  std::vector<double> first, opening, calls;
  for (int i = 0; i < rounds; ++i) {
    first.push_back(run_process(folder / "mlp", "/dev/null"));
    auto start = std::chrono::steady_clock::now();
    weir_loaded_model* model = weir_model_open((folder / "mlp.so").c_str(), nullptr, 0);
    opening.push_back(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    if (model == nullptr) throw std::runtime_error("the shared object is refused");
    weir_model_close(model);
    if (other) other->run_first();
  }
  // In kilobytes, as the system counts the pages that the process has touched.
  run_process((folder / "mlp").string() + " resident", folder / "resident");
  double resident = std::stod(read_file(folder / "resident")) * 1024;
  for (int i = 0; i < (options.quick ? 2 : 5); ++i) {
    run_process(folder / "call", folder / "seconds");
    calls.push_back(std::stod(read_file(folder / "seconds")));
    if (other) other->run_calls();
  }
  Table table("aot", "784-512-256-10 in a C program",
              {{"what", 26}, {"median", 10}, {"goal", 10}, {"ORT", 10}, {"", 0}}, options);
  auto row = [&](const char* what, std::string text, double value, std::string goal, double most,
                 const Cell& theirs) {
    table.row({what,
               {std::move(text), value},
               std::move(goal),
               theirs,
               most > 0 && value > most ? "ABOVE" : ""});
  };
  auto in_megabytes = [](double bytes) { return Cell(megabytes(bytes), bytes); };
  const Cell none("");
  auto timed = [&](const char* what, const std::vector<double>& samples, double goal,
                   std::vector<double> OnnxRuntimeProcess::* theirs) {
    double median = spread_of(samples).median;
    Cell them = none;
    if (other) {
      double their_median = spread_of((*other).*theirs).median;
      them = Cell(duration(their_median), their_median);
    }
    row(what, duration(median), median, goal > 0 ? duration(goal) : "", goal, them);
  };
  auto code =
      static_cast<double>(SizeTable::total(mlp.sizes.code) + SizeTable::total(mlp.sizes.constants));
  double file = static_cast<double>(mlp.code.size());
  row("object file", megabytes(file), file, "", 0,
      other ? in_megabytes(other->file_bytes()) : none);
  row("weights in it", megabytes(weights), weights, "", 0, none);
  auto library = [&] {
    return in_megabytes(static_cast<double>(std::filesystem::file_size(test::onnxruntime_path())));
  };
  row("code and constants", fmt::format("{:.1f} kB", code * 1e-3), code, "", 0,
      other ? library() : none);
  timed("start to first result", first, 0.003, &OnnxRuntimeProcess::first);
  double most = weights + workspace + 3e6;
  row("resident memory", megabytes(resident), resident, megabytes(most), most,
      other ? in_megabytes(other->resident) : none);
  timed("opening the shared object", opening, 0, &OnnxRuntimeProcess::opening);
  timed("a call on four numbers", calls, 50e-9, &OnnxRuntimeProcess::calls);
}

}  // namespace
}  // namespace weir::bench

int main(int argc, char** argv) try {
  using namespace weir::bench;
  Options options = Options::parse(
      argc, argv, "Measures a model that is compiled ahead of time, in a C program.");
  TimingLock lock;
  print_machine();
  weir::test::TemporaryFolder folder;
  measure(folder.path(), options);
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
