#include "ir/escape.h"

#include <algorithm>

#include <fmt/format.h>

namespace weir {
namespace {

unsigned byte_at(std::string_view text, std::size_t position) {
  return static_cast<unsigned char>(text[position]);
}

// Control characters are those below space, DEL, U+0080 to U+009F, and those that turn the
// direction of the text around them: U+061C, U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069.
bool is_control(std::string_view character) {
  unsigned first = byte_at(character, 0);
  if (character.size() == 1) return first < 0x20 || first == 0x7F;
  unsigned second = byte_at(character, 1);
  if (character.size() == 2)
    return (first == 0xC2 && second < 0xA0) || (first == 0xD8 && second == 0x9C);
  unsigned third = byte_at(character, 2);
  return first == 0xE2 && ((second == 0x80 &&
                            (third == 0x8E || third == 0x8F || (third >= 0xAA && third <= 0xAE))) ||
                           (second == 0x81 && third >= 0xA6 && third <= 0xA9));
}

void append_escaped(std::string& result, char c) {
  switch (c) {
    case '\n':
      result += "\\n";
      return;
    case '\t':
      result += "\\t";
      return;
    case '\r':
      result += "\\r";
      return;
    default:
      fmt::format_to(std::back_inserter(result), "\\x{:02x}", static_cast<unsigned char>(c));
  }
}

void append_printable(std::string& result, std::string_view text, bool escape_quotes) {
  for (std::size_t i = 0; i < text.size();) {
    std::size_t length = utf8_length(text, i);
    std::string_view character = text.substr(i, std::max<std::size_t>(length, 1));
    if (length == 0 || is_control(character)) {
      for (char c : character) append_escaped(result, c);
    } else {
      if (escape_quotes && (character == "\"" || character == "\\")) result += '\\';
      result += character;
    }
    i += character.size();
  }
}

int hex_digit(char c) { return is_digit(c) ? c - '0' : (c | 0x20) - 'a' + 10; }

std::string sigil_name(char sigil, std::string_view name, bool plain) {
  std::string result(1, sigil);
  if (plain) {
    result += name;
  } else {
    result += in_quotes(name);
  }
  return result;
}

}  // namespace

std::size_t utf8_length(std::string_view text, std::size_t position) {
  unsigned first = byte_at(text, position);
  if (first < 0x80) return 1;
  std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || position + length > text.size()) return 0;
  for (std::size_t i = 1; i < length; ++i)
    if ((byte_at(text, position + i) & 0xC0) != 0x80) return 0;
  // Longer than needed, a surrogate half, or beyond U+10FFFF.
  unsigned second = byte_at(text, position + 1);
  bool malformed = (first == 0xE0 && second < 0xA0) || (first == 0xED && second >= 0xA0) ||
                   (first == 0xF0 && second < 0x90) || (first == 0xF4 && second >= 0x90);
  return malformed ? 0 : length;
}

std::string printable(std::string_view text) {
  std::string result;
  append_printable(result, text, false);
  return result;
}

std::string_view prefix(std::string_view text, std::size_t longest) {
  if (text.size() <= longest) return text;
  constexpr std::size_t kLongestCharacter = 4;
  std::size_t end = longest;
  while (end > 0 && longest - end < kLongestCharacter - 1 && (byte_at(text, end) & 0xC0) == 0x80)
    --end;
  return text.substr(0, end);
}

std::string shortened(std::string_view text, std::size_t longest) {
  std::string_view kept = prefix(text, longest);
  return printable(kept) + (kept.size() < text.size() ? "..." : "");
}

std::string in_quotes(std::string_view text) {
  std::string result = "\"";
  append_printable(result, text, true);
  return result + "\"";
}

std::string unquoted(std::string_view body) {
  std::string result;
  for (std::size_t i = 0; i < body.size(); ++i) {
    if (body[i] != '\\') {
      result += body[i];
      continue;
    }
    switch (char c = body[++i]; c) {
      case 'n':
        result += '\n';
        break;
      case 't':
        result += '\t';
        break;
      case 'r':
        result += '\r';
        break;
      case 'x':
        result += static_cast<char>(hex_digit(body[i + 1]) * 16 + hex_digit(body[i + 2]));
        i += 2;
        break;
      default:
        result += c;
    }
  }
  return result;
}

bool is_identifier(std::string_view text) {
  return !text.empty() && is_identifier_start(text[0]) &&
         std::all_of(text.begin(), text.end(), is_identifier_part);
}

std::string value_name(std::string_view name) {
  // Digits alone number a value that has no name.
  bool plain = std::all_of(name.begin(), name.end(), is_name_part) &&
               !std::all_of(name.begin(), name.end(), is_digit);
  return sigil_name('%', name, plain);
}

std::string graph_name(std::string_view name) {
  return sigil_name('@', name,
                    !name.empty() && std::all_of(name.begin(), name.end(), is_name_part));
}

}  // namespace weir
