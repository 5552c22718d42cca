// Golden error messages of the text form.
//
// Each file in tests/errors is a .weir file that must be refused. Its first lines, which start with
// `//!`, hold the whole message: file, line, column, text, and the caret under the source line.
// After a change of the messages, this writes what is now said into the files, to be reviewed as a
// diff:
//
//   WEIR_UPDATE_EXPECTATIONS=1 build/release/bin/tests/weir_tests_ir --gtest_filter='*TextErrors*'

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "ir/text.h"

namespace weir {
namespace {

std::filesystem::path folder() {
  return std::filesystem::path(WEIR_SOURCE_DIR) / "tests" / "errors";
}

std::vector<std::string> files() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder()))
    if (entry.path().extension() == ".weir") names.push_back(entry.path().stem().string());
  std::sort(names.begin(), names.end());
  return names;
}

std::string read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// The expectation that a file begins with, and where the rest begins.
struct Golden {
  std::string expected;
  std::string body;
};

Golden split(const std::string& text) {
  Golden golden;
  std::size_t start = 0;
  while (text.compare(start, 3, "//!") == 0) {
    std::size_t end = std::min(text.find('\n', start), text.size());
    if (!golden.expected.empty()) golden.expected += '\n';
    golden.expected += text.substr(std::min(start + 4, end), end - std::min(start + 4, end));
    start = std::min(end + 1, text.size());
  }
  golden.body = text.substr(start);
  return golden;
}

std::string with_expectation(const std::string& message, const std::string& body) {
  std::string text;
  std::istringstream lines(message);
  for (std::string line; std::getline(lines, line);) text += "//! " + line + "\n";
  return text + body;
}

std::string message_of(const std::string& text, const std::string& name) {
  try {
    parse_graph(text, name + ".weir");
  } catch (const Error& error) {
    EXPECT_TRUE(error.diagnostic().location.known());
    return error.what();
  }
  ADD_FAILURE() << "this is parsed without an error";
  return {};
}

class TextErrors : public testing::TestWithParam<std::string> {};

TEST_P(TextErrors, Message) {
  std::filesystem::path path = folder() / (GetParam() + ".weir");
  std::string text = read(path);
  std::string message = message_of(text, GetParam());
  if (std::getenv("WEIR_UPDATE_EXPECTATIONS")) {
    // The expectation moves the lines that it speaks of; its length settles at once.
    std::string body = split(text).body;
    for (int round = 0; round < 2; ++round)
      message = message_of(with_expectation(message, body), GetParam());
    std::ofstream(path, std::ios::binary) << with_expectation(message, body);
    return;
  }
  EXPECT_EQ(message, split(text).expected);
}

INSTANTIATE_TEST_SUITE_P(Files, TextErrors, testing::ValuesIn(files()),
                         [](const auto& instance) { return instance.param; });

}  // namespace
}  // namespace weir
