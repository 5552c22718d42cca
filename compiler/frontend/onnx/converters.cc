#include "compiler/frontend/onnx/converters.h"

#include <functional>
#include <unordered_map>

#include <fmt/format.h>

#include "compiler/frontend/onnx/element_type.h"
#include "ir/op.h"
#include "ir/registry.h"

namespace weir::onnx_format {
namespace {

// What stands in the table, and what the ops' declarations say, by ONNX name.
struct Index {
  std::unordered_multimap<std::string_view, Converter> converters;
  std::unordered_map<std::string_view, const OpDef*> declarations;

  std::unordered_map<std::string_view, std::string_view> lacking;

  Index() {
    const ConverterTable& table = converter_table();
    for (const Converter& converter : table.converters) converters.emplace(converter.op, converter);
    for (const LackingOp& op : table.lacking) lacking.emplace(op.op, op.reason);
    for (const auto& op : all_ops())
      if (op->onnx.is_direct()) declarations.emplace(op->onnx.name, op.get());
  }
};

const Index& index() {
  static const Index instance;
  return instance;
}

// The attribute of the node that stands for one of the declaration; nothing if it is left out.
std::optional<Attribute> attribute_of(Node& node, const AttributeSpec& spec) {
  if (!node.has(spec.onnx)) return std::nullopt;
  switch (spec.kind) {
    case AttributeKind::integer:
      return node.integer(spec.onnx);
    case AttributeKind::real:
      return node.real(spec.onnx);
    case AttributeKind::boolean:
      return node.flag(spec.onnx, false);
    case AttributeKind::integers:
      return *node.integers(spec.onnx);
    case AttributeKind::dtype:
      return require_dtype(node.integer(spec.onnx));
    case AttributeKind::text:
      return node.text(spec.onnx);
    case AttributeKind::tensor:
      return std::make_shared<const Tensor>(*node.tensor_attribute(spec.onnx));
    case AttributeKind::dims:
      break;
  }
  internal_error("an attribute with an ONNX name has a kind that ONNX has",
                 std::source_location::current(), spec.name);
}

void convert_directly(const OpDef& op, Node& node) {
  Attributes attributes;
  for (const AttributeSpec& spec : op.attributes) {
    if (spec.onnx.empty()) continue;
    if (std::optional<Attribute> value = attribute_of(node, spec)) {
      attributes.set(spec.name, std::move(*value));
    } else if (!spec.default_value) {
      throw Error(fmt::format("the attribute {} is missing", spec.onnx));
    }
  }
  std::vector<Var> results = node.builder().apply_all(op, node.inputs(), std::move(attributes));
  if (node.result_count() > results.size())
    throw Error(fmt::format("it has {} outputs; {} has {}", node.result_count(), op.onnx.name,
                            results.size()));
  for (std::size_t i = 0; i < results.size(); ++i) node.set(i, results[i]);
}

}  // namespace

ConvertFunction find_converter(std::string_view op, int opset) {
  auto [first, last] = index().converters.equal_range(op);
  for (auto entry = first; entry != last; ++entry)
    if (entry->second.first <= opset && opset <= entry->second.last) return entry->second.convert;
  auto declaration = index().declarations.find(op);
  if (declaration == index().declarations.end() || opset < declaration->second->onnx.since)
    return nullptr;
  return [&definition = *declaration->second](Node& node) { convert_directly(definition, node); };
}

const ConverterTable& converter_table() {
  static const ConverterTable instance = [] {
    ConverterTable table;
    add_activation_converters(table);
    add_arithmetic_converters(table);
    add_indexed_converters(table);
    add_loss_converters(table);
    add_matrix_converters(table);
    add_normalize_converters(table);
    add_part_converters(table);
    add_recurrent_converters(table);
    add_reduce_converters(table);
    add_shape_converters(table);
    add_softmax_converters(table);
    add_resize_converters(table);
    add_signal_converters(table);
    add_source_converters(table);
    add_window_converters(table);
    add_lacking_ops(table);
    return table;
  }();
  return instance;
}

std::string lack_of(std::string_view op, int opset) {
  if (find_converter(op, opset)) return {};
  auto reason = index().lacking.find(op);
  if (reason != index().lacking.end()) return std::string(reason->second);
  if (index().converters.contains(op) || index().declarations.contains(op))
    return "this opset has no such op, or one of another form";
  return "there is no such op";
}

int checked_opset(std::int64_t version) {
  if (version < 1 || version >= kAnyOpset)
    throw Error(fmt::format("there is no opset {}", version));
  return static_cast<int>(version);
}

}  // namespace weir::onnx_format
