// TensorProto: every way to hold elements, and everything that may be wrong with it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "compiler/frontend/onnx/tensor_proto.h"
#include "onnx_models.h"
#include "support.h"

namespace weir::test {
namespace {

using onnx::TensorProto;
using onnx_format::proto_of;
using onnx_format::tensor_of;
using testing::HasSubstr;

TensorProto typed(TensorProto::DataType type, std::vector<std::int64_t> dims) {
  TensorProto proto;
  proto.set_data_type(type);
  for (std::int64_t dim : dims) proto.add_dims(dim);
  return proto;
}

TEST(OnnxTensor, RawBytesAreTheElements) {
  Tensor tensor = Tensor::from<float>({1.5f, -2, 3, 0}, {2, 2});
  EXPECT_EQ(tensor_of(proto_of(tensor, "t")).to_string(), "[[1.5, -2.0], [3.0, 0.0]]");
}

TEST(OnnxTensor, RawBytesWithAnOwnerAreNotCopied) {
  auto proto = std::make_shared<TensorProto>(proto_of(Tensor::from<float>({1, 2}, {2}), "t"));
  Tensor tensor = tensor_of(*proto, {}, proto);
  EXPECT_EQ(tensor.data(), static_cast<const void*>(proto->raw_data().data()));
}

TEST(OnnxTensor, TypedLists) {
  TensorProto f32 = typed(TensorProto::FLOAT, {2});
  f32.add_float_data(0.5f);
  f32.add_float_data(-1);
  EXPECT_EQ(tensor_of(f32).to_string(), "[0.5, -1.0]");
  TensorProto f64 = typed(TensorProto::DOUBLE, {});
  f64.add_double_data(0.1);
  EXPECT_EQ(tensor_of(f64).to_string(), "0.1");
  TensorProto i64 = typed(TensorProto::INT64, {1});
  i64.add_int64_data(INT64_MIN);
  EXPECT_EQ(tensor_of(i64).to_string(), "[-9223372036854775808]");
  TensorProto boolean = typed(TensorProto::BOOL, {2});
  boolean.add_int32_data(1);
  boolean.add_int32_data(0);
  EXPECT_EQ(tensor_of(boolean).to_string(), "[true, false]");
  TensorProto f16 = typed(TensorProto::FLOAT16, {1});
  f16.add_int32_data(0x3C00);
  EXPECT_EQ(tensor_of(f16).dtype(), DType::f16);
  EXPECT_EQ(tensor_of(f16).bits(0).value, 0x3C00u);
  TensorProto i8 = typed(TensorProto::INT8, {1});
  i8.add_int32_data(-128);
  EXPECT_EQ(tensor_of(i8).bits(0).value, 0x80u);
}

TEST(OnnxTensor, NoElementsAtAll) {
  EXPECT_EQ(tensor_of(typed(TensorProto::FLOAT, {0, 3})).sizes(), (Tensor::Sizes{0, 3}));
}

TEST(OnnxTensor, ElementsThatAreNotAsManyAsTheSizesSay) {
  TensorProto proto = typed(TensorProto::FLOAT, {3});
  proto.add_float_data(1);
  EXPECT_THAT(error_of([&] { tensor_of(proto); }), HasSubstr("f32[3] has 3 elements, and 1"));
  TensorProto raw = typed(TensorProto::FLOAT, {3});
  raw.set_raw_data("1234");
  EXPECT_THAT(error_of([&] { tensor_of(raw); }),
              HasSubstr("f32[3] takes 12 bytes, and there are 4"));
}

TEST(OnnxTensor, SizesThatLieTakeNoMemory) {
  for (std::vector<std::int64_t> dims : std::vector<std::vector<std::int64_t>>{
           {1L << 40}, {1L << 32, 1L << 32}, {-1}, {INT64_MIN}}) {
    TensorProto proto = typed(TensorProto::FLOAT, dims);
    proto.add_float_data(1);
    EXPECT_LT(peak_memory_of([&] { EXPECT_NE(error_of([&] { tensor_of(proto); }), "no error"); }),
              1u << 20);
  }
  TensorProto many = typed(TensorProto::FLOAT, std::vector<std::int64_t>(1000, 1));
  many.add_float_data(1);
  EXPECT_THAT(error_of([&] { tensor_of(many); }), HasSubstr("1000 dimensions"));
}

TEST(OnnxTensor, ElementsOutOfTheirRange) {
  TensorProto u8 = typed(TensorProto::UINT8, {1});
  u8.add_int32_data(256);
  EXPECT_THAT(error_of([&] { tensor_of(u8); }), HasSubstr("an element is 256"));
  TensorProto boolean = typed(TensorProto::BOOL, {1});
  boolean.set_raw_data("\x02");
  EXPECT_THAT(error_of([&] { tensor_of(boolean); }), HasSubstr("a bool is 0 or 1"));
}

TEST(OnnxTensor, TypesThatWeirHasNot) {
  EXPECT_THAT(error_of([&] { tensor_of(typed(TensorProto::STRING, {})); }), HasSubstr("STRING"));
  EXPECT_THAT(error_of([&] { tensor_of(typed(TensorProto::UINT64, {})); }), HasSubstr("UINT64"));
  TensorProto later = typed(TensorProto::FLOAT, {});
  later.set_data_type(22);
  EXPECT_THAT(error_of([&] { tensor_of(later); }), HasSubstr("INT4"));
  EXPECT_THAT(error_of([&] { tensor_of(typed(TensorProto::UNDEFINED, {})); }),
              HasSubstr("the element type is missing"));
}

TEST(OnnxTensor, ElementsInTwoWays) {
  TensorProto proto = typed(TensorProto::FLOAT, {1});
  proto.add_float_data(1);
  proto.set_raw_data("1234");
  EXPECT_THAT(error_of([&] { tensor_of(proto); }), HasSubstr("in more than one way"));
}

}  // namespace
}  // namespace weir::test
