// Prints libFuzzer's dictionary for the text form: the words of the language, and what the op
// registry knows by name.

#include <cstdio>
#include <set>
#include <string>
#include <string_view>

#include "ir/attribute.h"
#include "ir/initializer.h"
#include "ir/registry.h"

namespace {

constexpr std::string_view kWords[] = {"graph @g(",
                                       "param %w: ",
                                       "return ",
                                       " as \"",
                                       "forward:",
                                       "gradient:",
                                       "update of gradient:",
                                       "recomputation:",
                                       "->",
                                       "//",
                                       "%x",
                                       "%0",
                                       "inf",
                                       "-inf",
                                       "nan",
                                       "true",
                                       "false",
                                       "[]",
                                       "{axis = 0}",
                                       "{shape = [N]}",
                                       "N",
                                       "4*N + 1",
                                       "f32",
                                       "f64",
                                       "i32",
                                       "i64",
                                       "bool",
                                       "f16",
                                       "bf16",
                                       "i8",
                                       "u8",
                                       "f32[]",
                                       "f32[N, 4]",
                                       "i64[2] [0, 1]",
                                       "f32[0, 4] []",
                                       "9223372036854775807",
                                       "-9223372036854775808",
                                       "4294967296",
                                       "1e-45",
                                       "3.5e38",
                                       "\\x00",
                                       "\\n",
                                       "\xEF\xBB\xBF"};

std::string escaped(std::string_view word) {
  std::string text;
  for (unsigned char byte : word) {
    char code[5];
    std::snprintf(code, sizeof code, "\\x%02x", byte);
    text += code;
  }
  return text;
}

}  // namespace

int main() {
  std::set<std::string> words(std::begin(kWords), std::end(kWords));
  auto insert_attributes = [&](std::span<const weir::AttributeSpec> attributes) {
    for (const weir::AttributeSpec& attribute : attributes) {
      words.insert(attribute.name);
      if (attribute.default_value)
        words.insert(attribute.name + " = " + to_string(*attribute.default_value));
    }
  };
  for (const auto& op : weir::all_ops()) {
    words.insert(op->name);
    words.insert(op->name + ".grad");
    insert_attributes(op->attributes);
  }
  for (const weir::InitializerDef& initializer : weir::initializers()) {
    words.insert("= " + initializer.name);
    insert_attributes(initializer.attributes);
  }
  for (const std::string& word : words) std::printf("\"%s\"\n", escaped(word).c_str());
  return 0;
}
