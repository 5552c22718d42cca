#include "compiler/frontend/onnx/symbol_names.h"

#include <algorithm>
#include <array>
#include <string_view>

#include <fmt/format.h>

#include "ir/escape.h"

namespace weir::onnx_format {
namespace {

constexpr std::array<std::string_view, 4> kNoName{"", "?", "None", "-1"};
constexpr std::size_t kLongestName = 64;

std::string identifier(std::string_view text) {
  std::string result;
  for (char c : text.substr(0, kLongestName)) result += is_identifier_part(c) ? c : '_';
  if (result.empty() || !is_identifier_start(result.front())) result.insert(0, "_");
  return result;
}

}  // namespace

std::string SymbolNames::unique(const std::string& wanted) {
  if (taken_.insert(wanted).second) return wanted;
  for (std::int64_t& i = next_suffix_.try_emplace(wanted, 1).first->second;; ++i) {
    std::string name = fmt::format("{}_{}", wanted, i);
    if (taken_.insert(name).second) return name;
  }
}

Dim SymbolNames::symbol(const std::string& name, const std::string& input, int axis) {
  if (std::find(kNoName.begin(), kNoName.end(), name) != kNoName.end())
    return Dim::symbol(unique(fmt::format("{}_{}", identifier(input), axis)));
  auto [entry, is_new] = identifiers_.try_emplace(name);
  if (is_new) entry->second = unique(identifier(name));
  return Dim::symbol(entry->second);
}

}  // namespace weir::onnx_format
