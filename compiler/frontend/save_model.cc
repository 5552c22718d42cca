#include "compiler/frontend/save_model.h"

#include <filesystem>

#include <fmt/format.h>

#include "compiler/frontend/file.h"
#include "compiler/frontend/safetensors.h"
#include "ir/escape.h"
#include "ir/text.h"

namespace weir {
namespace {

enum class Format { weir, onnx };

Format format_of(const std::string& path) {
  std::string ending = std::filesystem::path(path).extension().string();
  if (ending == ".weir") return Format::weir;
  if (ending == ".onnx") return Format::onnx;
  throw Error(fmt::format("the name of a model's file ends in .weir or .onnx, and {} does not",
                          shown(path)));
}

std::string weights_beside(const std::string& path) {
  return std::filesystem::path(path).replace_extension(".safetensors").string();
}

void write_weir(const std::string& path, const Model& model) {
  std::string text = print(model.graph);
  std::vector<std::string_view> content{text};
  std::vector<FileToWrite> files{{path, content}};
  if (model.graph.params().empty()) return write_files(files);
  Weights weights;
  for (ValueId id : model.graph.params()) {
    const Value& param = model.graph.value(id);
    auto found = model.weights.find(param.name);
    if (found == model.weights.end())
      throw Error(param.location, fmt::format("the param {} has no value", value_name(param.name)));
    weights.insert(*found);
  }
  SafetensorsContent beside(weights);
  files.insert(files.begin(), FileToWrite{weights_beside(path), beside.parts()});
  write_files(files);
}

}  // namespace

std::vector<std::string> files_of_model(const std::string& path) {
  if (format_of(path) == Format::weir) return {path, weights_beside(path)};
  return {path, external_data_of(path)};
}

void save_model(const std::string& path, const Model& model, const OnnxExportOptions& onnx) {
  if (format_of(path) == Format::weir) {
    write_weir(path, model);
  } else {
    write_onnx(path, model, onnx);
  }
}

}  // namespace weir
