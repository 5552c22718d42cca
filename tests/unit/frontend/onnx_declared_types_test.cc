// The types that an ONNX model declares beside those that follow from its nodes and initializers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "onnx_models.h"
#include "support.h"

namespace weir {
namespace {

using test::error_of;
using test::OnnxDim;
using test::OnnxModel;

// A declaration on its own.
onnx::ValueInfoProto declaration(std::vector<OnnxDim> dims,
                                 onnx::TensorProto::DataType type = onnx::TensorProto::FLOAT) {
  OnnxModel model;
  model.input("declared", std::move(dims), type);
  return model.graph().input(0);
}

// y = x + w with x f32[4] or f32[N], h = -y, and declarations of y, h, and w as an input.
struct Declared {
  std::optional<onnx::ValueInfoProto> y = {}, h = {}, w = {};

  std::string load(bool symbolic = false) const {
    OnnxModel model;
    model.input("x", {symbolic ? OnnxDim("N") : OnnxDim(4)});
    model.initializer("w", Tensor(DType::f32, {symbolic ? 1 : 4}));
    model.node("Add", {"x", "w"}, {"h"});
    model.node("Neg", {"h"}, {"y"});
    model.output("y");
    auto declare = [](const std::optional<onnx::ValueInfoProto>& type, const char* name,
                      onnx::ValueInfoProto& out) {
      out = *type;
      out.set_name(name);
    };
    if (y) declare(y, "y", *model.graph().mutable_output(0));
    if (h) declare(h, "h", *model.graph().add_value_info());
    if (w) declare(w, "w", *model.graph().add_input());
    std::string warning;
    OnnxOptions options;
    options.warn = [&](const std::string& message) { warning += "warning: " + message; };
    std::string error = error_of([&] { model.load(options); });
    return warning.empty() ? error : warning;
  }
};

TEST(OnnxDeclaredTypes, WhatContradictsThemIsRefused) {
  using onnx::TensorProto;
  EXPECT_EQ(Declared{.y = declaration({5})}.load(),
            "output \"y\" in test.onnx: error: it is declared as f32[5], and it is computed as "
            "f32[4]");
  EXPECT_EQ(Declared{.y = declaration({1, 4})}.load(),
            "output \"y\" in test.onnx: error: it is declared as f32[1, 4], and it is computed as "
            "f32[4]");
  EXPECT_EQ(Declared{.y = declaration({"batch", ""})}.load(),
            "output \"y\" in test.onnx: error: it is declared as f32[batch, ?], and it is computed "
            "as f32[4]");
  EXPECT_EQ(Declared{.y = declaration({}, TensorProto::DOUBLE)}.load(true),
            "output \"y\" in test.onnx: error: it is declared as f64[], and it is computed as "
            "f32[N]");
  EXPECT_EQ(Declared{.y = declaration({4}, TensorProto::STRING)}.load(),
            "output \"y\" in test.onnx: error: it is declared as STRING[4], and it is computed as "
            "f32[4]");
  EXPECT_EQ(Declared{.w = declaration({7})}.load(),
            "input \"w\" in test.onnx: error: it is declared as f32[7], and its initializer is "
            "f32[4]");
}

TEST(OnnxDeclaredTypes, OfValuesBetweenAreWarnedOf) {
  EXPECT_EQ(Declared{.h = declaration({5})}.load(),
            "warning: value \"h\" in test.onnx: it is declared as f32[5], and it is computed as "
            "f32[4]");
}

TEST(OnnxDeclaredTypes, WhatIsNotKnownFits) {
  onnx::ValueInfoProto without_shape = declaration({4});
  without_shape.mutable_type()->mutable_tensor_type()->clear_shape();
  onnx::ValueInfoProto negative = declaration({4});
  negative.mutable_type()->mutable_tensor_type()->mutable_shape()->mutable_dim(0)->set_dim_value(
      -1);
  onnx::ValueInfoProto nothing = declaration({4});
  nothing.clear_type();
  for (const onnx::ValueInfoProto& type : {declaration({4}), declaration({"other"}),
                                           declaration({""}), without_shape, negative, nothing})
    EXPECT_EQ((Declared{.y = type, .h = type, .w = type}.load()), "no error") << type.DebugString();
  // A symbol of the graph may stand for any size.
  EXPECT_EQ((Declared{.y = declaration({5}), .h = declaration({6})}.load(true)), "no error");
}

}  // namespace
}  // namespace weir
