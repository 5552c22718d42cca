#include "compiler/frontend/model_file.h"

#include <filesystem>
#include <limits>
#include <map>
#include <set>

#include <fmt/format.h>

#include "compiler/frontend/file.h"
#include "compiler/frontend/onnx/onnx_file.h"
#include "compiler/frontend/tensor_file.h"
#include "ir/text.h"

namespace weir {
namespace {

constexpr std::size_t kShownNames = 20;

std::string listed(const std::vector<std::string>& names) {
  std::size_t count = std::min(names.size(), kShownNames);
  std::string text = fmt::format(
      "{}", fmt::join(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(count), ", "));
  return count == names.size() ? text : fmt::format("{} and {} more", text, names.size() - count);
}

using Headers = std::map<std::string, TensorHeader, std::less<>>;

std::string listed(const Headers& headers) {
  std::vector<std::string> names;
  for (const auto& [name, header] : headers)
    names.push_back(fmt::format("{} ({})", shown(name), to_string(header.type)));
  return names.empty() ? "nothing" : listed(names);
}

// The file beside the model, if it is there.
std::optional<std::string> weights_beside(const std::string& path) {
  std::string beside = std::filesystem::path(path).replace_extension(".safetensors").string();
  std::error_code ignored;
  return std::filesystem::exists(beside, ignored) ? std::optional(beside) : std::nullopt;
}

[[noreturn]] void refuse_without_weights(const std::string& path, const Graph& graph) {
  std::string beside = std::filesystem::path(path).replace_extension(".safetensors").string();
  std::vector<std::string> names;
  for (ValueId param : graph.params()) names.push_back(graph.value(param).name);
  throw Error(
      graph.value(graph.params().front()).location,
      fmt::format("the graph has params ({}), and there is no file {} with their values; give "
                  "another one with --weights; weir run --weights initial takes those that a "
                  "training starts from",
                  listed(names), beside));
}

// Error if the file does not have the graph's params.
void check_params(const Graph& graph, const Headers& available, const FileBytes& file) {
  std::vector<std::string> missing, wrong;
  for (ValueId id : graph.params()) {
    const Value& param = graph.value(id);
    for (const Dim& dim : param.type.shape)
      if (!dim.is_constant())
        throw Error(param.location,
                    fmt::format("the param {} is declared as {}; the sizes of a param must "
                                "be numbers",
                                param.name, to_string(param.type)));
    auto found = available.find(param.name);
    if (found == available.end()) {
      missing.push_back(fmt::format("{} ({})", param.name, to_string(param.type)));
    } else if (found->second.type != param.type) {
      wrong.push_back(fmt::format("{} is declared as {} and is {} there", param.name,
                                  to_string(param.type), to_string(found->second.type)));
    }
  }
  std::vector<std::string> faults;
  if (!missing.empty())
    faults.push_back(
        fmt::format("the file has no {}; it has {}", listed(missing), listed(available)));
  if (!wrong.empty()) faults.push_back(listed(wrong));
  if (!faults.empty()) file.refuse(fmt::format("{}", fmt::join(faults, "; ")));
}

// The values of the graph's params, out of those in the file. `memory` is what is taken already.
Weights read_params(const Graph& graph, const FileBytes& file, std::int64_t memory,
                    const LoadLimits& limits) {
  memory += static_cast<std::int64_t>(file.bytes.size());
  limits.check_memory(file, memory);
  Headers available;
  for (const TensorHeader& header : tensor_headers(file)) available.emplace(header.name, header);
  check_params(graph, available, file);
  std::set<std::string, std::less<>> names;
  for (ValueId id : graph.params()) {
    names.insert(graph.value(id).name);
    if (__builtin_add_overflow(memory, available.at(graph.value(id).name).memory, &memory))
      memory = std::numeric_limits<std::int64_t>::max();
  }
  limits.check_memory(file, memory);
  return read_tensors(file, [&](std::string_view name) { return names.contains(name); });
}

Graph parse_within(const FileBytes& file, const LoadLimits& limits) {
  limits.check_memory(file, static_cast<std::int64_t>(file.bytes.size()));
  Graph graph = parse_graph(file.text(), file.name);
  limits.check_nodes(file, static_cast<std::int64_t>(graph.nodes().size()));
  return graph;
}

Model load(const std::string& path, std::optional<std::string> weights, const LoadLimits& limits,
           std::vector<std::string>* files_read, bool needs_values) {
  FileBytes bytes = map_file(path);
  std::vector<std::string> files;
  Model model;
  if (is_onnx(bytes)) {
    OnnxOptions options;
    options.limits = limits;
    options.files_read = &files;
    model = read_onnx(bytes, std::filesystem::path(path).parent_path().string(), options);
  } else {
    model.graph = parse_within(bytes, limits);
  }
  bool has_values = !model.weights.empty() || model.graph.params().empty();
  if (!weights && !has_values) {
    weights = weights_beside(path);
    if (!weights && needs_values) refuse_without_weights(path, model.graph);
  }
  if (weights) {
    files.push_back(*weights);
    FileBytes file = map_file(files.back());
    model.weights =
        read_params(model.graph, file, static_cast<std::int64_t>(bytes.bytes.size()), limits);
  }
  files.insert(files.begin(), path);
  if (files_read != nullptr) *files_read = std::move(files);
  return model;
}

}  // namespace

Model load_model(const std::string& path, const std::optional<std::string>& weights,
                 const LoadLimits& limits, std::vector<std::string>* files_read) {
  return load(path, weights, limits, files_read, true);
}

Model load_model_to_train(const std::string& path, const std::optional<std::string>& weights,
                          const LoadLimits& limits, std::vector<std::string>* files_read) {
  return load(path, weights, limits, files_read, false);
}

Graph load_graph(const std::string& path, const LoadLimits& limits) {
  FileBytes bytes = map_file(path);
  if (!is_onnx(bytes)) return parse_within(bytes, limits);
  OnnxOptions options;
  options.limits = limits;
  return load_onnx(path, options).graph;
}

}  // namespace weir
