#include "compiler/frontend/tensor_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compiler/frontend/file.h"
#include "compiler/frontend/input_value.h"
#include "support.h"

namespace weir {
namespace {

using test::error_of;
using ::testing::HasSubstr;

std::string place_text(std::string_view text) {
  std::optional<TensorPlace> place = parse_tensor_place(text);
  return place ? place->file + " | " + place->name : "none";
}

TEST(TensorPlace, is_a_file_and_a_name) {
  EXPECT_EQ(place_text("a/x.npy"), "a/x.npy | ");
  EXPECT_EQ(place_text("w.npz"), "w.npz | ");
  EXPECT_EQ(place_text("w.npz:fc.weight"), "w.npz | fc.weight");
  EXPECT_EQ(place_text("a:b/w.safetensors:param:fc.weight"), "a:b/w.safetensors | param:fc.weight");
  EXPECT_EQ(place_text("w.npz:x.npy"), "w.npz | x.npy");
  EXPECT_EQ(place_text("x.csv"), "x.csv | ");
  EXPECT_EQ(place_text("[[1, 2]]"), "none");
  EXPECT_EQ(place_text("x.txt"), "none");
  EXPECT_EQ(place_text("x.npzz"), "none");
  EXPECT_EQ(error_of([] { parse_tensor_place("w.npz:"); }),
            "the name of a tensor is missing behind 'w.npz:'");
  EXPECT_EQ(error_of([] { parse_tensor_place("x.npy:a"); }),
            "'x.npy:a' names a tensor, and a .npy file has one without a name; leave ':a' out");
}

TEST(TensorFile, every_format_gives_back_what_it_took) {
  test::TemporaryFolder folder;
  Tensor tensor = random_tensor(DType::f32, {3, 4}, 1);
  for (const TensorFormat& format : tensor_formats()) {
    std::string path = folder.path("x" + std::string(format.ending));
    write_tensor(*parse_tensor_place(path), tensor, "x");
    TensorType type = tensor.type();
    Tensor back = read_tensor(*parse_tensor_place(path), "x", &type);
    EXPECT_TRUE(compare(back, tensor).identical) << format.ending;
  }
}

TEST(TensorFile, one_of_several_tensors) {
  test::TemporaryFolder folder;
  Weights tensors{{"a", Tensor::from<float>({1}, {1})}, {"b:c", Tensor::from<float>({2}, {1})}};
  for (const TensorFormat& format : tensor_formats()) {
    if (!format.is_named()) continue;
    std::string path = folder.path("x" + std::string(format.ending));
    write_tensors(path, tensors);
    EXPECT_EQ(read_tensors(path).size(), 2u);
    EXPECT_EQ(read_tensor(path + ":a").to_string(), "[1.0]");
    EXPECT_EQ(read_tensor(path + ":b:c").to_string(), "[2.0]");
    TensorPlace place = *parse_tensor_place(path);
    EXPECT_EQ(read_tensor(place, "b:c").to_string(), "[2.0]");
    EXPECT_EQ(error_of([&] { read_tensor(path); }),
              path + ": error: the file holds 'a', 'b:c'; say which one by " + path + ":NAME");
    EXPECT_EQ(error_of([&] { read_tensor(path + ":c"); }),
              path + ": error: the file has no tensor 'c'; it has 'a', 'b:c'");
    // A single one needs no name, whatever it is called.
    write_tensor({path, "only", &format}, tensors.at("a"), "x");
    EXPECT_EQ(read_tensor(path + ":only").to_string(), "[1.0]");
    EXPECT_EQ(read_tensor(place, "x").to_string(), "[1.0]");
  }
}

TEST(TensorFile, types_of_eight_and_sixteen_bits) {
  test::TemporaryFolder folder;
  for (DType dtype : {DType::f16, DType::i8, DType::u8, DType::bf16}) {
    Tensor elements = test::by_formula(dtype == DType::bf16 ? DType::f16 : dtype, {2, 6});
    Tensor tensor = Tensor::view(dtype, {2, 6}, elements.mutable_data());
    for (std::string ending : {".npy", ".npz", ".safetensors"}) {
      std::string path = folder.path("x" + ending);
      auto write = [&] { write_tensor(*parse_tensor_place(path), tensor, "x"); };
      if (dtype == DType::bf16 && ending != ".safetensors") {
        EXPECT_THAT(error_of(write), HasSubstr("have no bf16"));
        continue;
      }
      write();
      Tensor back = read_tensor(path);
      EXPECT_EQ(back.type(), tensor.type());
      EXPECT_EQ(bytes_of(back), bytes_of(tensor));
    }
  }
}

TEST(TensorFile, files_of_onnx) {
  struct {
    const char* name;
    DType dtype;
    Tensor::Sizes sizes;
  } files[] = {{"f32", DType::f32, {3, 5}},    {"f64", DType::f64, {7}},
               {"f16", DType::f16, {2, 2, 3}}, {"i8", DType::i8, {9}},
               {"u8", DType::u8, {4, 2}},      {"i32", DType::i32, {2, 3}},
               {"i64", DType::i64, {6}},       {"bool", DType::boolean, {10}},
               {"scalar", DType::f32, {}},     {"typed", DType::f32, {3, 5}}};
  for (const auto& file : files) {
    Tensor tensor = read_tensor(test::made_by_numpy + file.name + ".pb");
    Tensor expected = test::by_formula(file.dtype, file.sizes);
    EXPECT_EQ(tensor.type(), expected.type()) << file.name;
    EXPECT_EQ(bytes_of(tensor), bytes_of(expected)) << file.name;
    if (file.name == std::string("typed")) continue;
    // Written again it is the same file: ONNX's package writes raw bytes, too.
    test::TemporaryFolder folder;
    write_tensor(*parse_tensor_place(folder.path("x.pb")), tensor, file.name);
    EXPECT_EQ(read_file(folder.path("x.pb")), read_file(test::made_by_numpy + file.name + ".pb"));
  }
}

TEST(TensorFile, errors_of_onnx_tensors) {
  auto message = [](std::string content) {
    test::TemporaryFolder folder;
    std::string path = folder.path("x.pb");
    write_file(path, {content});
    return error_of([&] { read_tensor(path); });
  };
  std::string whole = read_file(test::made_by_numpy + "f32.pb");
  EXPECT_THAT(message(""), HasSubstr("x.pb: error: this is no ONNX tensor: it does not say what"));
  EXPECT_THAT(message("[[1, 2]]"),
              HasSubstr("x.pb: error: this is no ONNX tensor, or one that is"));
  EXPECT_THAT(
      message(std::string("\x08\x01\x10\x01", 4)),
      HasSubstr("x.pb: error: the tensor is wrong: f32[1] has 1 elements, and 0 are given"));
  EXPECT_THAT(message(std::string("\x10\x08", 2)), HasSubstr("x.pb: error: "));  // strings
  for (std::size_t size = 0; size < whole.size(); ++size)
    EXPECT_THAT(message(whole.substr(0, size)), HasSubstr("x.pb: error: ")) << size;
  // A size of 2^62 elements, and no element.
  EXPECT_THAT(message(std::string("\x08\x80\x80\x80\x80\x80\x80\x80\x80\x40\x10\x01", 12)),
              HasSubstr("too many elements"));
}

TEST(TensorFile, errors) {
  EXPECT_THAT(error_of([] { read_tensor("x.txt"); }),
              HasSubstr("'x.txt' is not a file of tensors: it ends in none of .npy, .npz"));
  EXPECT_THAT(error_of([] { read_tensors("x.npy"); }),
              HasSubstr("'x.npy' is not a file of tensors by name"));
  EXPECT_THAT(error_of([] { read_tensor("missing.csv"); }), HasSubstr("there is no such file"));
}

}  // namespace
}  // namespace weir
