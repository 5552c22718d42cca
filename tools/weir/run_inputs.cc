#include "run_inputs.h"

#include <algorithm>
#include <limits>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "common.h"
#include "compiler/frontend/file.h"
#include "compiler/frontend/input_value.h"
#include "compiler/frontend/tensor_file.h"
#include "compiler/run_memory.h"
#include "ir/escape.h"

namespace weir::tool {
namespace {

using NamedValues = std::map<std::string, std::string, std::less<>>;

std::string listed_inputs(const Graph& graph) {
  std::vector<std::string> lines;
  for (ValueId id : graph.inputs())
    lines.push_back(
        fmt::format("  {}: {}", value_name(graph.value(id).name), to_string(graph.type(id))));
  return lines.empty() ? "the model has no inputs"
                       : fmt::format("the inputs are\n{}", fmt::join(lines, "\n"));
}

bool has_input(const Graph& graph, std::string_view name) {
  return std::any_of(graph.inputs().begin(), graph.inputs().end(),
                     [&](ValueId id) { return graph.value(id).name == name; });
}

NamedValues named_values(const Graph& graph, std::span<const std::string> options) {
  NamedValues result;
  for (const std::string& option : options) {
    auto [name, value] = name_and_value(option, "--input", "NAME=VALUE");
    if (!has_input(graph, name))
      throw Error(fmt::format("there is no input {}; {}", value_name(name), listed_inputs(graph)));
    if (!result.emplace(name, value).second)
      throw Error(fmt::format("the input {} is given twice", value_name(name)));
  }
  std::vector<std::string> missing;
  for (ValueId id : graph.inputs())
    if (!result.contains(graph.value(id).name)) missing.push_back(value_name(graph.value(id).name));
  if (!missing.empty())
    throw Error(fmt::format("no value is given for {}; {}\nGive each as --input NAME=VALUE.",
                            fmt::join(missing, " and "), listed_inputs(graph)));
  return result;
}

Dim::Bindings known_dims(const Graph& graph, std::span<const std::string> options) {
  std::vector<std::string> symbols = graph.symbols();
  Dim::Bindings result = given_dims(options);
  for (const auto& [name, size] : result)
    if (std::find(symbols.begin(), symbols.end(), name) == symbols.end())
      throw Error(fmt::format("there is no symbol {}; {}", shown(name),
                              symbols.empty()
                                  ? "all sizes of the model are numbers"
                                  : fmt::format("the model has {}", fmt::join(symbols, ", "))));
  return result;
}

bool needs_sizes(std::string_view value) {
  return value == "zeros" || value == "ones" || value.starts_with("random:");
}

// Of a value that is made up, where its symbols are bound.
void check_size(const Value& input, const Dim::Bindings& bindings, std::int64_t most) {
  for (const Dim& dim : input.type.shape)
    if (!dim.evaluate(bindings)) return;
  check_bytes(bytes_of_type(input.type, bindings), most);
}

// A tensor for one input; an error says which input, and points into the text of a literal.
Tensor read_value(const Value& input, const std::string& value, const Dim::Bindings& bindings,
                  std::int64_t most) try {
  if (needs_sizes(value)) check_size(input, bindings, most);
  return input_value(value, input.type, bindings, input.name, [&](const TensorHeader& header) {
    check_bytes(bytes_of_type(header.type, {}), most);
  });
} catch (const Error& error) {
  Diagnostic diagnostic = error.diagnostic();
  std::string option = fmt::format("--input {}", input.name);
  if (diagnostic.source_line.empty() && !diagnostic.location.known())
    throw Error(fmt::format("{}: {}", option, diagnostic.message));
  if (diagnostic.location.file && *diagnostic.location.file == "literal")
    diagnostic.location.file = std::make_shared<const std::string>(option);
  throw Error(std::move(diagnostic));
}

}  // namespace

Inputs read_inputs(const Model& model, std::span<const std::string> values,
                   std::span<const std::string> dims, std::int64_t most) {
  const Graph& graph = model.graph;
  Dim::Bindings given = known_dims(graph, dims);
  NamedValues named = named_values(graph, values);
  Dim::Bindings bindings = given;
  Inputs inputs;
  for (bool with_sizes : {true, false}) {
    for (ValueId id : graph.inputs()) {
      const Value& input = graph.value(id);
      const std::string& value = named.find(input.name)->second;
      if (needs_sizes(value) == with_sizes) continue;
      Tensor tensor = read_value(input, value, with_sizes ? given : bindings, most);
      for (std::size_t d = 0; with_sizes && d < input.type.shape.size(); ++d)
        if (std::optional<std::string> symbol = input.type.shape[d].as_symbol())
          bindings.emplace(*symbol, tensor.sizes()[d]);
      inputs.emplace(input.name, std::move(tensor));
    }
  }
  // Its messages say which inputs disagree about a symbol.
  bind_symbols(graph, inputs, model.weights);
  return inputs;
}

std::vector<std::string> files_of_inputs(std::span<const std::string> values) {
  std::vector<std::string> files;
  for (const std::string& value : values)
    if (auto place = parse_tensor_place(name_and_value(value, "--input", "NAME=VALUE").second))
      files.push_back(place->file);
  return files;
}

}  // namespace weir::tool
