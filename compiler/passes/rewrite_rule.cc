#include "compiler/passes/rewrite_rule.h"

#include <algorithm>
#include <cctype>
#include <charconv>

#include <fmt/format.h>

#include "ir/registry.h"

namespace weir {
namespace {

// expression := variable | literal | name "(" expression ("," expression)* ")"
class Parser {
 public:
  Parser(std::string_view text, std::vector<std::string_view>& variables)
      : text_(text), variables_(variables) {}

  Pattern parse() {
    Pattern result = expression();
    WEIR_CHECK(text_.empty(), std::string(text_));
    return result;
  }

 private:
  Pattern expression() {
    std::string_view word = take_word();
    WEIR_CHECK(!word.empty(), std::string(text_));
    if (take("(")) return use(word);
    if (word == "K") return {Pattern::Kind::computed, 0, DType::f32, 0, nullptr, {}};
    if (word == "true" || word == "false") return literal(DType::boolean, word == "true" ? 1 : 0);
    if (std::isdigit(static_cast<unsigned char>(word.front())) || word.front() == '-' ||
        word == "inf")
      return number(word);
    auto found = std::find(variables_.begin(), variables_.end(), word);
    auto number = static_cast<std::size_t>(found - variables_.begin());
    if (found == variables_.end()) variables_.push_back(word);
    return {Pattern::Kind::variable, number, DType::f32, 0, nullptr, {}};
  }

  Pattern use(std::string_view name) {
    Pattern result{Pattern::Kind::op, 0, DType::f32, 0, &get_op(name), {}};
    do result.operands.push_back(expression());
    while (take(", "));
    WEIR_CHECK(take(")"), std::string(text_));
    return result;
  }

  static Pattern number(std::string_view word) {
    double value = 0;
    auto end = std::from_chars(word.data(), word.data() + word.size(), value).ptr;
    WEIR_CHECK(end == word.data() + word.size(), std::string(word));
    bool real = word.find_first_of(".i") != std::string_view::npos;
    return literal(real ? DType::f32 : DType::i32, value);
  }

  static Pattern literal(DType type, double value) {
    return {Pattern::Kind::literal, 0, type, value, nullptr, {}};
  }

  std::string_view take_word() {
    auto end = std::find_if_not(text_.begin(), text_.end(), [](unsigned char c) {
      return std::isalnum(c) || c == '_' || c == '.' || c == '-';
    });
    std::string_view word = text_.substr(0, static_cast<std::size_t>(end - text_.begin()));
    text_.remove_prefix(word.size());
    return word;
  }

  bool take(std::string_view token) {
    if (!text_.starts_with(token)) return false;
    text_.remove_prefix(token.size());
    return true;
  }

  std::string_view text_;
  std::vector<std::string_view>& variables_;
};

}  // namespace

std::optional<scalar::Bits> Pattern::bits(DType type) const {
  bool fits = literal_class == DType::boolean ? type == DType::boolean
              : literal_class == DType::i32   ? is_integer(type)
                                              : is_float(type);
  if (!fits) return std::nullopt;
  return scalar::bits_of(type, literal);
}

ParsedRule::ParsedRule(const RewriteRule& written) : rule(&written) {
  std::vector<std::string_view> variables;
  pattern = Parser(written.pattern, variables).parse();
  std::size_t known = variables.size();
  replacement = Parser(written.replacement, variables).parse();
  WEIR_CHECK(pattern.kind == Pattern::Kind::op && variables.size() == known,
             std::string(written.name));
}

}  // namespace weir
