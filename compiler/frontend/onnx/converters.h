// How ONNX's ops become Weir's.
//
// An op that corresponds one to one needs no entry: OpDef::onnx and AttributeSpec::onnx say it.
// Every other op has one here, in the file of its family in converters/: a function for a range of
// opsets, or the reason why there is none.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "compiler/frontend/onnx/node.h"

namespace weir::onnx_format {

inline constexpr int kAnyOpset = 1 << 30;

struct Converter {
  std::string_view op;
  int first, last;  // opsets
  void (*convert)(Node&);
};

// The list of the converter files: one function each.
void add_matrix_converters(std::vector<Converter>& table);  // MatMul, Gemm
void add_shape_converters(std::vector<Converter>& table);   // Reshape, Flatten, ...
void add_source_converters(std::vector<Converter>& table);  // Constant, Identity, ...

// The converter of an op in an opset: the table's, or else that of the op's declaration; nothing if
// there is none.
using ConvertFunction = std::function<void(Node&)>;
ConvertFunction find_converter(std::string_view op, int opset);

}  // namespace weir::onnx_format
