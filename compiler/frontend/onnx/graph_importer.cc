#include "compiler/frontend/onnx/graph_importer.h"

#include <algorithm>

#include <fmt/format.h>
#include <onnx/onnx_pb.h>

#include "compiler/frontend/onnx/converters.h"
#include "compiler/frontend/onnx/element_type.h"
#include "compiler/frontend/onnx/export.h"
#include "compiler/frontend/onnx/fold_node.h"
#include "compiler/frontend/onnx/later_fields.h"
#include "compiler/frontend/onnx/sparse_tensor.h"
#include "compiler/frontend/onnx/tensor_proto.h"
#include "ir/escape.h"
#include "ir/notes.h"

namespace weir::onnx_format {
namespace {

// A known tensor of more elements is a param rather than a constant: it is data, not text.
constexpr std::int64_t kLargestConstant = 64;

std::string shown_op(const onnx::NodeProto& node) {
  std::string domain = domain_of(node.domain());
  std::string op = printable(node.op_type().substr(0, 80));
  return domain.empty() ? op : fmt::format("{}.{}", printable(domain.substr(0, 80)), op);
}

}  // namespace

std::string domain_of(const std::string& domain) { return domain == "ai.onnx" ? "" : domain; }

GraphImporter::GraphImporter(std::shared_ptr<const onnx::ModelProto> model,
                             std::shared_ptr<const std::string> file, ExternalFiles& files,
                             const LoadLimits& limits)
    : model_(std::move(model)),
      file_(std::move(file)),
      files_(files),
      limits_(limits),
      builder_(model_->graph().name().empty() ? "main" : model_->graph().name()) {
  for (const onnx::FunctionProto& function : model_->functions()) {
    std::string key = function_key(function.domain(), function.name(), overload(function));
    if (!functions_.emplace(std::move(key), &function).second)
      throw Error(location({}), fmt::format("there are two functions named {}",
                                            in_quotes(function.name().substr(0, 80))));
  }
}

void GraphImporter::set_location(const Location& location) {
  builder_.set_location(location);
  builder_.pin_location(location);
}

Location GraphImporter::location(std::string note) const {
  Location result(file_, 0, 0);
  result.note = std::move(note);
  return result;
}

// --- Values ------------------------------------------------------------------

void GraphImporter::add_initializers(const onnx::GraphProto& graph, Scope& scope) {
  add_initializers(graph, scope, model_);
}

void GraphImporter::add_initializers(const onnx::GraphProto& graph, Scope& scope,
                                     const std::shared_ptr<const void>& owner) {
  auto file = [this](const std::string& path) { return files_.open(path); };
  for (const onnx::TensorProto& proto : graph.initializer())
    add_initializer(proto, proto.name(), scope, owner,
                    [&] { return tensor_of(proto, file, owner); });
  for (const onnx::SparseTensorProto& proto : graph.sparse_initializer())
    add_initializer(proto, proto.values().name(), scope, owner,
                    [&] { return dense_tensor_of(proto); });
}

template <class Proto, class Read>
void GraphImporter::add_initializer(const Proto& proto, const std::string& own_name, Scope& scope,
                                    const std::shared_ptr<const void>& owner, const Read& read) {
  std::string name = fmt::format("initializer {}", in_quotes(own_name));
  Location place = location(name + " in");
  if (own_name.empty()) throw Error(place, "an initializer has no name");
  auto value = std::make_shared<ImportedValue>();
  value->location = place;
  try {
    bool is_kept = owner == model_;
    if (auto found = constants_.find(&proto); is_kept && found != constants_.end())
      value->tensor = found->second.front();
    else
      value->tensor = std::make_shared<const Tensor>(read());
    if (is_kept) constants_.insert({&proto, {value->tensor}});
    value->type = value->tensor->type();
    if (is_float(value->type.dtype) || value->tensor->element_count() > kLargestConstant)
      value->param_name = own_name;
  } catch (const Unsupported& error) {
    lack(*value, name, error);
  } catch (const Error& error) {
    throw Error(place, error.diagnostic().message);
  }
  if (!scope.add(own_name, std::move(value)))
    throw Error(place, "there are two initializers of this name");
}

Var GraphImporter::var_of(ImportedValue& value) {
  if (value.var.valid()) return value.var;
  if (value.elements) {
    value.var = var_of_elements(*value.elements);
  } else if (value.param_name.empty()) {
    value.var = builder_.apply("constant", {}, {{"value", value.tensor}}, value.location);
  } else {
    std::string name = value.param_name;
    for (int& i = numbers_[name]; builder_.graph().find(name).valid();)
      name = fmt::format("{}_{}", value.param_name, ++i);
    value.var = Var(builder_, builder_.graph().add_param(name, value.type, value.location));
    weights_.emplace(name, *value.tensor);
  }
  return value.var;
}

// A polynomial in sizes. A dimension is never negative, so what is subtracted is a size of its own.
Var GraphImporter::var_of_size(const Dim& size, DType dtype) {
  Dim added = 0, subtracted = 0;
  for (const Dim::Term& term : size.terms()) {
    Dim product = term.coefficient;
    for (const Dim::Factor& factor : term.factors) product = product * Dim::of(factor);
    if (term.coefficient < 0)
      subtracted = subtracted - product;
    else
      added = added + product;
  }
  auto size_of = [&](const Dim& dim) {
    return builder_.apply("size_of", {}, {{"dims", Shape{dim}}, {"dtype", dtype}});
  };
  Var sum = size_of(added);
  return subtracted == Dim(0) ? sum : builder_.apply("sub", {sum, size_of(subtracted)});
}

// A tensor of sizes: each computed by itself, then joined.
Var GraphImporter::var_of_elements(const KnownTensor& elements) {
  std::vector<Var> parts;
  for (const KnownScalar& element : elements.elements) {
    Var size = var_of_size(*as_dim(elements.dtype, element), elements.dtype);
    parts.push_back(builder_.apply("reshape", {size}, {{"shape", Shape{1}}}));
  }
  Var list = parts.size() == 1 ? parts.front()
                               : builder_.apply("concat", parts, {{"axis", std::int64_t{0}}});
  Shape shape = elements.type().shape;
  return list.shape() == shape ? list : builder_.apply("reshape", {list}, {{"shape", shape}});
}

void GraphImporter::define(Scope& scope, const std::string& name, ValueRef value) {
  if (name.empty()) return;
  bool is_own = active_.empty() && branches_ == 0;
  if (is_own && value->var.valid()) builder_.graph().name_result(value->var.id(), name);
  if (!value->var.valid() && value->tensor && value->param_name.empty() &&
      value->tensor->element_count() > kLargestConstant)
    value->param_name = name;
  scope.add(name, std::move(value));
}

void GraphImporter::lack(ImportedValue& value, const std::string& name, const Unsupported& error) {
  value.is_lacking = true;
  std::size_t kind = name.find(' ');
  shortfalls_.add(name.substr(0, kind), name.substr(kind + 1), error.diagnostic().message);
}

void GraphImporter::add_lacking(const onnx::NodeProto& node, Scope& scope) {
  auto lacking = std::make_shared<ImportedValue>();
  lacking->is_lacking = true;
  for (const std::string& output : node.output())
    if (!output.empty()) scope.add(output, lacking);
}

// --- Nodes -------------------------------------------------------------------

void GraphImporter::convert_nodes(const NodeList& nodes, Scope& scope, const Opsets& opsets) {
  convert_nodes(nodes, scope, Place{opsets, model_, {}, nullptr});
}

void GraphImporter::convert_nodes(const NodeList& nodes, Scope& scope, const Place& place) {
  node_count_ += nodes.size();
  if (node_count_ > limits_.nodes)
    throw Error(location({}),
                fmt::format("the model has more than {} nodes, with what its functions "
                            "stand for; --max-nodes sets this limit",
                            limits_.nodes));
  std::vector<int> order;
  try {
    order = node_order(nodes, scope);
  } catch (const Error& error) {
    throw Error(location({}), error.diagnostic().message);
  }
  for (int position : order) {
    const onnx::NodeProto& node = nodes[position];
    if (active_.empty() && branches_ == 0) current_ = &node;
    std::string name = node_name(node, position) + place.within;
    if (place.arguments == nullptr || !refers_to_arguments(node)) {
      convert_node(node, name, scope, place);
    } else {
      auto copy = std::make_shared<onnx::NodeProto>(node);
      substitute(*copy, *place.arguments);
      copied_bytes_ += static_cast<std::int64_t>(copy->ByteSizeLong());
      files_.check_with(copied_bytes_);
      convert_node(*copy, name, scope, {place.opsets, copy, place.within, place.arguments});
    }
  }
}

// Those that the documentation of a node of Weir's own begins with: "leaky_relu.grad, gradient of
// model.weir:3:8".
std::string_view GraphImporter::marks_of(const onnx::NodeProto& node) const {
  if (model_->producer_name() != kOnnxProducer) return {};
  std::string_view text = node.doc_string();
  std::size_t comma = text.find(", ");
  return comma == std::string_view::npos ? std::string_view()
                                         : weir::marks_of(text.substr(comma + 2));
}

void GraphImporter::convert_node(const onnx::NodeProto& node, const std::string& name, Scope& scope,
                                 const Place& place) {
  Location here = location(marked(marks_of(node), name + " in"));
  set_location(here);
  std::vector<ValueRef> inputs;
  bool is_lacking = false;
  for (const std::string& input : node.input()) {
    inputs.push_back(input.empty() ? nullptr : *scope.find(input));
    is_lacking = is_lacking || (inputs.back() != nullptr && inputs.back()->is_lacking);
  }
  if (is_lacking) return skip(node, name, scope, place);
  std::string domain = domain_of(node.domain());
  auto opset = place.opsets.find(domain);
  try {
    if (const onnx::FunctionProto* function = find_function(node)) {
      call_function(*function, node, inputs, name, scope, place);
    } else if (opset == place.opsets.end()) {
      throw Error(fmt::format("the model does not say which opset of the domain {} it uses",
                              domain.empty() ? "ai.onnx" : in_quotes(domain.substr(0, 80))));
    } else if (domain.empty() && node.op_type() == "If") {
      convert_if(node, inputs, scope, place);
    } else if (domain.empty()) {
      convert_op(node, std::move(inputs), opset->second, scope, place.owner);
    } else {
      throw Unsupported("Weir has the ops of the domain ai.onnx only");
    }
    check_types();
  } catch (const Unsupported& error) {
    if (const auto* asked = dynamic_cast<const NotKnown*>(&error); asked && not_known_) {
      // Inside a function or a branch, whatever the node around it reads may be what is meant.
      for (int i = 0; i < current_->input_size(); ++i)
        if (&node != current_ || static_cast<std::size_t>(i) == asked->input())
          not_known_(current_->input(i));
    }
    if (const auto* needed = dynamic_cast<const SizeNeeded*>(&error)) {
      std::int64_t& least = sizes_needed_[needed->symbol()];
      least = std::max(least, needed->least());
    }
    std::string what = shown_op(node);
    if (opset != place.opsets.end()) what += fmt::format(" of opset {}", opset->second);
    shortfalls_.add(std::move(what), name, error.diagnostic().message);
    add_lacking(node, scope);
  } catch (const Error& error) {
    if (error.diagnostic().location.known()) throw;
    throw Error(here, error.diagnostic().message);
  }
}

// Counts the types of the values that are new.
void GraphImporter::check_types() {
  const Graph& graph = builder_.graph();
  for (; checked_values_ < graph.value_count(); ++checked_values_)
    for (const Dim& dim : graph.type({checked_values_}).shape) {
      if (dim.is_constant()) continue;
      for (const Dim::Term& term : dim.terms()) {
        type_bytes_ += static_cast<std::int64_t>(sizeof term);
        for (const Dim::Factor& factor : term.factors)
          type_bytes_ += static_cast<std::int64_t>(sizeof factor + factor.text().size());
      }
    }
  if (type_bytes_ > most_type_bytes_)
    throw Error(
        fmt::format("the sizes in the types of the model's values take {} bytes up to here, "
                    "and at most {} are allowed for a file of this size; use fewer symbols",
                    type_bytes_, most_type_bytes_));
}

// A node that cannot be looked at; that its op is lacking too can be said.
void GraphImporter::skip(const onnx::NodeProto& node, const std::string& name, Scope& scope,
                         const Place& place) {
  add_lacking(node, scope);
  auto opset = place.opsets.find(domain_of(node.domain()));
  if (opset == place.opsets.end() || find_function(node) != nullptr || node.op_type() == "If")
    return;
  std::string lack = opset->first.empty() ? lack_of(node.op_type(), opset->second)
                                          : "Weir has the ops of the domain ai.onnx only";
  if (!lack.empty())
    shortfalls_.add(fmt::format("{} of opset {}", shown_op(node), opset->second), name, lack);
}

void GraphImporter::convert_op(const onnx::NodeProto& proto, std::vector<ValueRef> inputs,
                               int opset, Scope& scope, const std::shared_ptr<const void>& owner) {
  if (auto found = constants_.find(&proto); found != constants_.end() && owner == model_) {
    for (int i = 0; i < proto.output_size(); ++i)
      if (const auto& tensor = found->second[static_cast<std::size_t>(i)]) {
        auto value = std::make_shared<ImportedValue>();
        value->type = tensor->type();
        value->tensor = tensor;
        value->location = builder_.location();
        define(scope, proto.output(i), std::move(value));
      }
    return;
  }
  ConvertFunction convert = find_converter(proto.op_type(), opset);
  if (!convert) throw Unsupported(lack_of(proto.op_type(), opset));
  auto define_results = [&](std::span<const ValueRef> results) {
    for (int i = 0; i < proto.output_size(); ++i) {
      const std::string& name = proto.output(i);
      if (name.empty()) continue;
      ValueRef value = results[static_cast<std::size_t>(i)];
      if (value == nullptr) throw Error(fmt::format("{} has no output {}", proto.op_type(), i));
      if (!value->location.known()) value->location = builder_.location();
      define(scope, name, std::move(value));
    }
  };
  std::optional<std::vector<ValueRef>> folded;
  if (can_fold(inputs)) folded = fold_node(proto, opset, convert, inputs);
  bool is_complete =
      folded && std::all_of(folded->begin(), folded->end(), [](const ValueRef& value) {
        return value == nullptr || value->var.valid() || value->is_known();
      });
  if (is_complete) return define_results(*folded);
  Node node(proto, opset, builder_, *this, std::move(inputs), owner);
  convert(node);
  node.check_attributes();
  if (folded)
    for (std::size_t i = 0; i < folded->size(); ++i)
      if (const ValueRef& value = node.results()[i];
          value && (*folded)[i] && value->elements == nullptr)
        value->elements = (*folded)[i]->elements;
  define_results(node.results());
  if (proto.input_size() == 0 && owner == model_) keep_constants(proto, node.results());
}

void GraphImporter::keep_constants(const onnx::NodeProto& proto,
                                   std::span<const ValueRef> results) {
  Tensors tensors;
  for (const ValueRef& value : results) {
    if (value != nullptr && value->tensor == nullptr) return;
    tensors.push_back(value == nullptr ? nullptr : value->tensor);
  }
  constants_.insert({&proto, std::move(tensors)});
}

}  // namespace weir::onnx_format
