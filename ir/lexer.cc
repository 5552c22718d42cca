#include "ir/lexer.h"

#include <algorithm>
#include <climits>

#include <fmt/format.h>

#include "ir/escape.h"

namespace weir::text {
namespace {

bool is_hex_digit(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

}  // namespace

std::string shortened(std::string_view text) {
  constexpr std::size_t kLongest = 60;
  return weir::shortened(text, kLongest);
}

std::string describe(const Token& token) {
  if (token.kind == TokenKind::end) return "the end of the file";
  return fmt::format("'{}'", shortened(token.text));
}

std::string Token::name() const {
  std::string_view name = text;
  if (kind == TokenKind::value_name || kind == TokenKind::graph_name) name.remove_prefix(1);
  if (name.empty() || name.front() != '"') return std::string(name);
  return unquoted(name.substr(1, name.size() - 2));
}

bool Token::is_numbered() const {
  return kind == TokenKind::value_name && std::all_of(text.begin() + 1, text.end(), is_digit);
}

Lexer::Lexer(std::string_view text, std::string file_name)
    : file_(std::make_shared<const std::string>(std::move(file_name))) {
  if (text.size() > INT_MAX)
    throw Error(Location(file_, 0, 0),
                "the file is larger than 2 GB; keep large tensors in a weights file");
  source_ = std::make_shared<const std::string>(text);
  text_ = *source_;
  if (text.starts_with("\xEF\xBB\xBF")) position_ = 3;
  advance();
}

Token Lexer::take() {
  Token taken = token_;
  if (token_.kind != TokenKind::end) advance();
  return taken;
}

bool Lexer::take_if(std::string_view word) {
  if (!token_.is(word)) return false;
  advance();
  return true;
}

Token Lexer::expect(std::string_view word, std::string_view expected) {
  if (!token_.is(word)) fail_expected(expected);
  return take();
}

Token Lexer::expect(TokenKind kind, std::string_view expected) {
  if (token_.kind != kind) fail_expected(expected);
  return take();
}

void Lexer::fail(const Token& token, std::string message) const {
  throw Error(location(token), std::move(message));
}

void Lexer::fail_at(std::size_t position, std::string message) const {
  throw Error(Location(file_, line_, static_cast<int>(position - line_start_) + 1, source_),
              std::move(message));
}

void Lexer::fail_expected(std::string_view expected) const {
  fail(token_, fmt::format("expected {}, found {}", expected, describe(token_)));
}

void Lexer::skip_spaces() {
  for (; position_ < text_.size(); ++position_) {
    char c = text_[position_];
    if (c == '\n') {
      ++line_;
      line_start_ = position_ + 1;
    } else if (text_.substr(position_, 2) == "//") {
      std::size_t end = std::min(text_.find('\n', position_), text_.size());
      std::size_t zero = text_.substr(0, end).find('\0', position_);
      if (zero != std::string_view::npos)
        fail_at(zero, "a NUL byte; this is not a text file, or it is damaged");
      position_ = end - 1;
    } else if (c != ' ' && c != '\t' && c != '\r') {
      return;
    }
  }
}

std::size_t Lexer::scan_number(std::size_t from) const {
  std::size_t end = from;
  auto digits = [&] {
    std::size_t start = end;
    while (end < text_.size() && is_digit(text_[end])) ++end;
    return end > start;
  };
  auto at = [&](std::string_view set) {
    return end < text_.size() && set.find(text_[end]) != std::string_view::npos;
  };
  bool well_formed = digits();
  if (at(".")) {
    ++end;
    well_formed = digits() && well_formed;
  }
  if (at("eE")) {
    ++end;
    if (at("+-")) ++end;
    well_formed = digits() && well_formed;
  }
  if (end < text_.size() && is_identifier_part(text_[end])) {
    well_formed = false;
    while (end < text_.size() && is_identifier_part(text_[end])) ++end;
  }
  if (!well_formed)
    fail_at(from, fmt::format("'{}' is not a number; write one as 12, 0.5 or 1.5e-3",
                              shortened(text_.substr(from, end - from))));
  return end;
}

std::size_t Lexer::scan_string(std::size_t quote) const {
  std::size_t i = quote + 1;
  while (i < text_.size() && text_[i] != '"' && text_[i] != '\n') {
    if (text_[i] == '\\') {
      char escape = i + 1 < text_.size() ? text_[i + 1] : ' ';
      bool hex = escape == 'x' && i + 3 < text_.size() && is_hex_digit(text_[i + 2]) &&
                 is_hex_digit(text_[i + 3]);
      if (!hex && std::string_view("ntr\"\\").find(escape) == std::string_view::npos)
        fail_at(i, "an unknown escape; there are \\\", \\\\, \\n, \\t, \\r and \\xNN");
      i += hex ? 4 : 2;
      continue;
    }
    std::size_t length = utf8_length(text_, i);
    auto byte = static_cast<unsigned char>(text_[i]);
    if (length == 0)
      fail_at(i, fmt::format("byte 0x{:02x} is not UTF-8; write it as \\x{:02x}", byte, byte));
    if (byte < 0x20 && byte != '\t')
      fail_at(i, fmt::format("a control character in a string; write it as \\x{:02x}", byte));
    i += length;
  }
  if (i >= text_.size() || text_[i] != '"')
    fail_at(
        quote,
        "the string does not end on its line; close it with '\"', and write line breaks as \\n");
  return i + 1;
}

std::size_t Lexer::scan_name(std::size_t sigil) const {
  char mark = text_[sigil];
  std::size_t end = sigil + 1;
  if (end < text_.size() && text_[end] == '"') {
    end = scan_string(end);
    if (end == sigil + 3 && mark == '%') fail_at(sigil, "a value's name cannot be empty");
    return end;
  }
  while (end < text_.size() && is_name_part(text_[end])) ++end;
  if (end == sigil + 1)
    fail_at(sigil, fmt::format("expected a name after '{}': letters, digits, '_', '.', '-', or any "
                               "text in quotes",
                               mark));
  return end;
}

// The end of the token that starts at position_.
std::size_t Lexer::scan(TokenKind& kind) const {
  char c = text_[position_];
  if (is_identifier_start(c)) {
    kind = TokenKind::identifier;
    std::size_t end = position_;
    while (end < text_.size() && is_identifier_part(text_[end])) ++end;
    return end;
  }
  if (is_digit(c)) {
    std::size_t end = scan_number(position_);
    std::string_view number = text_.substr(position_, end - position_);
    kind = number.find_first_of(".eE") == std::string_view::npos ? TokenKind::integer
                                                                 : TokenKind::real;
    return end;
  }
  if (c == '%' || c == '@') {
    kind = c == '%' ? TokenKind::value_name : TokenKind::graph_name;
    return scan_name(position_);
  }
  if (c == '"') {
    kind = TokenKind::string;
    return scan_string(position_);
  }
  kind = TokenKind::punctuation;
  if (text_.substr(position_, 2) == "->") return position_ + 2;
  if (std::string_view("(){}[],:=+-*").find(c) != std::string_view::npos && c != '\0')
    return position_ + 1;
  if (c == '\0') fail_at(position_, "a NUL byte; this is not a text file, or it is damaged");
  if (c == '.') scan_number(position_);
  std::size_t length = utf8_length(text_, position_);
  if (length == 0)
    fail_at(position_, fmt::format("byte 0x{:02x} is not UTF-8", static_cast<unsigned char>(c)));
  if (c == '?')
    fail_at(position_, "'?' has no meaning here; an unknown dimension is a symbol, as N");
  fail_at(position_,
          fmt::format("'{}' has no meaning here{}", printable(text_.substr(position_, length)),
                      c == '#' || c == '/' || c == ';' ? "; comments start with //"
                      : length > 1 ? "; put names with such characters in quotes, as %\"name\""
                                   : ""));
}

void Lexer::advance() {
  skip_spaces();
  token_ = {TokenKind::end, {}, line_, static_cast<int>(position_ - line_start_) + 1};
  if (position_ >= text_.size()) return;
  std::size_t end = scan(token_.kind);
  token_.text = text_.substr(position_, end - position_);
  position_ = end;
}

}  // namespace weir::text
