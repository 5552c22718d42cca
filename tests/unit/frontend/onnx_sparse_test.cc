// Sparse tensors, as initializers and as constants, become dense.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ir/interpreter.h"
#include "onnx_models.h"
#include "support.h"

namespace weir {
namespace {

using test::error_of;
using test::OnnxModel;
using ::testing::HasSubstr;

onnx::SparseTensorProto sparse(const Tensor& values, const Tensor& indices,
                               const std::vector<std::int64_t>& dims) {
  onnx::SparseTensorProto proto;
  *proto.mutable_values() = onnx_format::proto_of(values, "w");
  *proto.mutable_indices() = onnx_format::proto_of(indices, "");
  for (std::int64_t dim : dims) proto.add_dims(dim);
  return proto;
}

// The tensor as an initializer, and as a constant: y of each.
Model model_of(const onnx::SparseTensorProto& proto, bool is_constant,
               const OnnxOptions& options = {}) {
  OnnxModel model;
  if (is_constant) {
    auto& constant = model.node("Constant", {}, {"w"}, "c");
    *test::attribute(constant, "sparse_value", onnx::AttributeProto::SPARSE_TENSOR)
         .mutable_sparse_tensor() = proto;
  } else {
    *model.graph().add_sparse_initializer() = proto;
  }
  model.node("Neg", {"w"}, {"y"});
  model.output("y");
  return model.load(options);
}

TEST(OnnxSparse, BecomesDense) {
  Tensor values = Tensor::from<float>({1, -2, 0.5F}, {3});
  for (const Tensor& indices : {Tensor::from<std::int64_t>({1, 2, 5}, {3}),
                                Tensor::from<std::int64_t>({0, 1, 0, 2, 1, 2}, {3, 2})})
    for (bool is_constant : {false, true}) {
      Model model = model_of(sparse(values, indices, {2, 3}), is_constant);
      EXPECT_EQ(interpret(model.graph, model.weights, {})[0].to_string(),
                "[[-0.0, -1.0, 2.0], [-0.0, -0.0, -0.5]]");
    }
  Tensor none(DType::f32, {0}), nowhere(DType::i64, {0});
  Model model = model_of(sparse(none, nowhere, {2}), false);
  EXPECT_EQ(interpret(model.graph, model.weights, {})[0].to_string(), "[-0.0, -0.0]");
}

TEST(OnnxSparse, WhatIsNotRightIsRefused) {
  Tensor values = Tensor::from<float>({1, 2}, {2});
  auto message = [&](const Tensor& indices, const std::vector<std::int64_t>& dims,
                     bool is_constant = false) {
    return error_of([&] { model_of(sparse(values, indices, dims), is_constant); });
  };
  auto list = [](std::initializer_list<std::int64_t> indices, Tensor::Sizes sizes) {
    return Tensor::from<std::int64_t>(indices, std::move(sizes));
  };
  EXPECT_EQ(message(list({0, 9}, {2}), {3, 3}),
            "initializer \"w\" in test.onnx: error: it has an index 9, and 9 elements there");
  EXPECT_THAT(message(list({0, 1, 0, 3}, {2, 2}), {9, 3}), HasSubstr("it has an index 3, and 3"));
  EXPECT_THAT(message(list({-1, 0}, {2}), {3}), HasSubstr("it has an index -1, and 3"));
  EXPECT_THAT(message(list({2, 2}, {2}), {3}), HasSubstr("not in ascending order"));
  EXPECT_THAT(message(list({2}, {1}), {3}),
              HasSubstr("its 2 elements have indices i64[1]; [2] or [2, 1] is needed"));
  EXPECT_THAT(message(Tensor::from<std::int32_t>({0, 1}, {2}), {3}),
              HasSubstr("it has elements f32[2] and indices i32[2]; a list of elements and "
                        "indices of i64 are needed"));
  EXPECT_THAT(message(list({0, 1}, {2}), {-3}), HasSubstr("negative"));
  EXPECT_THAT(message(list({0, 1}, {2}), {INT64_MAX, 2, 3}), HasSubstr("error: "));
  EXPECT_THAT(message(list({0, 1}, {2}), {1 << 20, 1 << 10}, true),
              HasSubstr("Constant \"c\" in test.onnx: error: the attribute sparse_value: it is "
                        "sparse, and f32[1048576, 1024] takes 4294967296 bytes, more than 1024 "
                        "times the "));
}

TEST(OnnxSparse, ItsDenseBytesAreLimited) {
  Tensor values = Tensor::from<float>({1}, {1}), indices = Tensor::from<std::int64_t>({7}, {1});
  OnnxOptions options;
  for (bool is_constant : {false, true}) {
    options.limits.memory = 20'000;
    EXPECT_THAT(error_of([&] { model_of(sparse(values, indices, {5'000}), is_constant, options); }),
                HasSubstr("and at most 20000 are allowed; --max-memory sets this limit"));
    options.limits.memory = 100'000;
    model_of(sparse(values, indices, {5'000}), is_constant, options);
  }
}

}  // namespace
}  // namespace weir
