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

// Reads "4*N + 1" or "floordiv(N + 1, 2)" as a Dim of the names as they stand. Terms are joined by
// + and -, factors by *, with any spaces between. Nothing if the text is not of this form.
class FormulaReader {
 public:
  explicit FormulaReader(std::string_view text) : text_(text) {}

  std::optional<Dim> read() {
    std::optional<Dim> result = sum(0);
    skip_spaces();
    return at_ == text_.size() ? result : std::nullopt;
  }

 private:
  static constexpr int kDeepest = 64;

  void skip_spaces() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }

  bool accept(char c) {
    skip_spaces();
    bool found = at_ < text_.size() && text_[at_] == c;
    at_ += found ? 1 : 0;
    return found;
  }

  std::optional<std::int64_t> number() {
    skip_spaces();
    std::int64_t value = 0;
    auto [end, fault] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
    at_ = static_cast<std::size_t>(end - text_.data());
    return fault == std::errc() ? std::optional(value) : std::nullopt;
  }

  // What stands behind "floordiv(".
  std::optional<Dim> quotient(int depth) {
    std::optional<Dim> dividend = depth < kDeepest ? sum(depth + 1) : std::nullopt;
    if (!dividend || !accept(',')) return std::nullopt;
    std::optional<std::int64_t> divisor = number();
    if (!divisor || *divisor < 1 || !accept(')')) return std::nullopt;
    return floor_quotient(*dividend, *divisor);
  }

  std::optional<Dim> factor(int depth) {
    skip_spaces();
    if (at_ < text_.size() && is_digit(text_[at_])) return number();
    std::size_t start = at_;
    while (at_ < text_.size() && is_identifier_part(text_[at_])) ++at_;
    if (start == at_) return std::nullopt;
    std::string_view name = text_.substr(start, at_ - start);
    return name == "floordiv" && accept('(') ? quotient(depth) : Dim::symbol(name);
  }

  std::optional<Dim> sum(int depth) {
    Dim result;
    bool minus = accept('-');
    for (;;) {
      std::optional<Dim> product = factor(depth);
      while (product && accept('*')) {
        std::optional<Dim> next = factor(depth);
        product = next ? std::optional<Dim>(*product * *next) : std::nullopt;
      }
      if (!product) return std::nullopt;
      result = minus ? result - *product : result + *product;
      minus = accept('-');
      if (!minus && !accept('+')) return result;
    }
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

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
  std::optional<Dim> dim = FormulaReader(name).read();
  if (!dim) return std::nullopt;
  std::vector<std::string> symbols;
  dim->collect_symbols(symbols);
  auto is_unknown = [&](const std::string& symbol) {
    return !announced_.contains(symbol) && !named_.contains(symbol);
  };
  auto unknown = std::find_if(symbols.begin(), symbols.end(), is_unknown);
  if (symbols.empty() || std::count_if(symbols.begin(), symbols.end(), is_unknown) > 1)
    return std::nullopt;
  if (unknown != symbols.end() && degree_in(*dim, *unknown).value_or(2) > 1) return std::nullopt;
  return dim->substituted([&](const std::string& symbol) { return named(symbol); });
} catch (const Error&) {
  return std::nullopt;  // its numbers are beyond 64 bits
}

}  // namespace weir::onnx_format
