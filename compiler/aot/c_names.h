// Names of a model as identifiers of C.
#pragma once

#include <set>
#include <string>
#include <string_view>

#include "ir/dtype.h"

namespace weir {

// Letters, digits and _ stay, anything else becomes _; what would begin with a digit or mean
// something in C or C++ gets a _ at its end or its beginning. Never empty.
std::string c_identifier(std::string_view name);
// In capitals, as macros are written.
std::string in_capitals(std::string_view identifier);

// Identifiers of one scope: a second one of the same name gets a number.
class CScope {
 public:
  std::string add(std::string_view name);

 private:
  std::set<std::string, std::less<>> taken_;
};

// The type of an element in C89: "float". "void" for a 64-bit integer where C89 has none.
std::string_view c_type(DType type, int pointer_bits, bool long_is_a_word);

// A text that may stand in a comment.
std::string in_comment(std::string_view text);

}  // namespace weir
