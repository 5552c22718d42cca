// ConvTranspose read and written: output_shape, output_padding and auto_pad, with asymmetric pads,
// groups and dilations, along one to three axes. What is read gives what ONNX's formula does, and
// what is written of it one ConvTranspose that gives the same again, read or in ONNX Runtime.
//
// Tensors hold small integers, so that every order of additions gives the same bits.
#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compiler/frontend/onnx/export.h"
#include "ir/interpreter.h"
#include "onnx_models.h"
#include "support.h"
#include "tests/support/onnxruntime.h"

namespace weir::test {
namespace {

using testing::HasSubstr;
using Integers = std::vector<std::int64_t>;

constexpr std::int64_t kBatch = 2, kChannels = 4, kOfGroup = 3;  // filters of a group

// Empty lists are left out of the node. `pads` has all beginnings before all ends.
struct TransposedCase {
  Integers image, kernel, strides, dilations, pads, output_padding, output_shape;
  std::string auto_pad;
  std::int64_t groups = 1;
  bool has_bias = false;

  std::string name() const {
    return fmt::format("x {} w {} strides {} dilations {} pads {} padding {} shape {} {} groups {}",
                       image, kernel, strides, dilations, pads, output_padding, output_shape,
                       auto_pad, groups);
  }
};

std::vector<TransposedCase> transposed_cases() {
  return {
      // output_padding, at most a stride or a dilation less one
      {{5}, {3}, {2}, {}, {}, {1}, {}, "", 1, true},
      {{4}, {3}, {3}, {2}, {1, 2}, {2}, {}, "", 2},
      {{3}, {2}, {1}, {4}, {2, 0}, {3}, {}, "", 4, true},
      {{4, 3}, {3, 2}, {2, 3}, {}, {1, 0, 0, 1}, {1, 2}, {}, "", 1},
      {{3, 5}, {2, 3}, {2, 1}, {1, 3}, {0, 2, 1, 3}, {1, 2}, {}, "", 2, true},
      {{2, 3, 2}, {2, 1, 3}, {2, 3, 2}, {2, 1, 1}, {1, 0, 2, 0, 0, 1}, {1, 2, 1}, {}, "", 1, true},
      {{2, 2, 3}, {3, 2, 2}, {1, 2, 1}, {1, 1, 2}, {}, {0, 1, 0}, {}, "", 4},
      // output_shape: the frame follows, and an odd element is at its start, unless SAME_UPPER
      {{5}, {4}, {2}, {}, {}, {}, {9}, "", 1},
      {{5}, {4}, {2}, {}, {}, {}, {9}, "SAME_UPPER", 1, true},
      {{5}, {4}, {2}, {}, {}, {}, {9}, "SAME_LOWER", 2},
      {{5}, {3}, {2}, {2}, {}, {1}, {10}, "", 1},
      {{4}, {3}, {2}, {}, {}, {}, {12}, "", 1, true},  // more than the windows reach
      {{4, 3}, {3, 4}, {2, 2}, {}, {}, {}, {7, 5}, "", 2, true},
      {{4, 3}, {3, 4}, {2, 2}, {}, {}, {}, {2, 12, 7, 5}, "SAME_UPPER", 1},
      {{2, 3, 2}, {3, 3, 2}, {2, 1, 2}, {1, 2, 1}, {}, {}, {4, 6, 3}, "", 1},
      {{2, 3, 2}, {3, 3, 2}, {2, 1, 2}, {1, 2, 1}, {}, {1, 0, 0}, {4, 6, 3}, "SAME_UPPER", 2, true},
      // auto_pad: as many elements as x has, times the stride
      {{5}, {4}, {1}, {}, {}, {}, {}, "SAME_UPPER", 1},
      {{5}, {4}, {1}, {}, {}, {}, {}, "SAME_LOWER", 4, true},
      {{4}, {2}, {3}, {}, {}, {}, {}, "SAME_UPPER", 1},  // fewer than the windows reach
      {{4, 3}, {5, 4}, {2, 1}, {1, 2}, {}, {}, {}, "SAME_UPPER", 2},
      {{4, 3}, {5, 4}, {2, 1}, {1, 2}, {}, {1, 0}, {}, "SAME_LOWER", 1, true},
      {{3, 2, 4}, {2, 4, 3}, {1, 2, 2}, {3, 1, 1}, {}, {}, {}, "SAME_UPPER", 1, true},
      {{4, 3}, {3, 2}, {2, 2}, {}, {}, {1, 1}, {}, "VALID", 2},
  };
}

Tensor small_integers(const Tensor::Sizes& sizes, std::int64_t step) {
  Tensor tensor(DType::f32, sizes);
  std::int64_t state = step;
  for (float& element : tensor.mutable_elements<float>()) {
    state = (state * step + 3) % 101;
    element = static_cast<float>(state % 9 - 4);
  }
  return tensor;
}

Tensor::Sizes with_spatial(std::int64_t first, std::int64_t second, const Integers& spatial) {
  Tensor::Sizes sizes{first, second};
  sizes.insert(sizes.end(), spatial.begin(), spatial.end());
  return sizes;
}

Tensor x_of(const TransposedCase& one) {
  return small_integers(with_spatial(kBatch, kChannels, one.image), 7);
}
Tensor w_of(const TransposedCase& one) {
  return small_integers(with_spatial(kChannels, kOfGroup, one.kernel), 11);
}
Tensor bias_of(const TransposedCase& one) { return small_integers({kOfGroup * one.groups}, 13); }

std::int64_t entry(const Integers& list, std::size_t i, std::int64_t otherwise) {
  return list.empty() ? otherwise : list[i];
}

// What ONNX says of the result along an axis.
struct ResultAxis {
  std::int64_t size, begin;  // elements, and those taken off at the beginning
};

ResultAxis axis_of(const TransposedCase& one, std::size_t i) {
  const std::size_t rank = one.image.size();
  const std::int64_t stride = entry(one.strides, i, 1), padding = entry(one.output_padding, i, 0);
  const std::int64_t all =
      stride * (one.image[i] - 1) + padding + (one.kernel[i] - 1) * entry(one.dilations, i, 1) + 1;
  std::optional<std::int64_t> wanted;
  if (one.auto_pad.starts_with("SAME")) wanted = one.image[i] * stride;
  if (!one.output_shape.empty()) wanted = one.output_shape[one.output_shape.size() - rank + i];
  if (!wanted) {
    const std::int64_t begin = entry(one.pads, i, 0);
    return {all - begin - entry(one.pads, rank + i, 0), begin};
  }
  const std::int64_t total = std::max<std::int64_t>(0, all - *wanted);
  return {*wanted, one.auto_pad == "SAME_UPPER" ? total / 2 : total - total / 2};
}

// All places within these sizes, row-major.
std::vector<Integers> places(const Integers& sizes) {
  std::vector<Integers> all{{}};
  for (std::int64_t size : sizes) {
    std::vector<Integers> longer;
    for (const Integers& place : all)
      for (std::int64_t i = 0; i < size; ++i) {
        longer.push_back(place);
        longer.back().push_back(i);
      }
    all = std::move(longer);
  }
  return all;
}

std::int64_t offset_of(const Integers& place, const Tensor::Sizes& sizes) {
  std::int64_t offset = 0;
  for (std::size_t i = 0; i < sizes.size(); ++i) offset = offset * sizes[i] + place[i];
  return offset;
}

// Each element of x times a filter, added where that lies in the result.
Tensor by_definition(const TransposedCase& one) {
  const Tensor x = x_of(one), w = w_of(one), bias = bias_of(one);
  std::vector<ResultAxis> axes;
  Integers spatial;
  for (std::size_t i = 0; i < one.image.size(); ++i) {
    axes.push_back(axis_of(one, i));
    spatial.push_back(axes.back().size);
  }
  Tensor y(DType::f32, with_spatial(kBatch, kOfGroup * one.groups, spatial));
  const auto from = x.elements<float>(), filters = w.elements<float>();
  const auto into = y.mutable_elements<float>();
  const std::int64_t of_group = kChannels / one.groups;
  for (const Integers& at : places(x.sizes()))
    for (const Integers& tap : places(w.sizes())) {
      if (tap[0] != at[1]) continue;
      Integers place{at[0], at[1] / of_group * kOfGroup + tap[1]};
      bool inside = true;
      for (std::size_t i = 0; i < axes.size(); ++i) {
        place.push_back(at[i + 2] * entry(one.strides, i, 1) +
                        tap[i + 2] * entry(one.dilations, i, 1) - axes[i].begin);
        inside = inside && place.back() >= 0 && place.back() < axes[i].size;
      }
      if (!inside) continue;
      into[static_cast<std::size_t>(offset_of(place, y.sizes()))] +=
          from[static_cast<std::size_t>(offset_of(at, x.sizes()))] *
          filters[static_cast<std::size_t>(offset_of(tap, w.sizes()))];
    }
  if (!one.has_bias) return y;
  for (const Integers& place : places(y.sizes()))
    into[static_cast<std::size_t>(offset_of(place, y.sizes()))] +=
        bias.elements<float>()[static_cast<std::size_t>(place[1])];
  return y;
}

// With x of these dimensions behind its channels.
OnnxModel transposed_model(const TransposedCase& one, const std::vector<OnnxDim>& image) {
  OnnxModel model(17);
  std::vector<OnnxDim> dims{static_cast<int>(kBatch), static_cast<int>(kChannels)};
  dims.insert(dims.end(), image.begin(), image.end());
  model.input("x", dims).output("y").initializer("w", w_of(one));
  std::vector<std::string> inputs{"x", "w"};
  if (one.has_bias) {
    model.initializer("b", bias_of(one));
    inputs.emplace_back("b");
  }
  onnx::NodeProto& node = model.node("ConvTranspose", inputs, {"y"}, "transposed");
  auto set = [&](const char* name, const Integers& values) {
    if (!values.empty()) set_ints(node, name, values);
  };
  set("kernel_shape", one.kernel);
  set("strides", one.strides);
  set("dilations", one.dilations);
  set("pads", one.pads);
  set("output_padding", one.output_padding);
  set("output_shape", one.output_shape);
  if (!one.auto_pad.empty()) set_text(node, "auto_pad", one.auto_pad);
  if (one.groups != 1) set_int(node, "group", one.groups);
  return model;
}

OnnxModel transposed_model(const TransposedCase& one) {
  std::vector<OnnxDim> image;
  for (std::int64_t size : one.image) image.emplace_back(static_cast<int>(size));
  return transposed_model(one, image);
}

void expect_same(const Tensor& actual, const Tensor& expected, const char* where) {
  ASSERT_EQ(to_string(actual.type()), to_string(expected.type())) << where;
  EXPECT_TRUE(compare(actual, expected).identical)
      << where << ": " << actual.to_string() << " for " << expected.to_string();
}

TEST(OnnxConvTranspose, GivesWhatItsDefinitionDoesReadAndWritten) {
  std::optional<OnnxRuntime> runtime;
  if (onnxruntime_path() != nullptr) runtime.emplace(onnxruntime_path());
  for (const TransposedCase& one : transposed_cases()) {
    SCOPED_TRACE(one.name());
    const Model model = transposed_model(one).load();
    const Tensor expected = by_definition(one);
    const Inputs inputs{{"x", x_of(one)}};
    expect_same(interpret(model.graph, model.weights, inputs).at(0), expected, "read");

    const std::string written = export_onnx(model);
    onnx::ModelProto proto;
    ASSERT_TRUE(proto.ParseFromString(written));
    EXPECT_EQ(std::ranges::count(proto.graph().node(), "ConvTranspose", &onnx::NodeProto::op_type),
              1);
    const Model again = read_onnx(memory_file(written, "written.onnx"), ".");
    expect_same(interpret(again.graph, again.weights, inputs).at(0), expected, "written");
    // They take less than a stride of padding, ONNX less than a dilation, too.
    bool is_theirs = true;
    for (std::size_t i = 0; i < one.image.size(); ++i)
      is_theirs = is_theirs && entry(one.output_padding, i, 0) <
                                   std::max<std::int64_t>(1, entry(one.strides, i, 1));
    if (!runtime || !is_theirs) continue;
    OnnxSession session(*runtime, written);
    expect_same(run_onnx(*runtime, session, inputs, {"y"}).at(0), expected, "ONNX Runtime");
  }
}

// Where the frame is known ahead, sizes need not be.
TEST(OnnxConvTranspose, OfSizesThatAreSymbols) {
  for (TransposedCase one : transposed_cases()) {
    if (!one.output_shape.empty()) continue;
    SCOPED_TRACE(one.name());
    std::vector<OnnxDim> image;
    for (std::size_t i = 0; i < one.image.size(); ++i) image.emplace_back(i == 0 ? "A" : "B");
    const Model model = transposed_model(one, image).load();
    for (std::int64_t size : {2, 3, 6}) {
      one.image.assign(one.image.size(), size);
      expect_same(interpret(model.graph, model.weights, {{"x", x_of(one)}}).at(0),
                  by_definition(one), "read");
    }
  }
}

TEST(OnnxConvTranspose, SaysWhatDoesNotFit) {
  TransposedCase one{{4, 3}, {3, 2}, {2, 2}, {}, {}, {}, {8, 6, 1}, ""};
  EXPECT_THAT(error_of([&] { transposed_model(one).load(); }),
              HasSubstr("output_shape is [8, 6, 1]; 2 entries are needed"));
  one.output_shape = {8, 6};
  EXPECT_THAT(error_of([&] { transposed_model(one, {"H", 3}).load(); }),
              HasSubstr("its result is to have 8 elements along an axis of H; declare the size as "
                        "a number"));
  one.output_shape.clear();
  one.output_padding = {1};
  EXPECT_THAT(error_of([&] { transposed_model(one).load(); }), HasSubstr("output_padding"));
}

}  // namespace
}  // namespace weir::test
