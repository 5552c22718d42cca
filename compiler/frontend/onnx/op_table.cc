#include "compiler/frontend/onnx/op_table.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>

#include <fmt/format.h>

#include "compiler/frontend/onnx/converters.h"
#include "ir/op.h"
#include "ir/registry.h"

namespace weir {
namespace {

using onnx_format::Converter;
using onnx_format::ConverterTable;
using onnx_format::kAnyOpset;

constexpr std::string_view kOtherOps = "other ops";

struct Row {
  int first = kAnyOpset;  // the first opset that is read
  std::string becomes;
};

std::string cases_of(const OnnxCaseCounts& cases, std::string_view op) {
  auto found = cases.find(op);
  return found == cases.end() ? "none has it"
                              : fmt::format("{} of {}", found->second.passed, found->second.all);
}

// A count at the end of a line, taken off it; nothing if there is none.
std::optional<std::int64_t> take_count(std::string_view& line) {
  std::size_t space = line.rfind(' ');
  if (space == std::string_view::npos) return std::nullopt;
  std::int64_t count = 0;
  auto [end, fault] = std::from_chars(line.data() + space + 1, line.data() + line.size(), count);
  if (fault != std::errc() || end != line.data() + line.size() || count < 0) return std::nullopt;
  line = line.substr(0, space);
  return count;
}

}  // namespace

OnnxCaseCounts read_case_counts(const FileBytes& file) {
  OnnxCaseCounts counts;
  std::string_view text = file.text();
  for (int number = 1; !text.empty(); ++number) {
    std::string_view line = text.substr(0, text.find('\n')), rest = line;
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    std::optional<std::int64_t> all = take_count(rest), passed = take_count(rest);
    if (!all || !passed || *passed > *all || rest.empty() ||
        !counts.emplace(rest, OnnxCases{*passed, *all}).second)
      throw Error(Location(std::make_shared<const std::string>(file.name), number, 1),
                  fmt::format("{} is not OP PASSED ALL: an op of which no line before says "
                              "anything, the number of cases that pass and of all that have it",
                              shown(line)));
  }
  return counts;
}

std::string onnx_op_table(const OnnxCaseCounts& cases) {
  std::map<std::string_view, Row> rows;
  const ConverterTable& table = onnx_format::converter_table();
  for (const Converter& converter : table.converters) {
    Row& row = rows[converter.op];
    row.first = std::min(row.first, converter.first);
    row.becomes = kOtherOps;
  }
  for (const auto& op : all_ops()) {
    if (op->onnx.name.empty()) continue;
    auto row = rows.find(op->onnx.name);
    if (row == rows.end() && !op->onnx.is_direct()) continue;
    if (row == rows.end()) row = rows.emplace(op->onnx.name, Row{}).first;
    if (op->onnx.is_direct()) row->second.first = std::min(row->second.first, op->onnx.since);
    std::string& becomes = row->second.becomes;
    bool first = becomes.empty() || becomes == kOtherOps;
    becomes = first ? fmt::format("`{}`", op->name) : fmt::format("{}, `{}`", becomes, op->name);
  }
  // A branch needs graphs, which the importer has and converters have not.
  rows.emplace("If", Row{1, "the branch taken, or `select`"});

  std::string text = cases.empty()
                         ? "| op | opsets | becomes |\n|---|---|---|\n"
                         : "| op | opsets | becomes | cases passed |\n|---|---|---|---|\n";
  for (const auto& [op, row] : rows) {
    text += fmt::format("| {} | {} and later | {} |", op,
                        std::max(row.first, onnx_format::kFirstOpset), row.becomes);
    text += cases.empty() ? "\n" : fmt::format(" {} |\n", cases_of(cases, op));
  }
  std::map<std::string_view, std::string_view> lacking;
  for (const auto& op : table.lacking)
    if (!rows.contains(op.op)) lacking.emplace(op.op, op.reason);
  text += "\n| op | not read, because |\n|---|---|\n";
  for (const auto& [op, reason] : lacking) text += fmt::format("| {} | {} |\n", op, reason);
  return text;
}

}  // namespace weir
