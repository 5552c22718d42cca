#include "compiler/frontend/onnx/element_type.h"

#include <algorithm>
#include <array>
#include <limits>

#include <fmt/format.h>
#include <onnx/onnx_pb.h>

#include "compiler/frontend/onnx/unsupported.h"

namespace weir::onnx_format {
namespace {

using onnx::TensorProto;

struct Row {
  TensorProto::DataType onnx;
  DType weir;
};

constexpr std::array<Row, 9> kTypes{{{TensorProto::FLOAT, DType::f32},
                                     {TensorProto::DOUBLE, DType::f64},
                                     {TensorProto::FLOAT16, DType::f16},
                                     {TensorProto::BFLOAT16, DType::bf16},
                                     {TensorProto::INT8, DType::i8},
                                     {TensorProto::UINT8, DType::u8},
                                     {TensorProto::INT32, DType::i32},
                                     {TensorProto::INT64, DType::i64},
                                     {TensorProto::BOOL, DType::boolean}}};

// Names that the schema at hand may be too old for.
constexpr std::array<const char*, 7> kLaterNames{"FLOAT8E4M3FN",   "FLOAT8E4M3FNUZ", "FLOAT8E5M2",
                                                 "FLOAT8E5M2FNUZ", "UINT4",          "INT4",
                                                 "FLOAT4E2M1"};

}  // namespace

std::optional<DType> dtype_of(std::int64_t onnx_type) {
  for (const Row& row : kTypes)
    if (row.onnx == onnx_type) return row.weir;
  return std::nullopt;
}

std::int32_t onnx_type_of(DType type) {
  auto row = std::find_if(kTypes.begin(), kTypes.end(),
                          [type](const Row& candidate) { return candidate.weir == type; });
  WEIR_CHECK(row != kTypes.end());
  return row->onnx;
}

std::string type_name(std::int64_t onnx_type) {
  if (onnx_type > TensorProto::UNDEFINED && onnx_type <= std::numeric_limits<int>::max() &&
      onnx::TensorProto_DataType_IsValid(static_cast<int>(onnx_type)))
    return onnx::TensorProto_DataType_Name(static_cast<TensorProto::DataType>(onnx_type));
  constexpr std::int64_t kFirst = TensorProto::BFLOAT16 + 1;
  if (onnx_type >= kFirst && onnx_type < kFirst + static_cast<std::int64_t>(kLaterNames.size()))
    return kLaterNames[static_cast<std::size_t>(onnx_type - kFirst)];
  return fmt::format("number {}", onnx_type);
}

DType require_dtype(std::int64_t onnx_type) {
  if (std::optional<DType> type = dtype_of(onnx_type)) return *type;
  if (onnx_type == TensorProto::UNDEFINED) throw Error("the element type is missing");
  throw Unsupported(fmt::format(
      "Weir has no element type {}; it has FLOAT, DOUBLE, FLOAT16, BFLOAT16, INT8, UINT8, "
      "INT32, INT64 and BOOL",
      type_name(onnx_type)));
}

}  // namespace weir::onnx_format
