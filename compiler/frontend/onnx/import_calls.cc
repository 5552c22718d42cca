// What of a graph importer writes out other graphs in a node's place: functions, and the branches
// of an If.
#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <onnx/onnx_pb.h>

#include "compiler/frontend/onnx/converters.h"
#include "compiler/frontend/onnx/graph_importer.h"
#include "compiler/frontend/onnx/later_fields.h"
#include "compiler/frontend/onnx/model_functions.h"
#include "compiler/frontend/onnx/unsupported.h"
#include "ir/escape.h"

namespace weir::onnx_format {
namespace {

// Calls within calls; deeper ones are no real model.
constexpr std::size_t kDeepestCall = 100;

}  // namespace

const onnx::FunctionProto* GraphImporter::find_function(const onnx::NodeProto& node) const {
  if (functions_.empty()) return nullptr;
  auto found = functions_.find(function_key(node.domain(), node.op_type(), overload(node)));
  return found == functions_.end() ? nullptr : found->second;
}

void GraphImporter::call_function(const onnx::FunctionProto& function, const onnx::NodeProto& node,
                                  const std::vector<ValueRef>& inputs, const std::string& name,
                                  Scope& scope, const Place& place) {
  std::string shown = in_quotes(function.name().substr(0, 80));
  if (std::find(active_.begin(), active_.end(), &function) != active_.end())
    throw Error(
        fmt::format("the function {} calls itself, at once or through others; functions are "
                    "written out where they are called, and this one has no end",
                    shown));
  if (active_.size() == kDeepestCall)
    throw Error(fmt::format("calls of functions are more than {} deep", kDeepestCall));
  if (node.input_size() > function.input_size() || node.output_size() > function.output_size())
    throw Error(fmt::format("it has {} inputs and {} outputs; the function {} has {} and {}",
                            node.input_size(), node.output_size(), shown, function.input_size(),
                            function.output_size()));
  Scope inner;
  for (int i = 0; i < function.input_size(); ++i) {
    auto k = static_cast<std::size_t>(i);
    if (!inner.add(function.input(i), k < inputs.size() ? inputs[k] : nullptr))
      throw Error(fmt::format("the function {} has two inputs of one name", shown));
  }
  std::vector<onnx::AttributeProto> defaults = default_attributes(function);
  Arguments arguments;
  for (const onnx::AttributeProto& attribute : defaults)
    arguments.insert_or_assign(attribute.name(), &attribute);
  std::set<std::string> declared(function.attribute().begin(), function.attribute().end());
  for (const onnx::AttributeProto& attribute : node.attribute()) {
    if (!declared.contains(attribute.name()) && !arguments.contains(attribute.name()))
      throw Error(fmt::format("the function {} has no attribute {}", shown,
                              in_quotes(attribute.name().substr(0, 80))));
    arguments.insert_or_assign(attribute.name(), &attribute);
  }
  Opsets opsets = place.opsets;
  for (const onnx::OperatorSetIdProto& opset : function.opset_import())
    opsets.insert_or_assign(domain_of(opset.domain()), checked_opset(opset.version()));

  active_.push_back(&function);
  convert_nodes(function.node(), inner, Place{opsets, model_, " of " + name, &arguments});
  active_.pop_back();
  for (int i = 0; i < node.output_size(); ++i) {
    const ValueRef* value = inner.find(function.output(i));
    if (value == nullptr || *value == nullptr)
      throw Error(fmt::format("the function {} computes no {}", shown,
                              in_quotes(function.output(i).substr(0, 80))));
    define(scope, node.output(i), *value);
  }
}

std::vector<ValueRef> GraphImporter::import_branch(const onnx::GraphProto& branch,
                                                   const Scope& scope, const Place& place) {
  if (branch.input_size() > 0) throw Error("a branch has inputs; it can only use values around it");
  Scope inner(&scope);
  ++branches_;
  add_initializers(branch, inner, place.owner);
  convert_nodes(branch.node(), inner, place);
  --branches_;
  std::vector<ValueRef> results;
  for (const onnx::ValueInfoProto& output : branch.output()) {
    const ValueRef* value = inner.find(output.name());
    if (value == nullptr || *value == nullptr)
      throw Error(fmt::format("a branch computes no {}", in_quotes(output.name().substr(0, 80))));
    results.push_back(*value);
  }
  return results;
}

void GraphImporter::convert_if(const onnx::NodeProto& node, const std::vector<ValueRef>& inputs,
                               Scope& scope, const Place& place) {
  const onnx::GraphProto* branches[2] = {nullptr, nullptr};
  for (const onnx::AttributeProto& attribute : node.attribute()) {
    if (attribute.name() == "then_branch" && attribute.has_g()) branches[0] = &attribute.g();
    if (attribute.name() == "else_branch" && attribute.has_g()) branches[1] = &attribute.g();
  }
  if (branches[0] == nullptr || branches[1] == nullptr || inputs.size() != 1 || !inputs[0])
    throw Error("it must have a condition, a then_branch and an else_branch");
  Location here = builder_.location();
  ImportedValue& condition = *inputs[0];
  if (condition.type.dtype != DType::boolean || element_count(condition.type.shape) != Dim(1))
    throw Error(fmt::format("its condition is {}; it must be one bool", to_string(condition.type)));
  std::vector<ValueRef> results;
  if (condition.tensor) {
    bool holds = scalar::as_bool(condition.tensor->bits(0));
    results = import_branch(*branches[holds ? 0 : 1], scope, place);
  } else {
    std::vector<ValueRef> taken = import_branch(*branches[0], scope, place);
    std::vector<ValueRef> other = import_branch(*branches[1], scope, place);
    if (taken.size() != other.size()) throw Error("its branches have different numbers of outputs");
    set_location(here);
    Var choice = var_of(condition);
    if (!choice.shape().empty()) choice = builder_.apply("reshape", {choice}, {{"shape", Shape{}}});
    for (std::size_t i = 0; i < taken.size(); ++i) {
      auto result = std::make_shared<ImportedValue>();
      result->is_lacking = taken[i]->is_lacking || other[i]->is_lacking;
      if (!result->is_lacking) {
        if (taken[i]->type != other[i]->type)
          throw Unsupported(
              fmt::format("its branches give {} and {}, and the condition is not known "
                          "when the model is loaded; they must have one type",
                          to_string(taken[i]->type), to_string(other[i]->type)));
        result->var = builder_.apply("select", {choice, var_of(*taken[i]), var_of(*other[i])});
        result->type = result->var.type();
      }
      results.push_back(std::move(result));
    }
  }
  if (node.output_size() > static_cast<int>(results.size()))
    throw Error(
        fmt::format("it has {} outputs and its branches {}", node.output_size(), results.size()));
  for (int i = 0; i < node.output_size(); ++i)
    define(scope, node.output(i), results[static_cast<std::size_t>(i)]);
}

}  // namespace weir::onnx_format
