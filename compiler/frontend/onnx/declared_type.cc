#include "compiler/frontend/onnx/declared_type.h"

#include <optional>

#include <fmt/format.h>
#include <onnx/onnx_pb.h>

#include "compiler/frontend/onnx/element_type.h"
#include "compiler/frontend/onnx/unsupported.h"
#include "ir/escape.h"

namespace weir::onnx_format {
namespace {

using Dimension = onnx::TensorShapeProto::Dimension;

// A negative size is how some exporters write an unknown one.
bool is_number(const Dimension& dim) { return dim.has_dim_value() && dim.dim_value() >= 0; }

bool fits(const onnx::TypeProto::Tensor& declared, const TensorType& type) {
  if (declared.elem_type() != onnx::TensorProto::UNDEFINED &&
      declared.elem_type() != onnx_type_of(type.dtype))
    return false;
  if (!declared.has_shape()) return true;
  if (declared.shape().dim_size() != type.rank()) return false;
  for (int i = 0; i < type.rank(); ++i) {
    const Dimension& dim = declared.shape().dim(i);
    const Dim& size = type.shape[static_cast<std::size_t>(i)];
    if (is_number(dim) && size.is_constant() && dim.dim_value() != size.value()) return false;
  }
  return true;
}

// "f32[N, 4, ?]", or only what is declared of it.
std::string text_of(const onnx::TypeProto::Tensor& declared) {
  constexpr std::size_t kLongest = 200;
  std::optional<DType> dtype = dtype_of(declared.elem_type());
  std::string text = dtype ? std::string(name(*dtype))
                     : declared.elem_type() == onnx::TensorProto::UNDEFINED
                         ? "a tensor "
                         : type_name(declared.elem_type());
  if (!declared.has_shape()) return text;
  std::string_view separator = "[";
  for (const Dimension& dim : declared.shape().dim()) {
    text += separator;
    if (is_number(dim)) {
      text += std::to_string(dim.dim_value());
    } else {
      text += dim.dim_param().empty() ? "?" : dim.dim_param();
    }
    separator = ", ";
    if (text.size() > kLongest) break;
  }
  return shortened(text + (declared.shape().dim_size() == 0 ? "[]" : "]"), kLongest);
}

}  // namespace

TensorType declared_type(const onnx::ValueInfoProto& info, SymbolNames& symbols) {
  if (!info.type().has_tensor_type())
    throw Unsupported("it is no tensor, and Weir computes with tensors only");
  const onnx::TypeProto::Tensor& type = info.type().tensor_type();
  TensorType result{require_dtype(type.elem_type()), {}};
  if (!type.has_shape())
    throw Unsupported("its shape is missing; the number of its dimensions has to be known");
  for (int i = 0; i < type.shape().dim_size(); ++i) {
    const Dimension& dim = type.shape().dim(i);
    if (is_number(dim)) {
      result.shape.emplace_back(dim.dim_value());
    } else {
      result.shape.push_back(symbols.symbol(dim.dim_param(), info.name(), i));
    }
  }
  return result;
}

std::string contradiction_of(const onnx::ValueInfoProto& info, const TensorType& type,
                             std::string_view is) {
  if (!info.type().has_tensor_type() || fits(info.type().tensor_type(), type)) return {};
  return fmt::format("it is declared as {}, and {} {}", text_of(info.type().tensor_type()), is,
                     to_string(type));
}

}  // namespace weir::onnx_format
