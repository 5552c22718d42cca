#include "compiler/frontend/onnx/node.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <onnx/onnx_pb.h>

#include "compiler/frontend/onnx/tensor_proto.h"
#include "ir/escape.h"

namespace weir::onnx_format {
namespace {

using onnx::AttributeProto;

// Files older than the field leave it out.
AttributeProto::AttributeType kind_of(const AttributeProto& attribute) {
  if (attribute.type() != AttributeProto::UNDEFINED) return attribute.type();
  if (attribute.has_f()) return AttributeProto::FLOAT;
  if (attribute.has_i()) return AttributeProto::INT;
  if (attribute.has_s()) return AttributeProto::STRING;
  if (attribute.has_t()) return AttributeProto::TENSOR;
  if (attribute.has_g()) return AttributeProto::GRAPH;
  if (attribute.ints_size() > 0) return AttributeProto::INTS;
  if (attribute.floats_size() > 0) return AttributeProto::FLOATS;
  if (attribute.strings_size() > 0) return AttributeProto::STRINGS;
  return AttributeProto::UNDEFINED;
}

void check_kind(const AttributeProto& attribute, AttributeProto::AttributeType wanted,
                std::string_view description) {
  if (kind_of(attribute) != wanted)
    throw Error(fmt::format("the attribute {} must be {}", attribute.name(), description));
}

[[noreturn]] void missing(std::string_view name) {
  throw Error(fmt::format("the attribute {} is missing", name));
}

}  // namespace

Node::Node(const onnx::NodeProto& proto, int opset, GraphBuilder& builder, GraphValues& values,
           std::vector<ImportedValue*> inputs)
    : proto_(proto),
      opset_(opset),
      builder_(builder),
      values_(values),
      inputs_(std::move(inputs)),
      results_(static_cast<std::size_t>(proto.output_size())) {
  while (!inputs_.empty() && inputs_.back() == nullptr) inputs_.pop_back();
}

// --- Inputs ------------------------------------------------------------------

void Node::check_inputs(std::size_t least, std::size_t most) const {
  if (inputs_.size() < least || inputs_.size() > most) {
    std::string range = least == most               ? fmt::format("{}", least)
                        : most == std::string::npos ? fmt::format("at least {}", least)
                                                    : fmt::format("{} to {}", least, most);
    throw Error(fmt::format("it has {} inputs; {} {} right", inputs_.size(), range,
                            least == most && least == 1 ? "is" : "are"));
  }
  for (std::size_t i = 0; i < least; ++i)
    if (!has_input(i)) throw Error(fmt::format("input {} is left out; it is needed", i));
}

Var Node::input(std::size_t i) {
  if (!has_input(i)) throw Error(fmt::format("input {} is missing", i));
  return values_.var_of(*inputs_[i]);
}

std::vector<Var> Node::inputs() {
  std::vector<Var> vars;
  for (std::size_t i = 0; i < inputs_.size(); ++i) vars.push_back(input(i));
  return vars;
}

const TensorType& Node::type(std::size_t i) const {
  if (!has_input(i)) throw Error(fmt::format("input {} is missing", i));
  return inputs_[i]->type;
}

const Tensor* Node::known(std::size_t i) const {
  return has_input(i) ? inputs_[i]->tensor.get() : nullptr;
}

const Tensor& Node::constant(std::size_t i, std::string_view what) const {
  type(i);
  if (const Tensor* tensor = known(i)) return *tensor;
  throw Unsupported(
      fmt::format("its {} (input {}, {}) depends on the model's inputs; a static compiler needs to "
                  "know it when the model is loaded",
                  what, i, quoted(proto_.input(static_cast<int>(i)))));
}

std::vector<std::int64_t> Node::integers(std::size_t i, std::string_view what) const {
  const Tensor& tensor = constant(i, what);
  if (!is_integer(tensor.dtype()) || tensor.rank() > 1)
    throw Error(
        fmt::format("its {} is {}; it must be a list of integers", what, to_string(tensor.type())));
  std::vector<std::int64_t> result;
  for (std::int64_t k = 0; k < tensor.element_count(); ++k)
    result.push_back(scalar::to_integer(tensor.dtype(), tensor.bits(k)));
  return result;
}

double Node::number(std::size_t i, std::string_view what) const {
  const Tensor& tensor = constant(i, what);
  if (tensor.element_count() != 1 || tensor.dtype() == DType::boolean)
    throw Error(fmt::format("its {} is {}; it must be one number", what, to_string(tensor.type())));
  return scalar::to_double(tensor.dtype(), tensor.bits(0));
}

// --- Attributes --------------------------------------------------------------

const AttributeProto* Node::find(std::string_view name) {
  for (const AttributeProto& attribute : proto_.attribute()) {
    if (attribute.name() != name) continue;
    read_.emplace(name);
    return &attribute;
  }
  return nullptr;
}

bool Node::has(std::string_view name) { return find(name) != nullptr; }

std::int64_t Node::integer(std::string_view name, std::optional<std::int64_t> otherwise) {
  const AttributeProto* attribute = find(name);
  if (!attribute && !otherwise) missing(name);
  if (!attribute) return *otherwise;
  check_kind(*attribute, AttributeProto::INT, "an integer");
  return attribute->i();
}

bool Node::flag(std::string_view name, bool otherwise) {
  std::int64_t value = integer(name, otherwise ? 1 : 0);
  if (value != 0 && value != 1)
    throw Error(fmt::format("the attribute {} is {}; it must be 0 or 1", name, value));
  return value == 1;
}

double Node::real(std::string_view name, std::optional<double> otherwise) {
  const AttributeProto* attribute = find(name);
  if (!attribute && !otherwise) missing(name);
  if (!attribute) return *otherwise;
  check_kind(*attribute, AttributeProto::FLOAT, "a float");
  return Real(attribute->f()).value;
}

std::string Node::text(std::string_view name, std::optional<std::string> otherwise) {
  const AttributeProto* attribute = find(name);
  if (!attribute && !otherwise) missing(name);
  if (!attribute) return *otherwise;
  check_kind(*attribute, AttributeProto::STRING, "a string");
  return attribute->s();
}

std::optional<std::vector<std::int64_t>> Node::integers(std::string_view name) {
  const AttributeProto* attribute = find(name);
  if (!attribute) return std::nullopt;
  // An empty list of an old file has no kind.
  if (kind_of(*attribute) != AttributeProto::UNDEFINED)
    check_kind(*attribute, AttributeProto::INTS, "a list of integers");
  return std::vector<std::int64_t>(attribute->ints().begin(), attribute->ints().end());
}

std::optional<std::vector<double>> Node::reals(std::string_view name) {
  const AttributeProto* attribute = find(name);
  if (!attribute) return std::nullopt;
  if (kind_of(*attribute) != AttributeProto::UNDEFINED)
    check_kind(*attribute, AttributeProto::FLOATS, "a list of floats");
  std::vector<double> result;
  for (float value : attribute->floats()) result.push_back(Real(value).value);
  return result;
}

std::optional<Tensor> Node::tensor(std::string_view name) {
  const AttributeProto* attribute = find(name);
  if (!attribute) return std::nullopt;
  check_kind(*attribute, AttributeProto::TENSOR, "a tensor");
  try {
    return tensor_of(attribute->t());
  } catch (const Error& error) {
    throw Error(fmt::format("the attribute {}: {}", name, error.diagnostic().message));
  }
}

void Node::check_attributes() const {
  std::vector<std::string> unread;
  for (const AttributeProto& attribute : proto_.attribute())
    if (!read_.contains(attribute.name())) unread.push_back(quoted(attribute.name()));
  if (!unread.empty())
    throw Error(fmt::format("{} has no attribute {} in opset {}", printable(proto_.op_type()),
                            fmt::join(unread, ", "), opset_));
}

// --- Results -----------------------------------------------------------------

std::size_t Node::result_count() const {
  std::size_t count = results_.size();
  while (count > 0 && !wants(count - 1)) --count;
  return count;
}

bool Node::wants(std::size_t i) const {
  return i < results_.size() && !proto_.output(static_cast<int>(i)).empty();
}

Var Node::apply(std::string_view op, std::vector<Var> operands, Attributes attributes) {
  return builder_.apply(op, std::move(operands), std::move(attributes));
}

void Node::set(std::size_t i, Var value) {
  if (wants(i)) results_[i] = ImportedValue{value.type(), value, nullptr, {}, {}};
}

void Node::set(std::size_t i, Tensor known) {
  if (!wants(i)) return;
  TensorType type = known.type();
  results_[i] =
      ImportedValue{std::move(type), {}, std::make_shared<const Tensor>(std::move(known)), {}, {}};
}

void Node::pass(std::size_t i, std::size_t input) {
  type(input);
  if (wants(i)) results_[i] = *inputs_[input];
}

}  // namespace weir::onnx_format
