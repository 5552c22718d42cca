#include "run_outputs.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "common.h"
#include "ir/escape.h"
#include "tensor_text.h"

namespace weir::tool {
namespace {

const Graph::Output& output_of(const Graph& graph, const std::string& name) {
  std::vector<std::string> known;
  for (const Graph::Output& output : graph.outputs()) {
    if (output.name == name) return output;
    known.push_back(value_name(output.name));
  }
  throw Error(fmt::format("there is no output {}; {}", value_name(name),
                          known.empty()
                              ? "the model has none"
                              : fmt::format("the outputs are {}", fmt::join(known, ", "))));
}

TensorPlace output_place(const std::string& name, const std::string& file, DType type) {
  if (file.empty())
    throw Error(fmt::format("the file of the output {} is missing", value_name(name)));
  std::optional<TensorPlace> place = parse_tensor_place(file);
  if (!place)
    throw Error(
        fmt::format("the output {} cannot be written to {}: the ending of a file says "
                    "what it is, and is one of {}",
                    value_name(name), shown(file), tensor_endings()));
  if (place->format->check_type != nullptr) place->format->check_type(type);
  if (place->format->is_named() && place->name.empty()) place->name = name;
  return std::move(*place);
}

}  // namespace

OutputPlaces output_places(const Graph& graph, std::span<const std::string> options) {
  OutputPlaces places;
  for (const std::string& option : options) {
    auto [name, file] = name_and_value(option, "--output", "NAME=FILE");
    DType type = graph.type(output_of(graph, name).value).dtype;
    TensorPlace place = output_place(name, file, type);
    for (const auto& [other, taken] : places)
      if (taken.file == place.file && taken.name == place.name && other != name)
        throw Error(fmt::format("the outputs {} and {} are both to be written to {}",
                                value_name(other), value_name(name), shown(file)));
    if (!places.emplace(name, std::move(place)).second)
      throw Error(fmt::format("the output {} is given twice", value_name(name)));
  }
  return places;
}

std::vector<std::string> files_of(const OutputPlaces& places) {
  std::set<std::string> files;
  for (const auto& [name, place] : places) files.insert(place.file);
  return {files.begin(), files.end()};
}

void give_outputs(const Graph& graph, std::span<const Tensor> results, const OutputPlaces& places) {
  struct File {
    const TensorFormat* format;
    Weights tensors;
  };
  std::map<std::string, File> files;
  if (results.empty()) print_out("the model has no outputs\n");
  for (std::size_t i = 0; i < results.size(); ++i) {
    const std::string& name = graph.outputs()[i].name;
    auto place = places.find(name);
    if (place == places.end()) {
      print_out(output_text(name, results[i]));
      continue;
    }
    auto [file, is_new] = files.try_emplace(place->second.file);
    file->second.format = place->second.format;
    file->second.tensors.emplace(place->second.name, results[i]);
  }
  for (const auto& [path, file] : files) file.format->write(path, file.tensors);
}

}  // namespace weir::tool
