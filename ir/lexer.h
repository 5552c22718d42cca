// Tokens of the text form, read one at a time.
//
// A token is a view of the text. Line breaks are spaces, `//` starts a comment that ends with its
// line, and a value's name is one token with its %. A minus sign is always a token of its own.
// Everything that is no token is an Error that shows the place.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "ir/diagnostic.h"

namespace weir::text {

enum class TokenKind : std::uint8_t {
  end,
  identifier,
  value_name,  // %x or %"x"
  graph_name,  // @g or @"g"
  integer,     // digits
  real,        // digits with a fraction or an exponent
  string,      // with its quotes
  punctuation,
};

struct Token {
  TokenKind kind = TokenKind::end;
  std::string_view text;  // as written
  int line = 1;
  int column = 1;

  bool is(std::string_view word) const {
    return (kind == TokenKind::punctuation || kind == TokenKind::identifier) && text == word;
  }
  // The name, or the content of the string, with escapes resolved.
  std::string name() const;
  // %0, %1, ...: numbers for values without a name.
  bool is_numbered() const;
};

class Lexer {
 public:
  // Reads the first token. Throws Error. The text is kept as long as a location in it is.
  Lexer(std::string_view text, std::string file_name);

  const Token& peek() const { return token_; }
  // The current token; reads the next one.
  Token take();
  bool take_if(std::string_view word);
  // The current token, which must be that word; `expected` is what the message asks for.
  Token expect(std::string_view word, std::string_view expected);
  Token expect(TokenKind kind, std::string_view expected);
  // Bytes that follow the current token.
  std::size_t remaining() const { return text_.size() - position_; }

  Location location(const Token& token) const { return {file_, token.line, token.column, source_}; }
  // Throws an Error at the token.
  [[noreturn]] void fail(const Token& token, std::string message) const;
  // "expected X, found Y" at the current token.
  [[noreturn]] void fail_expected(std::string_view expected) const;

 private:
  void advance();
  void skip_spaces();
  std::size_t scan_number(std::size_t from) const;
  std::size_t scan_string(std::size_t quote) const;
  std::size_t scan_name(std::size_t sigil) const;
  std::size_t scan(TokenKind& kind) const;
  [[noreturn]] void fail_at(std::size_t position, std::string message) const;

  std::shared_ptr<const std::string> source_;
  std::string_view text_;  // of the source
  std::shared_ptr<const std::string> file_;
  std::size_t position_ = 0;  // of what follows the current token
  std::size_t line_start_ = 0;
  int line_ = 1;
  Token token_;
};

// The token as messages show it: "'%x'", "the end of the file".
std::string describe(const Token& token);
// Text that is too long to be shown whole in a message is cut.
std::string shortened(std::string_view text);

}  // namespace weir::text
