#include "compiler/frontend/onnx/importer.h"

#include <algorithm>
#include <deque>
#include <map>
#include <unordered_map>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <onnx/onnx_pb.h>

#include "compiler/frontend/onnx/converters.h"
#include "compiler/frontend/onnx/element_type.h"
#include "compiler/frontend/onnx/external_files.h"
#include "compiler/frontend/onnx/node.h"
#include "compiler/frontend/onnx/node_order.h"
#include "compiler/frontend/onnx/symbol_names.h"
#include "compiler/frontend/onnx/tensor_proto.h"
#include "ir/escape.h"
#include "ir/verifier.h"

namespace weir::onnx_format {
namespace {

// A known tensor of more elements is a param rather than a constant: it is data, not text.
constexpr std::int64_t kLargestConstant = 64;
constexpr std::size_t kShownUnsupported = 20;

bool is_default_domain(const std::string& domain) { return domain.empty() || domain == "ai.onnx"; }

// The values of a graph by name.
class Scope {
 public:
  explicit Scope(Scope* outer = nullptr) : outer_(outer) {}

  ImportedValue* find(const std::string& name) {
    auto found = values_.find(name);
    if (found != values_.end()) return &found->second;
    return outer_ != nullptr ? outer_->find(name) : nullptr;
  }
  // False if the name has a value here already.
  bool add(const std::string& name, ImportedValue value) {
    return values_.emplace(name, std::move(value)).second;
  }

 private:
  std::unordered_map<std::string, ImportedValue> values_;
  Scope* outer_;
};

class Importer : public GraphValues {
 public:
  Importer(std::shared_ptr<onnx::ModelProto> model, const std::string& file,
           const std::string& folder, const LoadLimits& limits)
      : model_(std::move(model)),
        file_(std::make_shared<const std::string>(printable(file))),
        files_(folder),
        limits_(limits),
        builder_(model_->graph().name().empty() ? "main" : model_->graph().name()) {}

  Model run();
  Var var_of(ImportedValue& value) override;

 private:
  void read_opsets();
  void report_unsupported() const;
  void add_initializers(const onnx::GraphProto& graph, Scope& scope);
  void add_inputs(const onnx::GraphProto& graph, Scope& scope);
  void convert_nodes(const NodeList& nodes, Scope& scope);
  void convert_node(const onnx::NodeProto& proto, int position, Scope& scope);
  void add_outputs(const onnx::GraphProto& graph, Scope& scope);

  Location location(std::string note) const;
  Location node_location(const onnx::NodeProto& node, int position) const;

  std::shared_ptr<onnx::ModelProto> model_;
  std::shared_ptr<const std::string> file_;
  ExternalFiles files_;
  LoadLimits limits_;
  GraphBuilder builder_;
  Weights weights_;
  SymbolNames symbols_;
  int opset_ = 0;
};

Location Importer::location(std::string note) const {
  Location result(file_, 0, 0);
  result.note = std::move(note);
  return result;
}

Location Importer::node_location(const onnx::NodeProto& node, int position) const {
  return location(node_name(node, position) + " in");
}

// --- The model ---------------------------------------------------------------

void Importer::read_opsets() {
  for (const onnx::OperatorSetIdProto& opset : model_->opset_import()) {
    if (!is_default_domain(opset.domain())) continue;
    if (opset.version() < 1 || opset.version() > kAnyOpset)
      throw Error(location({}), fmt::format("there is no opset {}", opset.version()));
    opset_ = std::max(opset_, static_cast<int>(opset.version()));
  }
  if (opset_ == 0)
    throw Error(location({}), "the model does not say which opset of ONNX it is written in");
}

void Importer::report_unsupported() const {
  std::map<std::string, std::pair<int, std::string>> ops;  // count and first node
  const NodeList& nodes = model_->graph().node();
  for (int i = 0; i < nodes.size(); ++i) {
    const onnx::NodeProto& node = nodes[i];
    bool is_known = is_default_domain(node.domain()) && find_converter(node.op_type(), opset_);
    if (is_known) continue;
    std::string op = printable(node.op_type());
    if (!is_default_domain(node.domain())) op = printable(node.domain()) + "." + op;
    auto [entry, is_new] = ops.try_emplace(op, 0, node_name(node, i));
    ++entry->second.first;
  }
  if (ops.empty()) return;
  std::vector<std::string> lines;
  for (const auto& [op, uses] : ops) {
    if (lines.size() == kShownUnsupported) {
      lines.push_back(fmt::format("and {} more", ops.size() - lines.size()));
      break;
    }
    lines.push_back(uses.first == 1
                        ? uses.second
                        : fmt::format("{} and {} more {}", uses.second, uses.first - 1, op));
  }
  throw Unsupported(location({}), fmt::format("Weir does not have these ops of opset {}:\n  {}",
                                              opset_, fmt::join(lines, "\n  ")));
}

Model Importer::run() {
  if (!model_->has_graph()) throw Error(location({}), "the file has no graph; this is no model");
  read_opsets();
  const onnx::GraphProto& graph = model_->graph();
  if (graph.node_size() > limits_.nodes)
    throw Error(location({}), fmt::format("the model has {} nodes; at most {} are allowed (see "
                                          "--max-nodes)",
                                          graph.node_size(), limits_.nodes));
  report_unsupported();
  Scope scope;
  add_initializers(graph, scope);
  add_inputs(graph, scope);
  convert_nodes(graph.node(), scope);
  add_outputs(graph, scope);
  check_graph(builder_.graph());
  return {builder_.finish().graph, std::move(weights_)};
}

// --- Values ------------------------------------------------------------------

Var Importer::var_of(ImportedValue& value) {
  if (value.var.valid()) return value.var;
  WEIR_CHECK(value.tensor != nullptr);
  if (value.param_name.empty()) {
    value.var = builder_.apply("constant", {}, {{"value", value.tensor}}, value.location);
    return value.var;
  }
  std::string name = value.param_name;
  for (int i = 1; builder_.graph().find(name).valid(); ++i)
    name = fmt::format("{}_{}", value.param_name, i);
  value.var = Var(builder_, builder_.graph().add_param(name, value.type, value.location));
  weights_.emplace(name, *value.tensor);
  return value.var;
}

void Importer::add_initializers(const onnx::GraphProto& graph, Scope& scope) {
  if (graph.sparse_initializer_size() > 0)
    throw Unsupported(location({}), "the model has sparse initializers");
  for (const onnx::TensorProto& proto : graph.initializer()) {
    Location place = location(fmt::format("initializer {} in", quoted(proto.name())));
    if (proto.name().empty()) throw Error(place, "an initializer has no name");
    Tensor tensor;
    try {
      tensor =
          tensor_of(proto, [this](const std::string& name) { return files_.open(name); }, model_);
    } catch (const Error& error) {
      throw Error(place, error.diagnostic().message);
    }
    ImportedValue value{tensor.type(), {}, nullptr, {}, place};
    if (is_float(tensor.dtype()) || tensor.element_count() > kLargestConstant)
      value.param_name = proto.name();
    value.tensor = std::make_shared<const Tensor>(std::move(tensor));
    if (!scope.add(proto.name(), std::move(value)))
      throw Error(place, "there are two initializers of this name");
  }
}

void Importer::add_inputs(const onnx::GraphProto& graph, Scope& scope) {
  for (const onnx::ValueInfoProto& info : graph.input()) {
    // What has an initializer as well is a weight; old files list those among the inputs.
    if (const ImportedValue* initializer = scope.find(info.name()))
      if (initializer->tensor != nullptr) continue;
    Location place = location(fmt::format("input {} in", quoted(info.name())));
    if (!info.type().has_tensor_type())
      throw Unsupported(place, "it is no tensor, and Weir computes with tensors only");
    const onnx::TypeProto::Tensor& type = info.type().tensor_type();
    TensorType result;
    try {
      result.dtype = require_dtype(type.elem_type());
    } catch (const Error& error) {
      throw Unsupported(place, error.diagnostic().message);
    }
    if (!type.has_shape())
      throw Unsupported(place,
                        "its shape is missing; the number of its dimensions has to be known");
    for (int i = 0; i < type.shape().dim_size(); ++i) {
      const onnx::TensorShapeProto::Dimension& dim = type.shape().dim(i);
      if (dim.has_dim_value() && dim.dim_value() >= 0) {
        result.shape.emplace_back(dim.dim_value());
      } else {
        result.shape.push_back(symbols_.symbol(dim.dim_param(), info.name(), i));
      }
    }
    ImportedValue value{result, {}, nullptr, {}, place};
    value.var = Var(builder_, builder_.graph().add_input(info.name(), result, place));
    if (!scope.add(info.name(), std::move(value)))
      throw Error(place, "there are two inputs of this name");
  }
}

// --- Nodes -------------------------------------------------------------------

void Importer::convert_nodes(const NodeList& nodes, Scope& scope) {
  std::vector<int> order;
  try {
    order = node_order(nodes,
                       [&scope](const std::string& name) { return scope.find(name) != nullptr; });
  } catch (const Error& error) {
    throw Error(location({}), error.diagnostic().message);
  }
  for (int position : order) convert_node(nodes[position], position, scope);
}

void Importer::convert_node(const onnx::NodeProto& proto, int position, Scope& scope) {
  Location place = node_location(proto, position);
  builder_.set_location(place);
  try {
    std::vector<ImportedValue*> inputs;
    for (const std::string& name : proto.input())
      inputs.push_back(name.empty() ? nullptr : scope.find(name));
    Node node(proto, opset_, builder_, *this, std::move(inputs));
    find_converter(proto.op_type(), opset_)(node);
    node.check_attributes();
    for (int i = 0; i < proto.output_size(); ++i) {
      const std::optional<ImportedValue>& result = node.results()[static_cast<std::size_t>(i)];
      if (!node.wants(static_cast<std::size_t>(i))) continue;
      if (!result) throw Error(fmt::format("it has no output {}", i));
      ImportedValue value = *result;
      if (value.var.valid()) {
        builder_.graph().name_result(value.var.id(), proto.output(i));
      } else if (value.param_name.empty() && value.tensor->element_count() > kLargestConstant) {
        value.param_name = proto.output(i);
      }
      if (!value.location.known()) value.location = place;
      scope.add(proto.output(i), std::move(value));
    }
  } catch (const Unsupported& error) {
    if (error.diagnostic().location.known()) throw;
    throw Unsupported(place, error.diagnostic().message);
  } catch (const Error& error) {
    if (error.diagnostic().location.known()) throw;
    throw Error(place, error.diagnostic().message);
  }
}

void Importer::add_outputs(const onnx::GraphProto& graph, Scope& scope) {
  if (graph.output_size() == 0) throw Error(location({}), "the model has no outputs");
  for (const onnx::ValueInfoProto& info : graph.output()) {
    Location place = location(fmt::format("output {} in", quoted(info.name())));
    ImportedValue* value = info.name().empty() ? nullptr : scope.find(info.name());
    if (value == nullptr) throw Error(place, "nothing in the model has this name");
    if (info.type().has_tensor_type()) {
      std::int32_t declared = info.type().tensor_type().elem_type();
      if (declared != onnx::TensorProto::UNDEFINED && declared != onnx_type_of(value->type.dtype))
        throw Error(place,
                    fmt::format("it is declared as {} and computed as {}", type_name(declared),
                                type_name(onnx_type_of(value->type.dtype))));
    }
    try {
      builder_.output(info.name(), var_of(*value));
    } catch (const Error& error) {
      throw Error(place, error.diagnostic().message);
    }
  }
}

}  // namespace

Model import_model(std::shared_ptr<onnx::ModelProto> model, const std::string& file,
                   const std::string& folder, const LoadLimits& limits) {
  return Importer(std::move(model), file, folder, limits).run();
}

}  // namespace weir::onnx_format
