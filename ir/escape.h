// How names and strings are written in the text form and in messages: quoting, escapes, UTF-8.
//
// Names come from files of others and may hold any bytes. What is printed is always well-formed
// UTF-8 without control characters: every other byte is written as \n, \t, \r or \xNN.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace weir {

// The length of the well-formed UTF-8 character at `position`; 0 if there is none.
std::size_t utf8_length(std::string_view text, std::size_t position);
// The text with control characters and malformed bytes escaped, and nothing else.
std::string printable(std::string_view text);
// The text without what follows the first `longest` bytes; no character is divided.
std::string_view prefix(std::string_view text, std::size_t longest);
// The printable prefix, and "..." if that is not all.
std::string shortened(std::string_view text, std::size_t longest);
// The text in double quotes, with escapes: "a \"b\"\n".
std::string in_quotes(std::string_view text);
// What `in_quotes` text stands for; `body` is what is between the quotes, and its escapes are
// valid.
std::string unquoted(std::string_view body);

// A letter or _, then letters, digits, _ and . : what symbols, ops and attributes are called.
bool is_identifier(std::string_view text);
// The value's name as the text form writes it: %x, %layer1.w-0, or %"any other".
std::string value_name(std::string_view name);
// Likewise for a graph: @main.
std::string graph_name(std::string_view name);

inline bool is_digit(char c) { return c >= '0' && c <= '9'; }
inline bool is_identifier_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
inline bool is_identifier_part(char c) { return is_identifier_start(c) || is_digit(c) || c == '.'; }
// The characters of a value's name without quotes.
inline bool is_name_part(char c) { return is_identifier_part(c) || c == '-'; }

}  // namespace weir
