#include "compiler/frontend/onnx/test_folder.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include <fmt/format.h>
#include <onnx/onnx_pb.h>

#include "compiler/frontend/file.h"
#include "compiler/frontend/npz.h"
#include "compiler/frontend/onnx/model_proto.h"
#include "compiler/frontend/onnx/pb_file.h"
#include "compiler/frontend/onnx/unsupported.h"
#include "ir/escape.h"

namespace weir {
namespace {

namespace fs = std::filesystem;

constexpr const char* kModel = "model.onnx";

[[noreturn]] void refuse(const fs::path& path, std::string message) {
  throw Error(Location(std::make_shared<const std::string>(path.string()), 0, 0),
              std::move(message));
}

// Inputs and outputs of the graph, as their files are numbered.
std::vector<const onnx::ValueInfoProto*> numbered_inputs(const onnx::GraphProto& graph) {
  std::set<std::string_view> initializers;
  for (const onnx::TensorProto& tensor : graph.initializer()) initializers.insert(tensor.name());
  for (const onnx::SparseTensorProto& tensor : graph.sparse_initializer())
    initializers.insert(tensor.values().name());
  std::vector<const onnx::ValueInfoProto*> inputs;
  for (const onnx::ValueInfoProto& input : graph.input())
    if (!initializers.contains(input.name())) inputs.push_back(&input);
  return inputs;
}

std::vector<const onnx::ValueInfoProto*> numbered_outputs(const onnx::GraphProto& graph) {
  std::vector<const onnx::ValueInfoProto*> outputs;
  for (const onnx::ValueInfoProto& output : graph.output()) outputs.push_back(&output);
  return outputs;
}

void require_tensor(const onnx::ValueInfoProto& value, const char* what) {
  const onnx::TypeProto& type = value.type();
  const char* kind = type.has_sequence_type()        ? "a sequence"
                     : type.has_optional_type()      ? "an optional value"
                     : type.has_map_type()           ? "a map"
                     : type.has_sparse_tensor_type() ? "a sparse tensor"
                                                     : nullptr;
  if (kind != nullptr)
    throw Unsupported(fmt::format("the {} {} is {}; Weir has tensors only", what,
                                  value_name(value.name()), kind));
}

// The tensors of input_0.pb, input_1.pb ..., one for each value.
std::vector<Tensor> read_numbered(const fs::path& folder, const char* what,
                                  const std::vector<const onnx::ValueInfoProto*>& values) {
  std::vector<Tensor> tensors;
  for (std::size_t i = 0; i < values.size(); ++i) {
    fs::path path = folder / fmt::format("{}_{}.pb", what, i);
    require_tensor(*values[i], what);
    std::error_code ignored;
    if (!fs::exists(path, ignored))
      refuse(folder, fmt::format("there is no {} for {}", path.filename().string(),
                                 value_name(values[i]->name())));
    bool is_bf16 = values[i]->type().tensor_type().elem_type() == onnx::TensorProto::BFLOAT16;
    FileBytes file = map_file(path.string());
    tensors.push_back(is_bf16 ? read_pb_as_bf16(file) : read_pb(file));
  }
  fs::path beyond = folder / fmt::format("{}_{}.pb", what, values.size());
  std::error_code ignored;
  if (fs::exists(beyond, ignored))
    refuse(beyond, fmt::format("the model has {} {}{}, so there is none for this file",
                               values.size(), what, values.size() == 1 ? "" : "s"));
  return tensors;
}

// FOLDER/test_data_set_0, test_data_set_1 ...
std::vector<fs::path> data_sets(const fs::path& folder) {
  std::vector<fs::path> sets;
  std::error_code ignored;
  for (;;) {
    fs::path set = folder / fmt::format("test_data_set_{}", sets.size());
    if (!fs::is_directory(set, ignored)) return sets;
    sets.push_back(std::move(set));
  }
}

}  // namespace

std::vector<std::string> find_test_folders(const std::string& folder) {
  std::error_code fault;
  if (!fs::is_directory(folder, fault))
    refuse(folder, fs::exists(folder, fault)
                       ? "this is a file; a folder with model.onnx and test_data_set_0 is needed"
                       : "there is no such folder");
  std::vector<std::string> found;
  if (fs::exists(fs::path(folder) / kModel, fault)) return {folder};
  fs::recursive_directory_iterator end,
      entry(folder, fs::directory_options::skip_permission_denied, fault);
  for (; !fault && entry != end; entry.increment(fault))
    if (entry->path().filename() == kModel) found.push_back(entry->path().parent_path().string());
  if (fault) refuse(folder, fmt::format("the folder cannot be read: {}", fault.message()));
  std::sort(found.begin(), found.end());
  return found;
}

TestFolder read_test_folder(const std::string& folder, bool with_gradients,
                            const LoadLimits& limits) {
  TestFolder result;
  fs::path path(folder);
  result.model = (path / kModel).string();
  auto model = onnx_format::parse_model(map_file(result.model), limits).proto;
  auto inputs = numbered_inputs(model->graph());
  auto outputs = numbered_outputs(model->graph());
  for (const fs::path& set : data_sets(path)) {
    TestData data{set.filename().string(), {}, read_numbered(set, "output", outputs)};
    std::vector<Tensor> tensors = read_numbered(set, "input", inputs);
    for (std::size_t i = 0; i < inputs.size(); ++i)
      if (!data.inputs.emplace(inputs[i]->name(), std::move(tensors[i])).second)
        refuse(result.model, fmt::format("there are two inputs {}", value_name(inputs[i]->name())));
    result.data.push_back(std::move(data));
  }
  if (result.data.empty()) refuse(path, "there is no folder test_data_set_0 with what to compute");
  fs::path gradients = path / "gradients.npz";
  std::error_code ignored;
  if (with_gradients && fs::exists(gradients, ignored)) {
    FileBytes file = map_file(gradients.string());
    auto memory = static_cast<std::int64_t>(file.bytes.size());
    for (const TensorHeader& header : npz_headers(file))
      limits.check_memory(file, memory += header.memory);
    result.gradients = read_npz(file);
  }
  return result;
}

}  // namespace weir
