// An op becomes a list of labelled paragraphs first; the terminal page and the Markdown section are
// two ways of setting the same list.
#include "ir/reference.h"

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "ir/registry.h"
#include "ir/scalar/print.h"

namespace weir {
namespace {

constexpr std::size_t kColumns = 80;
constexpr std::size_t kLabelColumns = 12;

// Lines under one label; with an empty label they belong to the paragraph before.
struct Paragraph {
  std::string label;
  std::vector<std::string> lines;
  bool code = false;
};

// "layer_norm(x, scale?, bias?) {axis = -1, epsilon = 1e-05}"
std::string signature(const OpDef& op) {
  std::vector<std::string> operands, attributes;
  for (const OperandSpec& operand : op.operands) {
    using enum OperandSpec::Presence;
    std::string_view mark = operand.presence == optional   ? "?"
                            : operand.presence == variadic ? "..."
                                                           : "";
    operands.push_back(fmt::format("{}{}", operand.name, mark));
  }
  for (const AttributeSpec& attribute : op.attributes)
    attributes.push_back(attribute.default_value ? fmt::format("{} = {}", attribute.name,
                                                               to_string(*attribute.default_value))
                                                 : attribute.name);
  std::string text = fmt::format("{}({})", op.name, fmt::join(operands, ", "));
  if (!attributes.empty()) text += fmt::format(" {{{}}}", fmt::join(attributes, ", "));
  return text;
}

// The pointwise expression on operands of their first admissible type and with default attributes,
// what it shares written once. The last operand of a gradient op is called g.
std::vector<std::string> expression(const OpDef& op, bool is_gradient) {
  std::vector<TensorType> types = example_types(op);
  Attributes attributes = example_attributes(op);
  scalar::Arena arena;
  scalar::Expr value = pointwise_expression(arena, {&op, types, attributes});
  scalar::Names names;
  names.argument = [&](std::uint32_t i) {
    return is_gradient && i + 1 == op.operands.size() ? std::string("g") : op.operands[i].name;
  };
  scalar::Id root = value.id();
  scalar::Listing listing = scalar::list(arena, {&root, 1}, names);
  std::vector<std::string> lines = std::move(listing.definitions);
  lines.push_back(listing.roots.front());
  return lines;
}

void add_meaning(std::vector<Paragraph>& page, const OpDef& op) {
  if (op.pointwise) {
    page.push_back({"Meaning", expression(op, false), true});
  } else if (op.is_movement) {
    page.push_back({"Meaning", {"An index map: kernels read through it where they can."}});
  } else if (op.comprehension && !op.operands.empty()) {
    page.push_back(
        {"Meaning", {"A fold over the reduced elements, in an order that the shape fixes."}});
  } else if (op.steps) {
    page.push_back(
        {"Meaning", {"Steps in order, each of which may read what stands in the result."}});
  } else if (op.composite) {
    page.push_back({"Meaning", {"A body written in other ops."}});
  }
}

// What becomes of a gradient that would pass an op which has none; empty if its operands are never
// of floating point.
std::string_view without_gradient(const OpDef& op) {
  std::vector<TensorType> types = example_types(op);
  if (std::none_of(types.begin(), types.end(),
                   [](const TensorType& type) { return is_float(type.dtype); }))
    return "";
  // Beside pointwise ops these are those along an axis.
  if (!op.pointwise)
    for (TensorType& type : types) type.shape = {1};
  Attributes attributes = example_attributes(op);
  return is_float(check_and_infer(op, types, attributes)[0].dtype)
             ? " Where one would pass, it is an error."
             : " What is made of its result counts as constant.";
}

void add_gradient(std::vector<Paragraph>& page, const OpDef& op) {
  switch (op.gradient.kind) {
    case GradientRule::Kind::none:
      page.push_back(
          {"Gradient", {fmt::format("None: {}.{}", op.gradient.reason, without_gradient(op))}});
      return;
    case GradientRule::Kind::stops:
      page.push_back({"Gradient", {"Zero: it stops here."}});
      return;
    case GradientRule::Kind::stated:
      page.push_back({"Gradient", {"By a rule of its own, in other ops."}});
      return;
    case GradientRule::Kind::derived:
      break;
  }
  if (!op.pointwise) {
    page.push_back({"Gradient", {"That of the body."}});
    return;
  }
  for (std::size_t i = 0; i < op.operands.size(); ++i) {
    const OpDef* gradient = gradient_op(op, i);
    if (!gradient) continue;
    page.push_back({"Gradient",
                    {fmt::format("{}, for {}; g is the gradient of the result:", gradient->name,
                                 op.operands[i].name)}});
    page.push_back({"", expression(*gradient, true), true});
  }
}

std::vector<std::string> operand_lines(const OpDef& op) {
  std::vector<std::string> lines;
  for (const OperandSpec& operand : op.operands) {
    using enum OperandSpec::Presence;
    std::string_view presence = operand.presence == optional   ? ", optional"
                                : operand.presence == variadic ? ", one or more"
                                                               : "";
    lines.push_back(fmt::format("{}: {}{}", operand.name, description(operand.types), presence));
  }
  return lines;
}

std::vector<std::string> attribute_lines(const OpDef& op) {
  std::vector<std::string> lines;
  for (const AttributeSpec& attribute : op.attributes) {
    std::string fallback = attribute.default_value
                               ? fmt::format(", {} by default", to_string(*attribute.default_value))
                               : ", required";
    lines.push_back(fmt::format("{}: {}{}. {}", attribute.name, description(attribute.kind),
                                fallback, attribute.summary));
  }
  return lines;
}

std::vector<Paragraph> paragraphs(const OpDef& op) {
  std::vector<Paragraph> page;
  add_meaning(page, op);
  page.push_back({"Semantics", {op.semantics}});
  if (!op.operands.empty()) page.push_back({"Operands", operand_lines(op)});
  if (op.targets) {
    const TargetRange& range = *op.targets;
    std::string ends = fmt::format("from {} to {}", range.least, range.most);
    if (range.ends_alone) ends = fmt::format("{} and {} alone", range.least, range.most);
    if (range.most == std::numeric_limits<double>::max()) ends = "finite numbers";
    page.push_back(
        {"Targets",
         {fmt::format("Where they are floats: {}. `weir train` refuses others.", ends)}});
  }
  if (op.result_names.size() > 1)
    page.push_back({"Results", {fmt::format("{}", fmt::join(op.result_names, ", "))}});
  if (!op.attributes.empty()) page.push_back({"Attributes", attribute_lines(op)});
  add_gradient(page, op);
  if (!op.onnx.name.empty()) page.push_back({"ONNX", {op.onnx.name}});
  return page;
}

// Breaks at spaces; every line after the first begins with `indent` spaces, and continuations with
// two more.
std::string wrapped(const std::string& text, std::size_t indent) {
  std::string result;
  std::size_t column = indent;
  for (std::size_t begin = 0; begin < text.size();) {
    std::size_t end = std::min(text.find(' ', begin), text.size());
    if (begin > 0 && column + 1 + (end - begin) > kColumns) {
      result += "\n" + std::string(indent + 2, ' ');
      column = indent + 2;
    } else if (begin > 0) {
      result += " ";
      ++column;
    }
    result += text.substr(begin, end - begin);
    column += end - begin;
    begin = end + 1;
  }
  return result;
}

// The families, in order of declaration.
std::vector<std::string> families() {
  std::vector<std::string> result;
  for (const auto& op : all_ops())
    if (std::find(result.begin(), result.end(), op->family) == result.end())
      result.push_back(op->family);
  return result;
}

std::string markdown(const Paragraph& paragraph) {
  std::string text;
  if (paragraph.code) {
    if (!paragraph.label.empty()) text += fmt::format("- **{}**\n", paragraph.label);
    return text + fmt::format("  ```\n  {}\n  ```\n", fmt::join(paragraph.lines, "\n  "));
  }
  if (paragraph.lines.size() == 1)
    return fmt::format("- **{}** {}\n", paragraph.label, paragraph.lines.front());
  return fmt::format("- **{}**\n  - {}\n", paragraph.label, fmt::join(paragraph.lines, "\n  - "));
}

std::string markdown_section(const OpDef& op) {
  std::string text = fmt::format("### {}\n\n`{}`: {}\n\n", op.name, signature(op), op.summary);
  for (const Paragraph& paragraph : paragraphs(op)) text += markdown(paragraph);
  return text + "\n";
}

}  // namespace

std::string op_page(const OpDef& op) {
  std::string text = wrapped(signature(op), 0) + "\n" + wrapped(op.summary, 0) + "\n\n";
  for (const Paragraph& paragraph : paragraphs(op)) {
    std::string label = paragraph.label;
    for (const std::string& line : paragraph.lines)
      text += fmt::format("{:<{}}{}\n", std::exchange(label, ""), kLabelColumns,
                          wrapped(line, kLabelColumns));
  }
  return text;
}

std::string op_list() {
  std::size_t width = 0;
  for (const auto& op : all_ops()) width = std::max(width, op->name.size());
  std::string text;
  for (const std::string& family : families()) {
    text += fmt::format("{}{}\n", text.empty() ? "" : "\n", family);
    for (const auto& op : all_ops())
      if (op->family == family)
        text += fmt::format("  {:<{}}  {}\n", op->name, width, wrapped(op->summary, width + 4));
  }
  return text;
}

std::string markdown_reference() {
  std::string text =
      "# Ops\n\n"
      "Written from the op registry by `weir ops --markdown`. Expressions are shown with the "
      "default "
      "attributes; where they share a part, it is named `t0`, `t1`, ... first.\n\n";
  for (const std::string& family : families()) {
    text += fmt::format("## {}\n\n", family);
    for (const auto& op : all_ops())
      if (op->family == family) text += markdown_section(*op);
  }
  return text;
}

}  // namespace weir
