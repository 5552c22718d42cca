#include "compiler/frontend/onnx/shortfalls.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

namespace weir::onnx_format {
namespace {

constexpr std::size_t kShownRows = 20;

}  // namespace

void Shortfalls::add(std::string what, std::string name, std::string reason) {
  auto [entry, is_new] = rows_.try_emplace({std::move(what), std::move(reason)},
                                           Row{rows_.size(), std::move(name), 0});
  ++entry->second.count;
}

Unsupported Shortfalls::error(const Location& model) const {
  std::vector<std::pair<std::size_t, std::string>> lines;
  for (const auto& [key, row] : rows_) {
    std::string names =
        row.count == 1 ? row.name : fmt::format("{} and {} more", row.name, row.count - 1);
    lines.emplace_back(row.order, fmt::format("\n  {}: {}\n    {}", key.first, names, key.second));
  }
  std::sort(lines.begin(), lines.end());
  std::string text = "the model needs what Weir does not have:";
  for (std::size_t i = 0; i < lines.size() && i < kShownRows; ++i) text += lines[i].second;
  if (lines.size() > kShownRows)
    text += fmt::format("\n  and {} more of these", lines.size() - kShownRows);
  return Unsupported(model, text);
}

}  // namespace weir::onnx_format
