#include "compiler/frontend/model_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compiler/frontend/file.h"
#include "compiler/frontend/npy.h"
#include "compiler/frontend/safetensors.h"
#include "compiler/frontend/tensor_file.h"
#include "ir/interpreter.h"
#include "support.h"

namespace weir {
namespace {

using test::error_of;
using ::testing::HasSubstr;

constexpr std::string_view kModel = R"(graph @m(%x: f32[N, 2]) -> (f32[N, 2]) {
  param %slope: f32[2]
  param %shift: f32[]
  %y = leaky_relu(%x)
  return %y
}
)";

TEST(ModelFile, weights_are_found_beside_or_given) {
  test::TemporaryFolder folder;
  write_file(folder.path("m.weir"), {kModel});
  Weights weights{{"slope", Tensor(DType::f32, {2})}, {"shift", Tensor()}, {"other", Tensor()}};
  EXPECT_THAT(
      error_of([&] { load_model(folder.path("m.weir")); }),
      HasSubstr("m.weir:2:9: error: the graph has params (slope, shift), and there is no file " +
                folder.path("m.safetensors")));
  for (std::string elsewhere : {folder.path("elsewhere.safetensors"), folder.path("other.npz")}) {
    write_tensors(elsewhere, weights);
    EXPECT_EQ(load_model(folder.path("m.weir"), elsewhere).weights.size(), 2u);
  }
  write_file(folder.path("w.npy"), {"no tensors by name"});
  EXPECT_THAT(error_of([&] { load_model(folder.path("m.weir"), folder.path("w.npy")); }),
              HasSubstr("w.npy' is not a file of tensors by name: those end in .npz and "
                        ".safetensors"));
  write_safetensors(folder.path("m.safetensors"), weights);
  EXPECT_EQ(load_model(folder.path("m.weir")).weights.count("other"), 0u);
  EXPECT_THAT(error_of([&] { load_model(folder.path("m.weir"), folder.path("nowhere")); }),
              HasSubstr("there is no such file"));
}

TEST(ModelFile, all_missing_and_wrong_params_are_named_at_once) {
  test::TemporaryFolder folder;
  write_file(folder.path("m.weir"), {kModel});
  auto message = [&](const Weights& weights) {
    write_safetensors(folder.path("m.safetensors"), weights);
    return error_of([&] { load_model(folder.path("m.weir")); });
  };
  EXPECT_THAT(
      message({}),
      HasSubstr(
          "m.safetensors: error: the file has no slope (f32[2]), shift (f32[]); it has nothing"));
  EXPECT_THAT(message({{"scale", Tensor()}, {"slope", Tensor(DType::f64, {2})}}),
              HasSubstr("the file has no shift (f32[]); it has 'scale' (f32[]), 'slope' (f64[2]); "
                        "slope is declared as f32[2] and is f64[2] there"));
}

TEST(ModelFile, a_param_has_sizes) {
  test::TemporaryFolder folder;
  write_file(folder.path("m.weir"),
             {"graph @m(%x: f32[N]) -> (f32[N]) {\n  param %w: f32[N]\n  return %x\n}\n"});
  write_safetensors(folder.path("m.safetensors"), {{"w", Tensor(DType::f32, {2})}});
  EXPECT_THAT(error_of([&] { load_model(folder.path("m.weir")); }),
              HasSubstr("the sizes of a param must be numbers"));
}

TEST(ModelFile, digits_agree_with_the_reference) {
  std::string folder = WEIR_SOURCE_DIR "/examples/digits/";
  Model model = load_model(folder + "digits.weir");
  Tensor all = read_npy(folder + "x_test.npy"), all_logits = read_npy(folder + "logits.npy");
  constexpr std::int64_t kImages = 60;
  Tensor x = Tensor::from(all.elements<float>().first(kImages * 64), {kImages, 64});
  Tensor logits = Tensor::from(all_logits.elements<float>().first(kImages * 10), {kImages, 10});
  for (bool has_fma : {true, false}) {
    InterpretOptions options{{scalar::Numerics::Mode::expanded, has_fma}};
    Tensor result = interpret(model.graph, model.weights, {{"x", x}}, options)[0];
    EXPECT_LT(compare(result, logits).relative(), 1e-5);
  }
}

}  // namespace
}  // namespace weir
