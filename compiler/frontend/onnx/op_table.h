// The ops of ONNX, and what becomes of each: the table of docs/onnx.md.
#pragma once

#include <string>

namespace weir {

// A Markdown table, sorted by op: the opsets whose form of the op is read, and the Weir op of the
// same meaning, or that others are composed, or why the op is not read.
std::string onnx_op_table();

}  // namespace weir
