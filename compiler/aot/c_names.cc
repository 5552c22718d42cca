#include "compiler/aot/c_names.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "ir/escape.h"

namespace weir {
namespace {

// Of C up to C23 and of C++ up to C++20, and what <stddef.h> defines.
constexpr auto kReserved = std::to_array<std::string_view>({
    "NULL",
    "alignas",
    "alignof",
    "and",
    "and_eq",
    "asm",
    "auto",
    "bitand",
    "bitor",
    "bool",
    "break",
    "case",
    "catch",
    "char",
    "char16_t",
    "char32_t",
    "char8_t",
    "class",
    "co_await",
    "co_return",
    "co_yield",
    "compl",
    "concept",
    "const",
    "const_cast",
    "consteval",
    "constexpr",
    "constinit",
    "continue",
    "decltype",
    "default",
    "delete",
    "do",
    "double",
    "dynamic_cast",
    "else",
    "enum",
    "explicit",
    "export",
    "extern",
    "false",
    "float",
    "for",
    "friend",
    "goto",
    "if",
    "inline",
    "int",
    "linux",
    "long",
    "mutable",
    "namespace",
    "new",
    "noexcept",
    "not",
    "not_eq",
    "nullptr",
    "offsetof",
    "operator",
    "or",
    "or_eq",
    "private",
    "protected",
    "ptrdiff_t",
    "public",
    "register",
    "reinterpret_cast",
    "requires",
    "restrict",
    "return",
    "short",
    "signed",
    "size_t",
    "sizeof",
    "static",
    "static_assert",
    "static_cast",
    "struct",
    "switch",
    "template",
    "this",
    "thread_local",
    "throw",
    "true",
    "try",
    "typedef",
    "typeid",
    "typename",
    "typeof",
    "typeof_unqual",
    "union",
    "unix",
    "unsigned",
    "using",
    "virtual",
    "void",
    "volatile",
    "wchar_t",
    "while",
    "xor",
    "xor_eq",
});

bool is_plain(char c) { return is_identifier_start(c) || is_digit(c); }

}  // namespace

std::string c_identifier(std::string_view name) {
  std::string result;
  for (char c : name) result += is_plain(c) ? c : '_';
  if (result.empty() || is_digit(result[0])) result = "_" + result;
  // A leading _ before a capital or another _ is the compiler's.
  if (result.size() > 1 && result[0] == '_' &&
      (result[1] == '_' || std::isupper(static_cast<unsigned char>(result[1])) != 0))
    result = "x" + result;
  if (std::find(kReserved.begin(), kReserved.end(), result) != kReserved.end()) result += '_';
  return result;
}

std::string in_capitals(std::string_view identifier) {
  std::string result;
  for (char c : identifier)
    result += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return result;
}

std::string CScope::add(std::string_view name) {
  std::string base = c_identifier(name), unique = base;
  for (int number = 2; !taken_.insert(unique).second; ++number)
    unique = base + "_" + std::to_string(number);
  return unique;
}

std::string_view c_type(DType type, int pointer_bits, bool long_is_a_word) {
  switch (type) {
    case DType::f32:
      return "float";
    case DType::f64:
      return "double";
    case DType::f16:
    case DType::bf16:
      return "unsigned short";
    case DType::i8:
      return "signed char";
    case DType::u8:
    case DType::boolean:
      return "unsigned char";
    case DType::i32:
      return "int";
    case DType::i64:
      return pointer_bits == 64 && long_is_a_word ? "long" : "void";
  }
  return "void";
}

std::string in_comment(std::string_view text) {
  std::string result;
  for (char c : printable(text)) {
    if (c == '/' && !result.empty() && result.back() == '*') result += ' ';
    // The end of a comment could be spelled with a trigraph or behind a line's end, too.
    result += c == '?' || c == '\\' ? '_' : c;
  }
  return result;
}

}  // namespace weir
