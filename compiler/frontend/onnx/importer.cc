#include "compiler/frontend/onnx/importer.h"

#include <algorithm>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include <fmt/format.h>
#include <onnx/onnx_pb.h>

#include "compiler/frontend/onnx/converters.h"
#include "compiler/frontend/onnx/element_type.h"
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

TensorType declared_type(const onnx::ValueInfoProto& info, SymbolNames& symbols) {
  if (!info.type().has_tensor_type())
    throw Unsupported("it is no tensor, and Weir computes with tensors only");
  const onnx::TypeProto::Tensor& type = info.type().tensor_type();
  TensorType result{require_dtype(type.elem_type()), {}};
  if (!type.has_shape())
    throw Unsupported("its shape is missing; the number of its dimensions has to be known");
  for (int i = 0; i < type.shape().dim_size(); ++i) {
    const onnx::TensorShapeProto::Dimension& dim = type.shape().dim(i);
    // A negative size is how some exporters write an unknown one.
    if (dim.has_dim_value() && dim.dim_value() >= 0) {
      result.shape.emplace_back(dim.dim_value());
    } else {
      result.shape.push_back(symbols.symbol(dim.dim_param(), info.name(), i));
    }
  }
  return result;
}

void add_inputs(GraphImporter& importer, const onnx::GraphProto& graph, Scope& scope,
                const OnnxOptions& options, const FixedInputs& fixed, SymbolNames& symbols) {
  std::unordered_set<std::string_view> initializers;
  for (const onnx::TensorProto& initializer : graph.initializer())
    initializers.insert(initializer.name());
  for (const onnx::ValueInfoProto& info : graph.input())
    for (const auto& dim : info.type().tensor_type().shape().dim())
      if (!dim.dim_param().empty()) symbols.announce(dim.dim_param());
  for (const onnx::ValueInfoProto& info : graph.input()) {
    // What has an initializer as well is a weight; old files list those among the inputs.
    if (initializers.contains(info.name())) continue;
    std::string name = fmt::format("input {}", quoted(info.name()));
    Location place = importer.location(name + " in");
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
}

void add_outputs(GraphImporter& importer, const onnx::GraphProto& graph, const Scope& scope) {
  if (graph.output_size() == 0) throw Error(importer.location({}), "the model has no outputs");
  for (const onnx::ValueInfoProto& info : graph.output()) {
    Location place = importer.location(fmt::format("output {} in", quoted(info.name())));
    const ValueRef* found = info.name().empty() ? nullptr : scope.find(info.name());
    if (found == nullptr)
      throw Error(place, "it is no input, no initializer and no output of a node");
    ImportedValue& value = **found;
    std::int32_t declared = info.type().tensor_type().elem_type();
    std::int32_t computed = onnx_type_of(value.type.dtype);
    if (info.type().has_tensor_type() && declared != onnx::TensorProto::UNDEFINED &&
        declared != computed)
      throw Error(place, fmt::format("it is declared as {} and computed as {}", type_name(declared),
                                     type_name(computed)));
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

// What has proved necessary. Nodes that take an element at a place of an axis, or the rest from a
// place on, need the axis to be that long: the symbol of its size gets a minimum.
struct Needs {
  FixedInputs fixed;
  SymbolNames::Minimums minimums;
};

// The model with these needs met. Throws Restart when there are more.
struct Restart {
  std::vector<std::string> inputs;
  SymbolNames::Minimums minimums;
};

Model import_with(const std::shared_ptr<const onnx::ModelProto>& model,
                  const std::shared_ptr<const std::string>& file, ExternalFiles& files,
                  const OnnxOptions& options, const Needs& needs, int rounds_left) {
  const FixedInputs& fixed = needs.fixed;
  const onnx::GraphProto& graph = model->graph();
  GraphImporter importer(model, file, files, options.limits);
  constexpr std::int64_t kTypesPerByte = 256, kTypesOfSmallModels = 1 << 20;
  importer.limit_types(kTypesOfSmallModels +
                       kTypesPerByte * static_cast<std::int64_t>(model->ByteSizeLong()));
  if (!options.given.empty()) {
    importer.set_not_known([&](const std::string& value) {
      std::vector<std::string> inputs;
      for (std::string& name : origins(graph, value))
        if (options.given.contains(name) && !fixed.contains(name))
          inputs.push_back(std::move(name));
      if (!inputs.empty()) throw Restart{std::move(inputs), needs.minimums};
    });
  }
  Scope scope;
  importer.add_initializers(graph, scope);
  SymbolNames symbols(needs.minimums);
  add_inputs(importer, graph, scope, options, fixed, symbols);
  importer.convert_nodes(graph.node(), scope, opsets_of(*model));
  // Not without end: what needs more is a shortfall.
  if (!importer.sizes_needed().empty() && rounds_left > 0) {
    SymbolNames::Minimums minimums = needs.minimums;
    for (const auto& [symbol, least] : importer.sizes_needed())
      symbols.raise(minimums, symbol, least);
    throw Restart{{}, std::move(minimums)};
  }
  if (!importer.shortfalls().empty()) throw importer.shortfalls().error(importer.location({}));
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
  constexpr int kRounds = 16;
  Needs needs;
  for (int round = 0;; ++round) {
    try {
      Model imported = import_with(model, name, files, options, needs, kRounds - round);
      if (options.files_read != nullptr) *options.files_read = files.paths();
      return imported;
    } catch (Restart& restart) {
      needs.fixed.insert(restart.inputs.begin(), restart.inputs.end());
      needs.minimums = std::move(restart.minimums);
    }
  }
}

}  // namespace weir::onnx_format
