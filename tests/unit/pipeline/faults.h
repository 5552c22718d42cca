// What tests of runs that end with an Error share.
#pragma once

#include <functional>
#include <string>

#include <gtest/gtest.h>

#include "compiler/pipeline.h"
#include "ir/interpreter.h"
#include "ir/text.h"
#include "tests/unit/pipeline/compiled.h"

namespace weir::test {

// The first line; the others show the source.
inline std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    std::string text = error.diagnostic().to_string();
    return text.substr(0, text.find('\n'));
  }
  return "no error";
}

// The message of the interpreter, after comparing it with that of compiled code in every way.
inline std::string fault_of(const std::string& text, const Inputs& inputs) {
  Program program{parse_graph(text, "model.weir"), {}, inputs};
  std::string expected = message_of([&] { interpret(program.graph, {}, inputs); });
  for (const VectorLevel& level : vector_levels())
    for (bool fuse : {true, false}) {
      Executable executable = compile(program, {level, fuse});
      EXPECT_EQ(message_of([&] { executable.run(inputs); }), expected);
      for (const weir_executor* executor : test_executors())
        EXPECT_EQ(message_of([&] { executable.run(inputs, executor); }), expected);
    }
  return expected;
}

}  // namespace weir::test
