#include "compiler/frontend/onnx/op_table.h"

#include <algorithm>
#include <map>
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

struct Row {
  int first = kAnyOpset;  // the first opset that is read
  std::string becomes;
};

}  // namespace

std::string onnx_op_table() {
  std::map<std::string_view, Row> rows;
  const ConverterTable& table = onnx_format::converter_table();
  for (const Converter& converter : table.converters) {
    Row& row = rows[converter.op];
    row.first = std::min(row.first, converter.first);
    row.becomes = "other ops";
  }
  for (const auto& op : all_ops()) {
    if (op->onnx.name.empty()) continue;
    auto row = rows.find(op->onnx.name);
    if (row == rows.end() && !op->onnx.is_direct()) continue;
    if (row == rows.end()) row = rows.emplace(op->onnx.name, Row{}).first;
    if (op->onnx.is_direct()) row->second.first = std::min(row->second.first, op->onnx.since);
    row->second.becomes = fmt::format("`{}`", op->name);
  }
  // A branch needs graphs, which the importer has and converters have not.
  rows.emplace("If", Row{1, "the branch taken, or `select`"});

  std::string text = "| op | opsets | becomes |\n|---|---|---|\n";
  for (const auto& [op, row] : rows)
    text += fmt::format("| {} | {} and later | {} |\n", op,
                        std::max(row.first, onnx_format::kFirstOpset), row.becomes);
  std::map<std::string_view, std::string_view> lacking;
  for (const auto& op : table.lacking)
    if (!rows.contains(op.op)) lacking.emplace(op.op, op.reason);
  text += "\n| op | not read, because |\n|---|---|\n";
  for (const auto& [op, reason] : lacking) text += fmt::format("| {} | {} |\n", op, reason);
  return text;
}

}  // namespace weir
