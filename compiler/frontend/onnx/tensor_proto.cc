#include "compiler/frontend/onnx/tensor_proto.h"

#include <charconv>
#include <limits>
#include <map>

#include <fmt/format.h>
#include <onnx/onnx_pb.h>

#include "compiler/frontend/onnx/element_type.h"
#include "ir/escape.h"

namespace weir::onnx_format {
namespace {

using onnx::TensorProto;

Tensor::Sizes sizes_of(const TensorProto& proto) {
  if (proto.dims_size() > static_cast<int>(kMaximumRank))
    throw Error(
        fmt::format("it has {} dimensions; {} are the most", proto.dims_size(), kMaximumRank));
  return {proto.dims().begin(), proto.dims().end()};
}

// The tensor of exactly these bytes.
Tensor tensor_of_bytes(const FileBytes& bytes, DType type, Tensor::Sizes sizes) {
  auto needed = static_cast<std::size_t>(checked_element_count(type, sizes)) *
                static_cast<std::size_t>(byte_size(type));
  if (bytes.bytes.size() != needed)
    throw Error(fmt::format("{} takes {} bytes, and there are {}", to_string(type, sizes), needed,
                            bytes.bytes.size()));
  return tensor_in_file(bytes, 0, type, std::move(sizes));
}

// --- Typed lists --------------------------------------------------------------

template <class Field>
void check_count(const Field& field, std::int64_t count, DType type, const Tensor::Sizes& sizes) {
  if (field.size() != count)
    throw Error(fmt::format("{} has {} elements, and {} are given", to_string(type, sizes), count,
                            field.size()));
}

template <class T, class Field>
Tensor tensor_of_field(const Field& field, DType type, Tensor::Sizes sizes) {
  std::int64_t count = checked_element_count(type, sizes);
  check_count(field, count, type, sizes);
  Tensor tensor(type, std::move(sizes));
  T* target = static_cast<T*>(tensor.mutable_data());
  for (auto value : field) *target++ = static_cast<T>(value);
  return tensor;
}

// int32_data also holds what is narrower than 32 bits, and the bits of f16 and bf16.
Tensor tensor_of_int32(const TensorProto& proto, DType type, Tensor::Sizes sizes) {
  std::int32_t low = 0, high = 0;
  switch (type) {
    case DType::i32:
      return tensor_of_field<std::int32_t>(proto.int32_data(), type, std::move(sizes));
    case DType::boolean:
      high = 1;
      break;
    case DType::i8:
      low = std::numeric_limits<std::int8_t>::min();
      high = std::numeric_limits<std::int8_t>::max();
      break;
    case DType::u8:
      high = std::numeric_limits<std::uint8_t>::max();
      break;
    default:  // f16 and bf16
      high = std::numeric_limits<std::uint16_t>::max();
  }
  for (std::int32_t value : proto.int32_data())
    if (value < low || value > high)
      throw Error(fmt::format("an element is {}; for {} the numbers go from {} to {}", value,
                              name(type), low, high));
  return byte_size(type) == 1
             ? tensor_of_field<std::uint8_t>(proto.int32_data(), type, std::move(sizes))
             : tensor_of_field<std::uint16_t>(proto.int32_data(), type, std::move(sizes));
}

Tensor tensor_of_fields(const TensorProto& proto, DType type, Tensor::Sizes sizes) {
  switch (type) {
    case DType::f32:
      return tensor_of_field<float>(proto.float_data(), type, std::move(sizes));
    case DType::f64:
      return tensor_of_field<double>(proto.double_data(), type, std::move(sizes));
    case DType::i64:
      return tensor_of_field<std::int64_t>(proto.int64_data(), type, std::move(sizes));
    default:
      return tensor_of_int32(proto, type, std::move(sizes));
  }
}

bool has_typed_elements(const TensorProto& proto) {
  return proto.float_data_size() + proto.int32_data_size() + proto.int64_data_size() +
             proto.double_data_size() + proto.uint64_data_size() + proto.string_data_size() >
         0;
}

// --- Other files --------------------------------------------------------------

std::size_t number_in(const std::string& text, const char* key) {
  std::size_t value = 0;
  auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (fault != std::errc() || end != text.data() + text.size())
    throw Error(fmt::format("the {} of its external data is {}; it must be a number of bytes", key,
                            in_quotes(text.substr(0, 80))));
  return value;
}

Tensor tensor_of_external(const TensorProto& proto, DType type, Tensor::Sizes sizes,
                          const ExternalData& external) {
  if (!external)
    throw Error("its elements are in another file, which is for initializers of a model only");
  std::map<std::string, std::string> entries;
  for (const onnx::StringStringEntryProto& entry : proto.external_data())
    if (!entries.emplace(entry.key(), entry.value()).second)
      throw Error(
          fmt::format("its external data has {} twice", in_quotes(entry.key().substr(0, 80))));
  auto location = entries.find("location");
  if (location == entries.end()) throw Error("its external data names no location");
  std::size_t offset = 0;
  if (auto entry = entries.find("offset"); entry != entries.end())
    offset = number_in(entry->second, "offset");
  auto needed = static_cast<std::size_t>(checked_element_count(type, sizes)) *
                static_cast<std::size_t>(byte_size(type));
  if (auto entry = entries.find("length"); entry != entries.end())
    if (std::size_t length = number_in(entry->second, "length"); length != needed)
      throw Error(fmt::format("{} takes {} bytes, and its external data has {}",
                              to_string(type, sizes), needed, length));
  return tensor_in_file(external(location->second), offset, type, std::move(sizes));
}

}  // namespace

Tensor tensor_of(const TensorProto& proto, const ExternalData& external,
                 std::shared_ptr<const void> owner) {
  DType type = require_dtype(proto.data_type());
  if (proto.has_segment()) throw Error("it is a segment of a tensor; only whole ones are read");
  Tensor::Sizes sizes = sizes_of(proto);
  bool is_external = proto.data_location() == TensorProto::EXTERNAL;
  if (static_cast<int>(is_external) + static_cast<int>(!proto.raw_data().empty()) +
          static_cast<int>(has_typed_elements(proto)) >
      1)
    throw Error("its elements are given in more than one way");
  if (is_external) return tensor_of_external(proto, type, std::move(sizes), external);
  if (!proto.has_raw_data()) return tensor_of_fields(proto, type, std::move(sizes));
  if (!owner) return tensor_of_bytes(memory_file(proto.raw_data(), ""), type, std::move(sizes));
  const void* data = proto.raw_data().data();
  return tensor_of_bytes(
      {"", std::move(owner), {static_cast<const unsigned char*>(data), proto.raw_data().size()}},
      type, std::move(sizes));
}

TensorProto proto_of(const Tensor& tensor, std::string name) {
  TensorProto proto;
  proto.set_name(std::move(name));
  proto.set_data_type(onnx_type_of(tensor.dtype()));
  for (std::int64_t size : tensor.sizes()) proto.add_dims(size);
  proto.set_raw_data(std::string(bytes_of(tensor)));
  return proto;
}

}  // namespace weir::onnx_format
