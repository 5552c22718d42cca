#include "compiler/frontend/onnx/importer.h"

#include <algorithm>
#include <cstdio>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include <fmt/format.h>
#include <onnx/onnx_pb.h>

#include "compiler/frontend/onnx/converters.h"
#include "compiler/frontend/onnx/declared_type.h"
#include "compiler/frontend/onnx/graph_importer.h"
#include "compiler/frontend/onnx/symbol_names.h"
#include "ir/escape.h"
#include "ir/verifier.h"

namespace weir::onnx_format {
namespace {

using FixedInputs = std::set<std::string, std::less<>>;

Opsets opsets_of(const onnx::ModelProto& model) {
  Opsets opsets;
  for (const onnx::OperatorSetIdProto& opset : model.opset_import())
    opsets.insert_or_assign(domain_of(opset.domain()), checked_opset(opset.version()));
  return opsets;
}

void warn(const OnnxOptions& options, const std::string& message) {
  if (options.warn) {
    options.warn(message);
  } else {
    // Standard error may be closed or full, which is no reason to fail.
    std::fputs(fmt::format("weir: warning: {}\n", message).c_str(), stderr);
  }
}

// Ops of later opsets may have another meaning.
void warn_of_opsets(const Opsets& opsets, const std::string& file, const OnnxOptions& options) {
  auto found = opsets.find("");
  if (found == opsets.end() || found->second <= kLastOpset) return;
  warn(options, fmt::format("{}: the model is of opset {}, and the opsets up to {} are known; an "
                            "op that has changed since is read in its old meaning",
                            file, found->second, kLastOpset));
}

// The inputs of the graph that a value is computed from.
std::vector<std::string> origins(const onnx::GraphProto& graph, const std::string& value) {
  std::unordered_map<std::string, const onnx::NodeProto*> producers;
  for (const onnx::NodeProto& node : graph.node())
    for (const std::string& output : node.output()) producers.emplace(output, &node);
  std::vector<std::string> found, pending{value};
  std::unordered_set<std::string> seen;
  while (!pending.empty()) {
    std::string name = std::move(pending.back());
    pending.pop_back();
    if (!seen.insert(name).second) continue;
    auto producer = producers.find(name);
    if (producer == producers.end()) {
      found.push_back(std::move(name));
    } else {
      pending.insert(pending.end(), producer->second->input().begin(),
                     producer->second->input().end());
    }
  }
  return found;
}

// Error at the place if the value is not what is declared of it.
void check_value(const onnx::ValueInfoProto& info, const ImportedValue& value, std::string_view is,
                 const Location& place) {
  if (value.is_lacking) return;
  std::string contradiction = contradiction_of(info, value.type, is);
  if (!contradiction.empty()) throw Error(place, std::move(contradiction));
}

// Nobody relies on what is declared of the values between: programs that set another size for an
// input leave it as it was.
void warn_of_values(const onnx::GraphProto& graph, const Scope& scope, const std::string& file,
                    const OnnxOptions& options) {
  std::string first;
  int others = 0;
  for (const onnx::ValueInfoProto& info : graph.value_info()) {
    const ValueRef* value = scope.find(info.name());
    if (value == nullptr || *value == nullptr) continue;
    std::string contradiction = contradiction_of(info, (*value)->type, "it is computed as");
    if (contradiction.empty()) continue;
    if (first.empty()) {
      first = fmt::format("value {} in {}: {}", in_quotes(info.name()), file, contradiction);
    } else {
      ++others;
    }
  }
  if (first.empty()) return;
  warn(options, others == 0 ? first : fmt::format("{}; {} other values differ too", first, others));
}

// Returns whether there are inputs with a default, which is none where there may be none.
bool add_inputs(GraphImporter& importer, const onnx::GraphProto& graph, Scope& scope,
                const OnnxOptions& options, const FixedInputs& fixed, SymbolNames& symbols,
                bool may_have_defaults) {
  bool has_defaults = false;
  std::unordered_set<std::string_view> initializers;
  for (const onnx::TensorProto& initializer : graph.initializer())
    initializers.insert(initializer.name());
  for (const onnx::SparseTensorProto& initializer : graph.sparse_initializer())
    initializers.insert(initializer.values().name());
  for (const onnx::ValueInfoProto& info : graph.input())
    for (const auto& dim : info.type().tensor_type().shape().dim())
      if (!dim.dim_param().empty()) symbols.announce(dim.dim_param());
  for (const onnx::ValueInfoProto& info : graph.input()) {
    std::string name = fmt::format("input {}", in_quotes(info.name()));
    Location place = importer.location(name + " in");
    // What has an initializer as well is a weight; old files list all of those among the inputs.
    if (initializers.contains(info.name())) {
      ImportedValue& value = **scope.find(info.name());
      check_value(info, value, "its initializer is", place);
      if (may_have_defaults) {
        value.is_default = has_defaults = true;
        value.param_name = info.name();
      }
      continue;
    }
    auto value = std::make_shared<ImportedValue>();
    value->location = place;
    if (fixed.contains(info.name())) {
      value->tensor = std::make_shared<const Tensor>(options.given.find(info.name())->second);
      value->type = value->tensor->type();
    } else {
      try {
        value->type = declared_type(info, symbols);
        GraphBuilder& builder = importer.builder();
        value->var = Var(builder, builder.graph().add_input(info.name(), value->type, place));
      } catch (const Unsupported& error) {
        importer.lack(*value, name, error);
      }
    }
    if (!scope.add(info.name(), std::move(value)))
      throw Error(place, "there are two inputs of this name");
  }
  return has_defaults;
}

void add_outputs(GraphImporter& importer, const onnx::GraphProto& graph, const Scope& scope) {
  if (graph.output_size() == 0) throw Error(importer.location({}), "the model has no outputs");
  for (const onnx::ValueInfoProto& info : graph.output()) {
    Location place = importer.location(fmt::format("output {} in", in_quotes(info.name())));
    const ValueRef* found = info.name().empty() ? nullptr : scope.find(info.name());
    if (found == nullptr)
      throw Error(place, "it is no input, no initializer and no output of a node");
    ImportedValue& value = **found;
    check_value(info, value, "it is computed as", place);
    importer.set_location(place);
    try {
      importer.builder().output(info.name(), importer.var_of(value));
    } catch (const Unsupported& error) {
      throw Unsupported(place, error.diagnostic().message);
    } catch (const Error& error) {
      throw Error(place, error.diagnostic().message);
    }
  }
}

// What has proved necessary. Nodes that have to know a value fix the given inputs that it is
// computed from. Nodes that take an element at a place of an axis, or the rest from a place on,
// need the axis to be that long: the symbol of its size gets a minimum. And what cannot be computed
// otherwise may be known if defaults are constants.
struct Needs {
  FixedInputs fixed;
  SymbolNames::Minimums minimums;
  bool constant_defaults = false;
};

// Thrown when there are more, with all of them.
struct Restart {
  Needs needs;
};

// The model with these needs met. Throws Restart when there are more.
Model import_with(const std::shared_ptr<const onnx::ModelProto>& model,
                  const std::shared_ptr<const std::string>& file, ExternalFiles& files,
                  const OnnxOptions& options, const Needs& needs, int rounds_left) {
  const onnx::GraphProto& graph = model->graph();
  GraphImporter importer(model, file, files, options.limits);
  constexpr std::int64_t kTypesPerByte = 256, kTypesOfSmallModels = 1 << 20;
  importer.limit_types(kTypesOfSmallModels +
                       kTypesPerByte * static_cast<std::int64_t>(model->ByteSizeLong()));
  if (!options.given.empty()) {
    importer.set_not_known([&](const std::string& value) {
      Restart restart{needs};
      for (std::string& name : origins(graph, value))
        if (options.given.contains(name)) restart.needs.fixed.insert(std::move(name));
      if (restart.needs.fixed.size() > needs.fixed.size()) throw restart;
    });
  }
  Scope scope;
  importer.add_initializers(graph, scope);
  SymbolNames symbols(needs.minimums);
  // From this version of the format on, an initializer that is an input is what it is by default.
  constexpr std::int64_t kFirstWithDefaults = 4;
  bool may_have_defaults = model->ir_version() >= kFirstWithDefaults && !needs.constant_defaults;
  bool has_defaults =
      add_inputs(importer, graph, scope, options, needs.fixed, symbols, may_have_defaults);
  importer.convert_nodes(graph.node(), scope, opsets_of(*model));
  // Not without end: what needs more is a shortfall.
  if (!importer.sizes_needed().empty() && rounds_left > 0) {
    Restart restart{needs};
    for (const auto& [symbol, least] : importer.sizes_needed())
      symbols.raise(restart.needs.minimums, symbol, least);
    throw restart;
  }
  if (!importer.shortfalls().empty() && has_defaults) {
    Restart restart{needs};
    restart.needs.constant_defaults = true;
    throw restart;
  }
  if (!importer.shortfalls().empty()) throw importer.shortfalls().error(importer.location({}));
  warn_of_values(graph, scope, *file, options);
  add_outputs(importer, graph, scope);
  check_graph(importer.builder().graph());
  return importer.finish();
}

}  // namespace

Model import_model(std::shared_ptr<const onnx::ModelProto> model, const FileBytes& file,
                   const std::string& folder, std::int64_t memory, const OnnxOptions& options) {
  auto name = std::make_shared<const std::string>(printable(file.name));
  if (!model->has_graph())
    throw Error(Location(name, 0, 0), "the file has no graph; this is no model");
  ExternalFiles files(
      folder, [&](std::int64_t bytes) { options.limits.check_memory(file, memory + bytes); });
  warn_of_opsets(opsets_of(*model), *name, options);
  constexpr int kRounds = 16;
  Needs needs;
  for (int round = 0;; ++round) {
    try {
      Model imported = import_with(model, name, files, options, needs, kRounds - round);
      if (options.files_read != nullptr) *options.files_read = files.paths();
      return imported;
    } catch (Restart& restart) {
      needs = std::move(restart.needs);
    }
  }
}

}  // namespace weir::onnx_format
