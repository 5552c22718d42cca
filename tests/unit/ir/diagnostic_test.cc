// Messages and locations can be shown on a terminal, whatever the names in them are.

#include "ir/diagnostic.h"

#include <gtest/gtest.h>

#include "ir/escape.h"

namespace weir {
namespace {

Location location(std::string file, int line, int column, std::string note = {}) {
  Location result(std::make_shared<const std::string>(std::move(file)), line, column);
  result.note = std::move(note);
  return result;
}

TEST(Escape, APrefixDividesNoCharacter) {
  EXPECT_EQ(prefix("abc", 3), "abc");
  EXPECT_EQ(prefix("abc", 2), "ab");
  for (std::string_view character : {"\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"}) {
    std::string text = "ab" + std::string(character);
    EXPECT_EQ(prefix(text, text.size()), text);
    for (std::size_t longest = 2; longest < text.size(); ++longest)
      EXPECT_EQ(prefix(text, longest), "ab") << longest;
  }
  // No more than a character is left out of what is no text.
  EXPECT_GE(prefix(std::string(100, '\x80'), 50).size(), 47u);
}

TEST(Escape, ShortenedTextIsPrintable) {
  EXPECT_EQ(shortened("abc", 3), "abc");
  EXPECT_EQ(shortened("abcd", 3), "abc...");
  EXPECT_EQ(shortened("\n\xFF\xC2\x9B", 10), "\\n\\xff\\xc2\\x9b");
  EXPECT_EQ(printable(shortened("\x1B[2J", 10)), shortened("\x1B[2J", 10));
  // What turns the direction of text, and its neighbours, which do not.
  for (const char* control : {"\u061C", "\u200E", "\u200F", "\u202A", "\u202E", "\u2066", "\u2069"})
    EXPECT_THAT(printable(control), testing::StartsWith("\\x")) << printable(control);
  for (const char* letter :
       {"\u061B", "\u061D", "\u200D", "\u2010", "\u2029", "\u202F", "\u2065", "\u206A"})
    EXPECT_EQ(printable(letter), letter);
  EXPECT_EQ(in_quotes("a\u202Eb"), "\"a\\xe2\\x80\\xaeb\"");
}

TEST(Diagnostic, LocationsAreEscaped) {
  EXPECT_EQ(location("m.weir", 3, 8, "gradient of").to_string(), "gradient of m.weir:3:8");
  EXPECT_EQ(location("a\nb\xFF", 3, 8).to_string(), "a\\nb\\xff:3:8");
  EXPECT_EQ(location("m.onnx", 0, 0, "Neg \x1B[2J in").to_string(), "Neg \\x1b[2J in m.onnx");
}

TEST(Diagnostic, ShowsTheLineOfItsLocation) {
  auto text = std::make_shared<const std::string>("first\r\nsecond %y\n");
  Location place(std::make_shared<const std::string>("m.weir"), 2, 8, text);
  Error error(place.derived("gradient of"), "wrong");
  EXPECT_STREQ(error.what(), "gradient of m.weir:2:8: error: wrong\n  second %y\n         ^");
  place.line = 1;
  EXPECT_EQ(place.source_line(), "first");
  for (int line : {0, 4}) {
    place.line = line;
    EXPECT_EQ(place.source_line(), "");
  }
}

TEST(Diagnostic, LongTextIsCut) {
  std::string note(100'000, 'n');
  EXPECT_LT(location("m.onnx", 0, 0, note).to_string().size(), 1000u);
  Error error(location("m.onnx", 0, 0), std::string(100'000, 'm'));
  EXPECT_LT(std::string_view(error.what()).size(), 10'000u);
  EXPECT_EQ(error.diagnostic().message.size(), 100'000u);
}

}  // namespace
}  // namespace weir
