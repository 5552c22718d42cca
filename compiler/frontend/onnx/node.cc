#include "compiler/frontend/onnx/node.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <onnx/onnx_pb.h>

#include "compiler/frontend/onnx/sparse_tensor.h"
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
           std::vector<ValueRef> inputs, std::shared_ptr<const void> owner)
    : proto_(proto),
      opset_(opset),
      builder_(builder),
      values_(values),
      inputs_(std::move(inputs)),
      owner_(std::move(owner)),
      results_(static_cast<std::size_t>(proto.output_size())) {
  while (!inputs_.empty() && inputs_.back() == nullptr) inputs_.pop_back();
}

// --- Inputs ------------------------------------------------------------------

void Node::check_inputs(std::size_t least, std::size_t most) const {
  if (inputs_.size() < least || inputs_.size() > most) {
    std::string range = least == most               ? fmt::format("{}", least)
                        : most == std::string::npos ? fmt::format("at least {}", least)
                                                    : fmt::format("{} to {}", least, most);
    throw Error(fmt::format("it has {} inputs, and must have {}", inputs_.size(), range));
  }
  for (std::size_t i = 0; i < least; ++i)
    if (!has_input(i)) throw Error(fmt::format("input {} is left out, and is needed", i));
}

Var Node::input(std::size_t i) {
  type(i);
  return values_.var_of(*inputs_[i]);
}

Var Node::wide_input(std::size_t i) {
  const DType type = dtype(i);
  return type == DType::f16 || type == DType::bf16 ? cast(input(i), DType::f32) : input(i);
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

void Node::refuse_unknown(std::size_t i, std::string_view what) const {
  if (inputs_[i]->elements)
    for (const KnownScalar& element : inputs_[i]->elements->elements)
      if (const auto* unknown = std::get_if<UnknownScalar>(&element); unknown && unknown->formula)
        throw NotKnown(
            i, fmt::format("its {}, {}, depends on {}, which is no polynomial in the "
                           "sizes of the inputs, nor one divided by an integer; give the "
                           "dimensions in it as numbers",
                           what, in_quotes(proto_.input(static_cast<int>(i))), *unknown->formula));
  throw NotKnown(
      i, fmt::format("its {}, {}, is computed when the model runs; a static compiler needs to "
                     "know it when the model is loaded",
                     what, in_quotes(proto_.input(static_cast<int>(i)))));
}

const Tensor* Node::tensor(std::size_t i) const {
  return has_input(i) ? inputs_[i]->tensor.get() : nullptr;
}

const Tensor& Node::tensor(std::size_t i, std::string_view what) const {
  type(i);
  if (const Tensor* known = tensor(i)) return *known;
  if (is_known(i))
    throw Unsupported(
        fmt::format("its {}, {}, depends on the sizes of the model's inputs; it has "
                    "to be a number when the model is loaded",
                    what, in_quotes(proto_.input(static_cast<int>(i)))));
  refuse_unknown(i, what);
}

Shape Node::dims(std::size_t i, std::string_view what) const {
  const TensorType& list = type(i);
  if (!is_integer(list.dtype) || list.rank() > 1)
    throw Error(fmt::format("its {} is {}; it must be a list of integers", what, to_string(list)));
  if (!is_known(i)) refuse_unknown(i, what);
  KnownTensor known =
      inputs_[i]->tensor ? known_tensor(*inputs_[i]->tensor) : *inputs_[i]->elements;
  Shape result;
  for (const KnownScalar& element : known.elements) result.push_back(*as_dim(known.dtype, element));
  return result;
}

std::vector<std::int64_t> Node::integers(std::size_t i, std::string_view what) const {
  std::vector<std::int64_t> result;
  for (const Dim& dim : dims(i, what)) {
    if (!dim.is_constant())
      throw Unsupported(
          fmt::format("its {} depends on the sizes of the model's inputs, as {}; it "
                      "has to be a number when the model is loaded",
                      what, dim.to_string()));
    result.push_back(dim.value());
  }
  return result;
}

double Node::number(std::size_t i, std::string_view what) const {
  const Tensor& known = tensor(i, what);
  if (known.element_count() != 1 || known.dtype() == DType::boolean)
    throw Error(fmt::format("its {} is {}; it must be one number", what, to_string(known.type())));
  return scalar::to_double(known.dtype(), known.bits(0));
}

std::int64_t Node::integer(std::size_t i, std::string_view what) const {
  const Tensor& known = tensor(i, what);
  if (known.element_count() != 1 || !is_integer(known.dtype()))
    throw Error(fmt::format("its {} is {}; it must be one integer", what, to_string(known.type())));
  return scalar::to_integer(known.dtype(), known.bits(0));
}

void Node::require_size(const Dim& size, std::int64_t least, const std::string& what) {
  Dim rest = size - Dim(least);
  std::vector<Dim::Term> terms = rest.terms();
  auto is_negative = [](const Dim::Term& term) { return term.coefficient < 0; };
  auto negative = std::find_if(terms.begin(), terms.end(), is_negative);
  if (negative == terms.end()) return;
  std::string message = fmt::format(
      "{} along an axis or a part of size {}, which may be shorter; declare the size as a number",
      what, size.to_string());
  // Only the constant, which is the last term, lacks: the first symbol alone can make up for it.
  auto is_symbol = [](const Dim::Term& term) {
    return term.factors.size() == 1 && term.factors.front().quotient() == nullptr;
  };
  auto decides = std::find_if(terms.begin(), terms.end(), is_symbol);
  if (!negative->factors.empty() || decides == terms.end()) throw Unsupported(message);
  std::int64_t lack = -1 - negative->coefficient;  // without overflow
  throw SizeNeeded(decides->factors.front().text(), lack / decides->coefficient + 1, message);
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

std::optional<std::vector<std::string>> Node::texts(std::string_view name) {
  const AttributeProto* attribute = find(name);
  if (!attribute) return std::nullopt;
  if (kind_of(*attribute) != AttributeProto::UNDEFINED)
    check_kind(*attribute, AttributeProto::STRINGS, "a list of strings");
  return std::vector<std::string>(attribute->strings().begin(), attribute->strings().end());
}

std::optional<Tensor> Node::tensor_attribute(std::string_view name) {
  const AttributeProto* attribute = find(name);
  if (!attribute) return std::nullopt;
  check_kind(*attribute, AttributeProto::TENSOR, "a tensor");
  try {
    return tensor_of(attribute->t(), {}, owner_);
  } catch (const Error& error) {
    throw Error(fmt::format("the attribute {}: {}", name, error.diagnostic().message));
  }
}

std::optional<Tensor> Node::sparse_attribute(std::string_view name) {
  const AttributeProto* attribute = find(name);
  if (!attribute) return std::nullopt;
  check_kind(*attribute, AttributeProto::SPARSE_TENSOR, "a sparse tensor");
  try {
    return dense_tensor_of(attribute->sparse_tensor());
  } catch (const Error& error) {
    throw Error(fmt::format("the attribute {}: {}", name, error.diagnostic().message));
  }
}

void Node::check_attributes() const {
  std::vector<std::string> unread;
  for (const AttributeProto& attribute : proto_.attribute())
    if (!read_.contains(attribute.name())) unread.push_back(in_quotes(attribute.name()));
  if (!unread.empty())
    throw Error(fmt::format("{} has no attribute {} in opset {}", printable(proto_.op_type()),
                            fmt::join(unread, ", "), opset_));
}

int Node::axis(std::int64_t axis, int rank) const {
  if (axis < -rank || axis >= rank)
    throw Error(rank == 0
                    ? fmt::format("the axis {} is none of a scalar", axis)
                    : fmt::format("the axis {} is not one of {} to {}", axis, -rank, rank - 1));
  return static_cast<int>(axis < 0 ? axis + rank : axis);
}

int Node::axis_attribute(int rank, std::optional<std::int64_t> otherwise, std::string_view name) {
  return axis(integer(name, otherwise), rank);
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

Var Node::reshaped(Var x, Shape shape) {
  return x.shape() == shape ? x : apply("reshape", {x}, {{"shape", std::move(shape)}});
}

Var Node::broadcast(Var x, Shape shape) {
  return x.shape() == shape ? x : apply("broadcast", {x}, {{"shape", std::move(shape)}});
}

Var Node::cast(Var x, DType type) {
  return x.dtype() == type ? x : apply("cast", {x}, {{"dtype", type}});
}

void Node::set(std::size_t i, Var value) {
  if (!wants(i)) return;
  results_[i] = std::make_shared<ImportedValue>();
  results_[i]->type = value.type();
  results_[i]->var = value;
}

void Node::set(std::size_t i, Tensor known) {
  if (!wants(i)) return;
  results_[i] = std::make_shared<ImportedValue>();
  results_[i]->type = known.type();
  results_[i]->tensor = std::make_shared<const Tensor>(std::move(known));
}

void Node::set(std::size_t i, KnownTensor known) {
  if (std::optional<Tensor> tensor = as_tensor(known)) return set(i, std::move(*tensor));
  if (!wants(i)) return;
  results_[i] = std::make_shared<ImportedValue>();
  results_[i]->type = known.type();
  results_[i]->elements = std::make_shared<const KnownTensor>(std::move(known));
}

void Node::pass(std::size_t i, std::size_t input) {
  type(input);
  if (wants(i)) results_[i] = inputs_[input];
}

}  // namespace weir::onnx_format
