// The ops of ONNX, and what becomes of each: the table of docs/onnx.md.
#pragma once

#include <map>
#include <string>

#include "compiler/frontend/file.h"

namespace weir {

// Of an op: how many of a set of test cases have it in their models, and how many of those pass.
struct OnnxCases {
  std::int64_t passed = 0, all = 0;
};
using OnnxCaseCounts = std::map<std::string, OnnxCases, std::less<>>;

// Reads lines of OP PASSED ALL. Error at the line that is none.
OnnxCaseCounts read_case_counts(const FileBytes& file);

// A Markdown table, sorted by op: the opsets whose form of the op is read, the Weir op of the same
// meaning, or that others are composed, and, if there are counts, the cases; then the ops that are
// not read, and why.
std::string onnx_op_table(const OnnxCaseCounts& cases = {});

}  // namespace weir
