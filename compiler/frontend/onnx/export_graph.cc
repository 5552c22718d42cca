#include "compiler/frontend/onnx/export_graph.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <optional>

#include <fmt/format.h>

#include "compiler/frontend/onnx/element_type.h"
#include "compiler/frontend/onnx/export_expression.h"
#include "compiler/frontend/onnx/export_nodes.h"
#include "ir/builder.h"
#include "ir/escape.h"
#include "ir/op.h"
#include "ir/verifier.h"

namespace weir {
namespace {

using Values = std::vector<OnnxValue>;

// A name and its type. A dimension that is not a number is named by its text: "N", "4*N + 1".
void write_value_info(const std::string& name, const TensorType& type, onnx::ValueInfoProto& out) {
  out.set_name(name);
  onnx::TypeProto::Tensor& tensor = *out.mutable_type()->mutable_tensor_type();
  tensor.set_elem_type(onnx_format::onnx_type_of(type.dtype));
  onnx::TensorShapeProto& shape = *tensor.mutable_shape();  // also where it has no dimensions
  for (const Dim& dim : type.shape) {
    if (dim.is_constant()) {
      shape.add_dim()->set_dim_value(dim.value());
    } else {
      shape.add_dim()->set_dim_param(dim.to_string());
    }
  }
}

bool is_exact_in_f32(double value) {
  return std::isnan(value) || static_cast<double>(static_cast<float>(value)) == value;
}

// The attributes that differ from their defaults, which ONNX has too, under their ONNX names.
// Nothing where one has no such name, or is a number that the f32 of ONNX cannot hold.
std::optional<Attributes> onnx_attributes(const OpInstance& instance) {
  bool wide = std::any_of(instance.operands.begin(), instance.operands.end(),
                          [](const TensorType& type) { return type.dtype == DType::f64; });
  Attributes result;
  for (const AttributeSpec& spec : instance.op->attributes) {
    const Attribute& value = *instance.attributes.find(spec.name);
    const double* real = std::get_if<double>(&value);
    if (real && wide && !is_exact_in_f32(*real)) return std::nullopt;
    if (spec.default_value && same(value, *spec.default_value)) continue;
    if (spec.onnx.empty()) return std::nullopt;
    result.set(spec.onnx, value);
  }
  return result;
}

// Whether the declared ONNX node has the very meaning. Of the pointwise ops those on f32 do: on
// integers ONNX leaves cases undefined that Weir defines; on f64 it does not have some activations,
// and runtimes have few; and on bool they have no Where. What is written by primitives instead is
// one node where it can be.
bool is_direct(const OpInstance& instance, std::span<const TensorType> results) {
  const OpDef& op = *instance.op;
  if (!op.onnx.is_direct() || op.onnx.since > kOnnxOpset) return false;
  if (!op.pointwise) return true;
  bool single = false;
  for (std::span<const TensorType> types : {instance.operands, results})
    for (const TensorType& type : types) {
      if (type.dtype != DType::f32 && type.dtype != DType::boolean) return false;
      single = single || type.dtype == DType::f32;
    }
  return single;
}

// The types that an op computes on where they are not those of its operands: f32 for f16 and bf16,
// and i32 for i8 and u8 where it adds many of them up.
std::vector<TensorType> wide_types(const OpInstance& instance,
                                   std::span<const TensorType> results) {
  std::vector<TensorType> types(instance.operands.begin(), instance.operands.end());
  if (instance.op->is_movement || instance.op->keeps_types) return types;
  bool adds_up = !instance.op->pointwise && results[0].dtype == DType::i32;
  for (TensorType& type : types)
    type.dtype = adds_up ? accumulator_type(type.dtype) : compute_type(type.dtype);
  return types;
}

class GraphWriter {
 public:
  GraphWriter(const Graph& graph, onnx::GraphProto& out)
      : graph_(graph),
        out_(out),
        nodes_(graph, out),
        names_(graph.value_count()),
        output_names_(graph.outputs().size()) {}

  void write() {
    out_.set_name(graph_.name());
    take_names();
    for (ValueId id : graph_.inputs())
      write_value_info(names_[id.index], graph_.type(id), *out_.add_input());
    for (ValueId id : graph_.params())
      if (graph_.is_updated(id))
        write_value_info(names_[id.index], graph_.type(id), *out_.add_input());
    for (const Node& node : graph_.nodes()) write_node(node);
    write_outputs();
  }

 private:
  // The interface first: its names stay whatever else has them.
  void take_names() {
    for (auto values : {graph_.inputs(), graph_.params()})
      for (ValueId id : values) {
        names_[id.index] = graph_.value(id).name;
        at(graph_.value(id).location, [&] { nodes_.reserve(names_[id.index]); });
      }
    for (bool is_next : {false, true})
      for (std::size_t i = 0; i < output_names_.size(); ++i)
        if (is_next_value(graph_.outputs()[i]) == is_next) take_output_name(i);
    for (const Node& node : graph_.nodes()) take_result_names(node);
  }

  // Whether the output has the name of the param that it updates, which is an input in ONNX.
  bool is_next_value(const Graph::Output& output) const {
    return output.updates.valid() && output.name == graph_.value(output.updates).name;
  }

  void take_output_name(std::size_t number) {
    const Graph::Output& output = graph_.outputs()[number];
    const Value& value = graph_.value(output.value);
    OnnxValue& name = names_[output.value.index];
    OnnxValue& taken = output_names_[number];
    if (is_next_value(output)) {
      taken = nodes_.unique_name(output.name + "_next");
    } else {
      taken = output.name;
      if (name == taken) return;  // an input or a param under its own name
      at(value.location, [&] {
        if (!nodes_.reserve(taken))
          throw Error(
              fmt::format("the output {} has the name of an input or param, which ONNX does "
                          "not allow; give it another one",
                          weir::in_quotes(taken)));
      });
    }
    if (name.empty() && (value.name.empty() || value.name == taken)) name = taken;
  }

  void take_result_names(const Node& node) {
    at(node.location, [&] {
      for (ValueId id : node.results) {
        OnnxValue& name = names_[id.index];
        if (!name.empty()) continue;
        const std::string& given = graph_.value(id).name;
        name = nodes_.unique_name(given.empty() ? node.op->name : given);
        write_value_info(name, graph_.type(id), *out_.add_value_info());
      }
    });
  }

  void write_node(const Node& node) {
    std::vector<TensorType> types = types_of(graph_, node.operands);
    Values operands;
    std::vector<std::string> names;
    for (ValueId id : node.operands) operands.push_back(names_[id.index]);
    for (ValueId id : node.results) names.push_back(names_[id.index]);
    nodes_.begin(documentation(node));
    at(node.location, [&] {
      try {
        std::vector<TensorType> results = types_of(graph_, node.results);
        nodes_.finish(values_of({node.op, types, node.attributes}, results, operands), names);
      } catch (const Error& error) {
        throw Error(fmt::format("{}: {}", node.op->name, error.diagnostic().message));
      }
    });
  }

  // "leaky_relu.grad, gradient of model.weir:3:8": folders are not part of it, so that the file
  // does not depend on where the model lies.
  static std::string documentation(const Node& node) {
    Location location = node.location;
    if (location.known())
      location.file = std::make_shared<const std::string>(
          std::filesystem::path(*location.file).filename().string());
    std::string place = printable(location.to_string());
    return place.empty() ? node.op->name : fmt::format("{}, {}", node.op->name, place);
  }

  Values values_of(const OpInstance& instance, std::span<const TensorType> results,
                   const Values& operands) {
    const OpDef& op = *instance.op;
    std::vector<TensorType> wide = wide_types(instance, results);
    if (!std::equal(wide.begin(), wide.end(), instance.operands.begin()))
      return widened(instance, wide, results, operands);
    if (op.to_onnx) {
      Values values = op.to_onnx(nodes_, instance, operands);
      if (!values.empty()) return values;
    } else if (is_direct(instance, results)) {
      if (std::optional<Attributes> attributes = onnx_attributes(instance))
        return nodes_.add_all(op.onnx.name, operands, *attributes, results.size());
    }
    if (op.composite_for(instance))
      return body_of(instance, operands,
                     [&op](auto&... arguments) { return composite_results(op, arguments...); });
    if (op.onnx_body) return body_of(instance, operands, op.onnx_body);
    if (op.pointwise) return {pointwise(instance, results[0], operands)};
    if (op.data) return {nodes_.add("Constant", {}, {{"value", op.data(instance.attributes)}})};
    throw Error("it has no form in ONNX");
  }

  // The instance on wider types, with conversions around it.
  Values widened(const OpInstance& instance, std::span<const TensorType> types,
                 std::span<const TensorType> results, const Values& operands) {
    Values inputs;
    for (std::size_t i = 0; i < operands.size(); ++i)
      inputs.push_back(types[i] == instance.operand(i) ? operands[i]
                                                       : cast(operands[i], types[i].dtype));
    std::vector<TensorType> wide_results(results.begin(), results.end());
    for (TensorType& type : wide_results) type.dtype = compute_type(type.dtype);
    Values values = values_of({instance.op, types, instance.attributes}, wide_results, inputs);
    for (std::size_t i = 0; i < values.size(); ++i)
      if (wide_results[i] != results[i]) values[i] = cast(values[i], results[i].dtype);
    return values;
  }

  OnnxValue cast(const OnnxValue& value, DType type) {
    return nodes_.add("Cast", {value}, {{"to", type}});
  }

  template <class Body>
  Values body_of(const OpInstance& instance, const Values& operands, const Body& write) {
    GraphBuilder builder;
    std::vector<Var> inputs;
    std::vector<OnnxValue> values;  // by number of the body's value
    for (std::size_t i = 0; i < operands.size(); ++i) {
      inputs.push_back(builder.input(fmt::format("operand{}", i), instance.operands[i].dtype,
                                     instance.operands[i].shape));
      values.push_back(operands[i]);
    }
    std::vector<Var> results = write(builder, inputs, instance.attributes);
    const Graph& body = builder.graph();
    values.resize(body.value_count());
    for (const Node& node : body.nodes()) {
      std::vector<TensorType> types = types_of(body, node.operands);
      Values inner;
      for (ValueId id : node.operands) inner.push_back(values[id.index]);
      Values made =
          values_of({node.op, types, node.attributes}, types_of(body, node.results), inner);
      for (std::size_t i = 0; i < made.size(); ++i) values[node.results[i].index] = made[i];
    }
    Values outputs;
    for (const Var& result : results) outputs.push_back(values[result.id().index]);
    return outputs;
  }

  OnnxValue pointwise(const OpInstance& instance, const TensorType& result,
                      const Values& operands) {
    scalar::Arena arena;
    scalar::Id root = pointwise_expression(arena, instance).id();
    // What the expression does not read cannot broadcast it.
    Shape shape;
    for (scalar::Id id : scalar::reachable(arena, std::array{root}))
      if (arena[id].primitive == scalar::Primitive::argument)
        shape = broadcast_shapes(shape, instance.operand(arena[id].payload).shape);
    OnnxValue value = write_expression(nodes_, arena, root, operands);
    if (shape == result.shape) return value;
    return nodes_.add("Expand", {value, nodes_.sizes(result.shape)});
  }

  void write_outputs() {
    for (std::size_t i = 0; i < output_names_.size(); ++i) {
      ValueId value = graph_.outputs()[i].value;
      if (names_[value.index] != output_names_[i]) {
        nodes_.begin("");
        nodes_.finish({names_[value.index]}, {output_names_[i]});
      }
      write_value_info(output_names_[i], graph_.type(value), *out_.add_output());
    }
  }

  // Does something whose errors are about this place.
  template <class Action>
  static void at(const Location& location, Action&& action) {
    try {
      action();
    } catch (const Error& error) {
      if (error.diagnostic().location.known()) throw;
      throw Error(location, error.diagnostic().message);
    }
  }

  const Graph& graph_;
  onnx::GraphProto& out_;
  OnnxNodeWriter nodes_;
  std::vector<OnnxValue> names_;         // by number of the value
  std::vector<OnnxValue> output_names_;  // by number of the output
};

}  // namespace

void write_graph(const Graph& graph, onnx::GraphProto& out) {
  check_graph(graph);
  GraphWriter(graph, out).write();
}

}  // namespace weir
