// Prints ir/builder_ops.h: one C++ function for each op of the registry, with its documentation.
//
//   Var leaky_relu(Operand x, Real negative_slope = 0.01);
//
// Operands come first and attributes follow, in the order of the declaration. An optional operand
// is an empty Var unless given. An op without operands takes the builder first and the source line
// last.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "ir/registry.h"

namespace {

using namespace weir;

using Presence = OperandSpec::Presence;

// Names that C++ keeps for itself get an underscore.
std::string identifier(const std::string& name) {
  constexpr std::array kReserved = {
      "and",    "asm",     "auto",   "bool",     "break",    "case",   "char",   "class",  "compl",
      "const",  "default", "delete", "do",       "double",   "else",   "enum",   "export", "extern",
      "false",  "float",   "for",    "friend",   "goto",     "if",     "inline", "int",    "long",
      "new",    "not",     "or",     "operator", "private",  "public", "return", "short",  "signed",
      "sizeof", "static",  "struct", "switch",   "template", "this",   "throw",  "true",   "try",
      "typeid", "union",   "using",  "virtual",  "void",     "while",  "xor"};
  bool reserved = std::find(kReserved.begin(), kReserved.end(), name) != kReserved.end();
  return reserved ? name + "_" : name;
}

std::string number(double value) {
  if (std::isinf(value))
    return fmt::format("{}std::numeric_limits<double>::infinity()", value < 0 ? "-" : "");
  return scalar::shortest(value);
}

std::string parameter_type(AttributeKind kind) {
  switch (kind) {
    case AttributeKind::integer:
      return "std::int64_t";
    case AttributeKind::real:
      return "Real";
    case AttributeKind::boolean:
      return "bool";
    case AttributeKind::integers:
      return "std::vector<std::int64_t>";
    case AttributeKind::dims:
      return "Shape";
    case AttributeKind::dtype:
      return "DType";
    case AttributeKind::text:
      return "std::string";
    case AttributeKind::tensor:
      return "Tensor";
  }
  return {};
}

std::string default_argument(const Attribute& value) {
  switch (kind(value)) {
    case AttributeKind::real:
      return number(std::get<double>(value));
    case AttributeKind::integers:
      return fmt::format("{{{}}}", fmt::join(std::get<std::vector<std::int64_t>>(value), ", "));
    case AttributeKind::dtype: {
      DType type = std::get<DType>(value);
      return fmt::format("DType::{}", type == DType::boolean ? "boolean" : name(type));
    }
    default:
      return to_string(value);
  }
}

std::string parameter(const AttributeSpec& attribute) {
  std::string text = parameter_type(attribute.kind) + " " + identifier(attribute.name);
  if (attribute.default_value) text += " = " + default_argument(*attribute.default_value);
  return text;
}

// The attribute's value, from the parameter.
std::string value_of(const AttributeSpec& attribute) {
  std::string name = identifier(attribute.name);
  switch (attribute.kind) {
    case AttributeKind::real:
      return name + ".value";
    case AttributeKind::tensor:
      return fmt::format("std::make_shared<const Tensor>(std::move({}))", name);
    case AttributeKind::integers:
    case AttributeKind::dims:
    case AttributeKind::text:
      return fmt::format("std::move({})", name);
    default:
      return name;
  }
}

std::string comment(const std::string& text) {
  std::string result, line;
  auto flush = [&] {
    result += "//" + line + "\n";
    line.clear();
  };
  for (std::size_t begin = 0; begin < text.size();) {
    std::size_t end = std::min(text.find(' ', begin), text.size());
    if (line.size() + (end - begin) > 97) flush();
    line += " " + text.substr(begin, end - begin);
    begin = end + 1;
  }
  flush();
  return result;
}

std::string documentation(const OpDef& op) {
  std::string result = comment(op.summary) + comment(op.semantics);
  for (const AttributeSpec& attribute : op.attributes)
    result += comment(fmt::format("{}: {}", identifier(attribute.name), attribute.summary));
  return result;
}

std::string attribute_list(const OpDef& op) {
  std::vector<std::string> items;
  for (const AttributeSpec& attribute : op.attributes)
    items.push_back(fmt::format("{{\"{}\", {}}}", attribute.name, value_of(attribute)));
  return fmt::format("{{{}}}", fmt::join(items, ", "));
}

// `operands` is what apply_op gets.
std::string definition(const OpDef& op, std::vector<std::string> parameters,
                       const std::string& operands) {
  for (const AttributeSpec& attribute : op.attributes) parameters.push_back(parameter(attribute));
  bool several = op.result_names.size() > 1;
  return fmt::format("inline {} {}({}) {{\n  return {}(\"{}\", {}, {});\n}}\n",
                     several ? "std::vector<Var>" : "Var", identifier(op.name),
                     fmt::join(parameters, ", "), several ? "apply_op_all" : "apply_op", op.name,
                     operands, attribute_list(op));
}

std::string source_definition(const OpDef& op) {
  std::vector<std::string> parameters{"GraphBuilder& builder"};
  for (const AttributeSpec& attribute : op.attributes) parameters.push_back(parameter(attribute));
  parameters.push_back("std::source_location where = std::source_location::current()");
  return fmt::format(
      "inline Var {}({}) {{\n  return builder.apply(\"{}\", {{}}, {}, Location(where));\n}}\n",
      identifier(op.name), fmt::join(parameters, ", "), op.name, attribute_list(op));
}

// Takes a braced list of Vars, or a vector made at run time.
std::string variadic_definitions(const OpDef& op) {
  std::string name = identifier(op.operands.front().name);
  std::string listed = definition(op, {"std::initializer_list<Operand> " + name},
                                  fmt::format("std::vector<Operand>({})", name));
  std::string made = definition(op, {fmt::format("const std::vector<Var>& {}", name)},
                                fmt::format("std::vector<Operand>({0}.begin(), {0}.end())", name));
  return listed + made;
}

std::string function(const OpDef& op) {
  std::string text = documentation(op);
  if (op.operands.empty()) return text + source_definition(op);
  if (op.operands.front().presence == Presence::variadic) return text + variadic_definitions(op);
  std::vector<std::string> parameters, names;
  for (const OperandSpec& operand : op.operands) {
    names.push_back(identifier(operand.name));
    bool optional = operand.presence == Presence::optional;
    parameters.push_back(fmt::format("Operand {}{}", names.back(), optional ? " = Var()" : ""));
  }
  return text + definition(op, parameters, fmt::format("{{{}}}", fmt::join(names, ", ")));
}

void generate() {
  // Guarded by name: `#pragma once` knows a file by its time too, which is another one where a
  // precompiled header with it comes from a compiler cache.
  std::fputs(
      "// The ops as C++ functions. Generated from the op registry (ir/ops/): do not edit.\n"
      "#ifndef WEIR_IR_BUILDER_OPS_H\n#define WEIR_IR_BUILDER_OPS_H\n\n"
      "#include <cstdint>\n#include <initializer_list>\n#include <limits>\n#include <memory>\n"
      "#include <source_location>\n#include <string>\n#include <utility>\n#include <vector>\n\n"
      "#include \"ir/builder.h\"\n\n"
      "namespace weir {\n\n",
      stdout);
  for (const auto& op : all_ops()) fmt::print("{}\n", function(*op));
  std::fputs("}  // namespace weir\n\n#endif\n", stdout);
}

}  // namespace

int main() {
  try {
    generate();
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
}
