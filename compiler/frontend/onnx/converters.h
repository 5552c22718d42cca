// How ONNX's ops become Weir's.
//
// An op that corresponds one to one needs no entry: OpDef::onnx and AttributeSpec::onnx say it.
// Every other op has one here, in the file of its family in converters/: a function for a range of
// opsets, or the reason why there is none. An entry goes before a declaration.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/frontend/onnx/node.h"

namespace weir::onnx_format {

// The first opset that is read: in those before it ops had other attributes. The last one whose ops
// are known. And one beyond all.
inline constexpr int kFirstOpset = 6;
inline constexpr int kLastOpset = 26;
inline constexpr int kAnyOpset = 1 << 30;

struct Converter {
  std::string_view op;
  int first, last;  // opsets
  void (*convert)(Node&);
};

// An op that cannot be converted.
struct LackingOp {
  std::string_view op;
  std::string_view reason;  // "it computes with strings": continues a sentence about a node
};

struct ConverterTable {
  std::vector<Converter> converters;
  std::vector<LackingOp> lacking;

  void add(std::string_view op, int first, void (*convert)(Node&)) {
    converters.push_back({op, first, kAnyOpset, convert});
  }
  void add_until(std::string_view op, int last, void (*convert)(Node&)) {
    converters.push_back({op, 1, last, convert});
  }
};

// All of them.
const ConverterTable& converter_table();

// The list of the converter files: one function each.
void add_activation_converters(ConverterTable& table);
void add_arithmetic_converters(ConverterTable& table);
void add_indexed_converters(ConverterTable& table);
void add_loss_converters(ConverterTable& table);
void add_matrix_converters(ConverterTable& table);
void add_normalize_converters(ConverterTable& table);
void add_part_converters(ConverterTable& table);
void add_recurrent_converters(ConverterTable& table);
void add_reduce_converters(ConverterTable& table);
void add_shape_converters(ConverterTable& table);
void add_softmax_converters(ConverterTable& table);
void add_resize_converters(ConverterTable& table);
void add_signal_converters(ConverterTable& table);
void add_source_converters(ConverterTable& table);
void add_window_converters(ConverterTable& table);
void add_lacking_ops(ConverterTable& table);

// The converter of an op in an opset: the table's, or else that of the op's declaration; empty if
// there is none.
using ConvertFunction = std::function<void(Node&)>;
ConvertFunction find_converter(std::string_view op, int opset);
// Why there is none; empty if there is one.
std::string lack_of(std::string_view op, int opset);

// An opset as a number that can be compared. Error if it is none.
int checked_opset(std::int64_t version);

}  // namespace weir::onnx_format
