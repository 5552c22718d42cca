#include "compiler/frontend/onnx/symbol_names.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>
#include <system_error>
#include <vector>

#include <fmt/format.h>

#include "ir/diagnostic.h"
#include "ir/escape.h"

namespace weir::onnx_format {
namespace {

constexpr std::array<std::string_view, 4> kNoName{"", "?", "None", "-1"};
// With what may be appended to it, such as _minus_4, below the longest that the text form has.
constexpr std::size_t kLongestName = 40;
constexpr std::size_t kLongestFormula = 1024;

std::string identifier(std::string_view text) {
  std::string result;
  for (char c : text.substr(0, kLongestName)) result += is_identifier_part(c) ? c : '_';
  if (result.empty() || !is_identifier_start(result.front())) result.insert(0, "_");
  return result;
}

// "4*N + 1" as a Dim of the names as they stand; nothing if the text is not of this form. Terms are
// joined by + and -, factors by *, with any spaces between.
std::optional<Dim> parse_formula(std::string_view text) {
  std::size_t at = 0;
  auto skip_spaces = [&] {
    while (at < text.size() && text[at] == ' ') ++at;
  };
  auto accept = [&](char c) {
    skip_spaces();
    bool found = at < text.size() && text[at] == c;
    at += found ? 1 : 0;
    return found;
  };
  auto factor = [&]() -> std::optional<Dim> {
    skip_spaces();
    std::size_t start = at;
    if (at < text.size() && is_digit(text[at])) {
      std::int64_t number = 0;
      auto [end, fault] = std::from_chars(text.data() + at, text.data() + text.size(), number);
      at = static_cast<std::size_t>(end - text.data());
      return fault == std::errc() ? std::optional<Dim>(number) : std::nullopt;
    }
    while (at < text.size() && is_identifier_part(text[at])) ++at;
    if (start == at) return std::nullopt;
    return Dim::symbol(text.substr(start, at - start));
  };
  Dim sum;
  bool minus = accept('-');
  for (;;) {
    std::optional<Dim> product = factor();
    if (!product) return std::nullopt;
    while (accept('*')) {
      std::optional<Dim> next = factor();
      if (!next) return std::nullopt;
      product = *product * *next;
    }
    sum = minus ? sum - *product : sum + *product;
    skip_spaces();
    if (at == text.size()) return sum;
    minus = accept('-');
    if (!minus && !accept('+')) return std::nullopt;
  }
}

}  // namespace

void SymbolNames::announce(const std::string& name) { announced_.insert(name); }

std::string SymbolNames::unique(const std::string& wanted) {
  if (taken_.insert(wanted).second) return wanted;
  for (std::int64_t& i = next_suffix_.try_emplace(wanted, 1).first->second;; ++i) {
    std::string name = fmt::format("{}_{}", wanted, i);
    if (taken_.insert(name).second) return name;
  }
}

Dim SymbolNames::symbol(const std::string& name, const std::string& input, int axis) {
  if (std::find(kNoName.begin(), kNoName.end(), name) != kNoName.end())
    return at_least_minimum(unique(fmt::format("{}_{}", identifier(input), axis)));
  if (std::optional<Dim> dim = formula(name)) return *dim;
  return named(name);
}

Dim SymbolNames::named(const std::string& name) {
  auto [entry, is_new] = named_.try_emplace(name);
  if (is_new) entry->second = at_least_minimum(unique(identifier(name)));
  return entry->second;
}

Dim SymbolNames::at_least_minimum(const std::string& symbol) {
  auto minimum = minimums_.find(symbol);
  if (minimum == minimums_.end()) return Dim::symbol(symbol);
  std::string rest = unique(fmt::format("{}_minus_{}", symbol, minimum->second));
  original_.emplace(rest, symbol);
  return Dim::symbol(rest) + Dim(minimum->second);
}

void SymbolNames::raise(Minimums& minimums, const std::string& symbol, std::int64_t by) const {
  auto renamed = original_.find(symbol);
  std::int64_t& minimum = minimums[renamed == original_.end() ? symbol : renamed->second];
  if (__builtin_add_overflow(minimum, by, &minimum))
    throw Error("a size leaves 64 bits; use smaller ones");
}

std::optional<Dim> SymbolNames::formula(const std::string& name) try {
  if (is_identifier(name) || name.size() > kLongestFormula) return std::nullopt;
  std::optional<Dim> dim = parse_formula(name);
  if (!dim) return std::nullopt;
  std::vector<std::string> symbols;
  dim->collect_symbols(symbols);
  auto is_unknown = [&](const std::string& symbol) { return !announced_.contains(symbol); };
  auto unknown = std::find_if(symbols.begin(), symbols.end(), is_unknown);
  if (symbols.empty() || std::count_if(symbols.begin(), symbols.end(), is_unknown) > 1)
    return std::nullopt;
  Dim result;
  for (const Dim::Term& term : dim->terms()) {
    if (unknown != symbols.end() &&
        std::count(term.symbols.begin(), term.symbols.end(), *unknown) > 1)
      return std::nullopt;
    Dim product(term.coefficient);
    for (const std::string& symbol : term.symbols) product = product * named(symbol);
    result = result + product;
  }
  return result;
} catch (const Error&) {
  return std::nullopt;  // its numbers are beyond 64 bits
}

}  // namespace weir::onnx_format
