// What a model takes of memory in a process of its own: ours as a shared object that was compiled
// ahead of time, ONNX Runtime's as a session. Neither process holds anything of the other.
//
// A benchmark starts itself again for this, with the arguments kMeasureProcess FOLDER: there lie
// the case, and tensors for the model's inputs and outputs, which are in memory before anything is
// measured.
#pragma once

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "benchmarks/subject.h"
#include "compiler/aot/compile_model.h"
#include "compiler/frontend/file.h"
#include "compiler/frontend/npz.h"
#include "ir/bind_symbols.h"
#include "runtime/weir_runtime.h"
#include "runtime/workspace.h"
#include "tests/support/onnxruntime.h"
#include "tests/support/temporary_folder.h"

extern char** environ;

namespace weir::bench {

inline constexpr const char* kMeasureProcess = "--measure-process";

// In bytes.
struct ProcessMemory {
  double resident;  // during runs, beyond what was before the model was loaded
  double between;   // of that, for values that are neither inputs nor outputs nor weights
};

// --- In the process that is measured -----------------------------------------

// A figure of this process in bytes, by its name in /proc/self/status.
inline std::int64_t process_bytes(std::string_view name) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(name)) return std::stoll(line.substr(name.size() + 1)) * 1024;
  throw std::runtime_error(std::string(name) + " is not known of this process");
}

// VmHWM is what is resident from now on at most.
inline void forget_peak() { std::ofstream("/proc/self/clear_refs") << "5"; }

inline double run_compiled(const nlohmann::json& wanted, const std::vector<Tensor>& inputs,
                           std::vector<Tensor>& outputs) {
  weir_loaded_model* model =
      weir_model_open(wanted.at("model").get<std::string>().c_str(), nullptr, 0);
  if (model == nullptr) throw std::runtime_error("the shared object is refused");
  const weir_program_info* program = weir_model_program(model, "forward");
  auto dims = wanted.at("dims").get<std::vector<std::ptrdiff_t>>();
  std::vector<const void*> from;
  std::vector<void*> to;
  for (const Tensor& input : inputs) from.push_back(input.data());
  for (Tensor& output : outputs) to.push_back(output.mutable_data());
  std::size_t fixed = 0, per_worker = 0;
  if (program->workspace_size(dims.data(), &fixed, &per_worker) != WEIR_OK)
    throw std::runtime_error("the sizes are refused");
  Workspace workspace;
  weir_call call{};
  call.inputs = from.data();
  call.outputs = to.data();
  call.weights = weir_model_describe(model)->weights;
  call.workspace = workspace.reserve(fixed + per_worker);
  call.dims = dims.data();
  forget_peak();
  for (int i = 0; i < 2; ++i)
    if (program->run(&call) != WEIR_OK) throw std::runtime_error("a run failed");
  return static_cast<double>(fixed + per_worker);
}

inline double run_session(const nlohmann::json& wanted, const std::vector<Tensor>& inputs,
                          std::vector<Tensor>& outputs) {
  test::OnnxRuntime runtime(test::onnxruntime_path());
  auto session = test::OnnxSession::of_file(runtime, wanted.at("model"));
  auto input_names = wanted.at("inputs").get<std::vector<std::string>>(),
       output_names = wanted.at("outputs").get<std::vector<std::string>>();
  std::vector<test::OnnxTensor> values;
  for (const Tensor& tensor : inputs) values.emplace_back(runtime, tensor);
  for (const Tensor& tensor : outputs) values.emplace_back(runtime, tensor);
  std::vector<const char*> from_names, to_names;
  std::vector<const void*> from;
  std::vector<void*> to;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    from_names.push_back(input_names[i].c_str());
    from.push_back(values[i].value());
  }
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    to_names.push_back(output_names[i].c_str());
    to.push_back(values[inputs.size() + i].value());
  }
  std::int64_t at_rest = session.arena("InUse").value_or(0);
  forget_peak();
  // The second run takes its memory as the first one has shown that it is needed.
  for (int i = 0; i < 2; ++i) session.run(from_names, from, to_names, to);
  return static_cast<double>(session.arena("MaxInUse").value_or(at_rest) - at_rest);
}

// Runs the case in that folder twice and prints its ProcessMemory.
inline void measure_process(const std::string& folder) {
  nlohmann::json wanted = nlohmann::json::parse(read_file(folder + "/case.json"));
  auto tensors = [&](const char* side) {
    Weights named = read_npz(map_file(folder + "/" + side + ".npz"));
    std::vector<Tensor> result;
    for (const std::string& name : wanted.at(side).get<std::vector<std::string>>()) {
      const Tensor& mapped = named.at(name);
      result.emplace_back(mapped.dtype(), mapped.sizes());
      if (mapped.byte_count() > 0)
        std::memcpy(result.back().mutable_data(), mapped.data(), mapped.byte_count());
    }
    return result;
  };
  std::vector<Tensor> inputs = tensors("inputs"), outputs = tensors("outputs");
  std::int64_t before = process_bytes("VmRSS:");
  double between = (wanted.contains("dims") ? run_compiled : run_session)(wanted, inputs, outputs);
  std::printf("%lld %.0f\n", static_cast<long long>(process_bytes("VmHWM:") - before), between);
}

// --- In the process that asks ------------------------------------------------

// Of a case with its `model`, and the `dims` of a compiled one.
inline ProcessMemory process_memory(const Subject& subject, const Model& model,
                                    nlohmann::json wanted) {
  test::TemporaryFolder folder;
  auto write = [&](const char* side, const std::vector<std::string>& names,
                   const std::vector<Tensor>& tensors) {
    Weights named;
    for (std::size_t i = 0; i < names.size(); ++i) named.emplace(names[i], tensors[i]);
    write_npz(folder / (std::string(side) + ".npz"), named);
    wanted[side] = names;
  };
  write("inputs", subject.input_names, subject.inputs);
  write("outputs", subject.output_names, subject.outputs);
  write_file(folder / "case.json", {wanted.dump()});
  std::string words[] = {std::filesystem::read_symlink("/proc/self/exe"), kMeasureProcess,
                         folder.path()};
  char* arguments[] = {words[0].data(), words[1].data(), words[2].data(), nullptr};
  std::string output = folder / "printed";
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, output.c_str(), O_WRONLY | O_CREAT,
                                     0644);
  pid_t child = 0;
  int failure = ::posix_spawn(&child, words[0].c_str(), &actions, nullptr, arguments, environ);
  ::posix_spawn_file_actions_destroy(&actions);
  int status = 0;
  if (failure != 0 || ::waitpid(child, &status, 0) != child || status != 0)
    throw std::runtime_error(subject.name + ": the process to be measured failed");
  ProcessMemory result{};
  std::istringstream(read_file(output)) >> result.resident >> result.between;
  for (const auto& [name, tensor] : model.weights)
    result.resident -= static_cast<double>(tensor.byte_count());
  return result;
}

inline ProcessMemory memory_of_compiled(const Subject& subject, const Model& model,
                                        const Executable& executable) {
  test::TemporaryFolder folder;
  CompileModelOptions options;
  options.form = ObjectForm::shared;
  options.file_name = "model.so";
  std::vector<ModelProgram> programs{{"forward", model.graph}};
  write_file(folder / "model.so", {compile_model(programs, model.weights, options).code});
  Inputs named;
  for (std::size_t i = 0; i < subject.inputs.size(); ++i)
    named.emplace(subject.input_names[i], subject.inputs[i]);
  Dim::Bindings sizes = bind_symbols(model.graph, named, model.weights);
  std::vector<std::int64_t> dims;
  for (const std::string& symbol : executable.symbols()) dims.push_back(sizes.at(symbol));
  return process_memory(subject, model, {{"model", folder / "model.so"}, {"dims", dims}});
}

inline ProcessMemory memory_of_session(const Subject& subject, const Model& model,
                                       const std::string& onnx_file) {
  return process_memory(subject, model, {{"model", onnx_file}});
}

}  // namespace weir::bench
