// A model must not be able to read what lies outside its folder, whatever its external data is
// called and whatever the files there are, nor to ask for more than the files hold.

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ir/escape.h"
#include "onnx_models.h"
#include "support.h"

namespace weir {
namespace {

using test::OnnxModel;
using ::testing::AnyOf;
using ::testing::HasSubstr;

constexpr int kFloats = 16;

// A folder that holds `secret`, and the model's folder within it, with 16 floats 0 ... 15.
class HostileExternalData : public ::testing::Test {
 protected:
  HostileExternalData() {
    std::filesystem::create_directories(model("sub"));
    write(outside("secret"));
    write(model("weights"));
    write(model("sub/weights"));
  }

  std::string outside(const std::string& name) const { return folder_.path(name); }
  std::string model(const std::string& name = {}) const { return folder_.path("model/" + name); }

  static void write(const std::string& path) {
    std::ofstream file(path, std::ios::binary);
    for (int i = 0; i < kFloats; ++i) {
      auto value = static_cast<float>(i);
      file.write(reinterpret_cast<const char*>(&value), sizeof value);
    }
  }

  using Entries = std::vector<std::pair<std::string, std::string>>;

  static onnx::TensorProto tensor(const Entries& entries, std::vector<std::int64_t> dims) {
    onnx::TensorProto proto;
    proto.set_name("w");
    proto.set_data_type(onnx::TensorProto::FLOAT);
    for (std::int64_t dim : dims) proto.add_dims(dim);
    proto.set_data_location(onnx::TensorProto::EXTERNAL);
    for (const auto& [key, value] : entries) {
      auto* entry = proto.add_external_data();
      entry->set_key(key);
      entry->set_value(value);
    }
    return proto;
  }

  Model load(const Entries& entries, std::vector<std::int64_t> dims = {kFloats}) const {
    OnnxModel onnx_model;
    onnx_model.output("y").node("Neg", {"w"}, {"y"});
    *onnx_model.graph().add_initializer() = tensor(entries, std::move(dims));
    return read_onnx(memory_file(onnx_model.proto().SerializeAsString(), "m.onnx"),
                     model().substr(0, model().size() - 1));
  }

  // The message, which can be shown; "no error" if there is none.
  std::string message(const Entries& entries, std::vector<std::int64_t> dims = {kFloats}) const {
    std::string text = test::error_of([&] { load(entries, std::move(dims)); });
    EXPECT_EQ(printable(text), text);
    return text;
  }
  std::string message(const std::string& location) const {
    return message(Entries{{"location", location}});
  }

  test::TemporaryFolder folder_;
};

TEST_F(HostileExternalData, InsideTheFolderIsRead) {
  for (const char* location : {"weights", "./weights", "sub/weights", "sub//./weights"}) {
    Model loaded = load({{"location", location}, {"offset", "0"}, {"length", "64"}});
    EXPECT_EQ(loaded.weights.at("w").elements<float>()[3], 3.0f) << location;
  }
  Model part = load({{"location", "weights"}, {"offset", "8"}}, {3});
  EXPECT_EQ(part.weights.at("w").elements<float>()[0], 2.0f);
  EXPECT_EQ(message({{"location", "weights"}, {"offset", "3"}}, {3}), "no error");
  EXPECT_EQ(message({{"location", "weights"}, {"checksum", "0123"}}), "no error");
}

TEST_F(HostileExternalData, ParentFoldersAreRefused) {
  for (const char* location : {"..", "../secret", "./../secret", "sub/../../secret",
                               "sub/../weights", "nothing/../../secret", "sub/.././../secret"})
    EXPECT_THAT(message(location), HasSubstr("has a .. in its path, which is not allowed"))
        << location;
  // No separators here, so these are names, and no file has them.
  for (const char* location : {"..\\secret", "%2e%2e/secret", "C:\\secret", "file:../secret"})
    EXPECT_NE(message(location), "no error") << location;
}

TEST_F(HostileExternalData, AbsolutePathsAreRefused) {
  for (const std::string& location :
       {outside("secret"), model("weights"), "/" + outside("secret"), std::string("/"),
        std::string("/dev/zero"), std::string("/proc/self/environ")})
    EXPECT_THAT(message(location), HasSubstr("absolute path")) << location;
}

TEST_F(HostileExternalData, SymbolicLinksAreRefused) {
  std::filesystem::create_symlink(outside("secret"), model("absolute"));
  std::filesystem::create_symlink("../secret", model("relative"));
  std::filesystem::create_symlink("weights", model("inside"));
  std::filesystem::create_symlink("relative", model("twice"));
  std::filesystem::create_symlink("circle", model("circle"));
  std::filesystem::create_directory_symlink("..", model("parent"));
  std::filesystem::create_directory_symlink("sub", model("folder"));
  for (const char* location : {"absolute", "relative", "inside", "twice", "circle", "parent/secret",
                               "folder/weights", "parent", "sub/../parent/secret"})
    EXPECT_THAT(message(location), AnyOf(HasSubstr("symbolic link"), HasSubstr("has a ..")))
        << location;
}

TEST_F(HostileExternalData, HardLinksAreRefused) {
  std::filesystem::create_hard_link(outside("secret"), model("hard"));
  EXPECT_THAT(message("hard"), HasSubstr("hard link"));
  std::filesystem::remove(outside("secret"));
  EXPECT_EQ(message("hard"), "no error");
}

TEST_F(HostileExternalData, WhatIsNoFileIsRefused) {
  ASSERT_EQ(::mkfifo(model("pipe").c_str(), 0600), 0);
  EXPECT_THAT(message("pipe"), HasSubstr("not a regular file"));
  for (const char* location : {"sub", "sub/", ".", "./", "sub/."})
    EXPECT_THAT(message(location), AnyOf(HasSubstr("folder"), HasSubstr("not a regular file")))
        << location;
  EXPECT_THAT(message("weights/"), HasSubstr("folder"));
  EXPECT_NE(message("weights/x"), "no error");
  EXPECT_NE(message("missing"), "no error");

  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::string path = model("socket");
  ASSERT_LT(path.size(), sizeof address.sun_path);
  std::memcpy(address.sun_path, path.c_str(), path.size());
  int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
  if (::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
    EXPECT_NE(message("socket"), "no error");
  }
  ::close(socket);
  // /dev/zero under another name; only root may make one.
  if (::mknod(model("device").c_str(), S_IFCHR | 0600, ::makedev(1, 5)) == 0) {
    EXPECT_THAT(message("device"), AnyOf(HasSubstr("not a regular file"), HasSubstr("opened")));
  }
}

TEST_F(HostileExternalData, NamesWithAnyBytes) {
  using namespace std::string_literals;
  EXPECT_THAT(message(""), HasSubstr("no name"));
  EXPECT_THAT(message("weights\0.bin"s), HasSubstr("zero byte"));
  for (const std::string& location :
       {"a\nb"s, "\x1B[2J"s, "\xC3\x28"s, "\xFF"s, std::string(100'000, 'a'),
        std::string(100'000, '/'), "a/" + std::string(300, '\n')}) {
    std::string text = message(location);
    EXPECT_NE(text, "no error");
    EXPECT_LT(text.size(), 2000u);
  }
}

TEST_F(HostileExternalData, OffsetsAndLengthsAreChecked) {
  auto with = [&](const std::string& key, const std::string& value) {
    return message({{"location", "weights"}, {key, value}}, {4});
  };
  for (const char* value : {"-1", "1e3", " 16", "16 ", "0x10", "+8", "", "sixteen", "1.0",
                            "99999999999999999999999", "-9223372036854775808"}) {
    EXPECT_THAT(with("offset", value), HasSubstr("number of bytes")) << value;
    EXPECT_THAT(with("length", value), HasSubstr("number of bytes")) << value;
  }
  for (const char* value : {"49", "64", "65", "4294967296", "9223372036854775807",
                            "18446744073709551615", "18446744073709551600"})
    EXPECT_THAT(with("offset", value), HasSubstr("; the file has ")) << value;
  for (const char* value : {"0", "15", "17", "64", "18446744073709551615"})
    EXPECT_THAT(with("length", value), HasSubstr("takes 16 bytes")) << value;
  EXPECT_THAT(message({{"location", "weights"}, {"location", "../secret"}}), HasSubstr("twice"));
  EXPECT_THAT(message(Entries{}), HasSubstr("no location"));
}

TEST_F(HostileExternalData, SizesAreCheckedBeforeMemoryIsTaken) {
  for (const std::vector<std::int64_t>& dims :
       std::vector<std::vector<std::int64_t>>{{17},
                                              {-16},
                                              {-4, -4},
                                              {1 << 30},
                                              {std::int64_t{1} << 32, std::int64_t{1} << 32},
                                              {INT64_MAX},
                                              {INT64_MIN},
                                              {3, INT64_MAX / 3},
                                              {std::int64_t{1} << 62, 4}}) {
    std::size_t memory = test::peak_memory_of(
        [&] { EXPECT_NE(message({{"location", "weights"}}, dims), "no error"); });
    EXPECT_LT(memory, 100'000u);
  }
  // Nothing is read of a tensor without elements, but its file is looked for.
  EXPECT_EQ(message({{"location", "weights"}, {"offset", "64"}}, {0, 1 << 30}), "no error");
  EXPECT_NE(message({{"location", "../secret"}}, {0}), "no error");
}

TEST_F(HostileExternalData, OnlyInitializersHaveIt) {
  OnnxModel onnx_model;
  onnx_model.output("y");
  auto& node = onnx_model.node("Constant", {}, {"y"});
  *test::attribute(node, "value", onnx::AttributeProto::TENSOR).mutable_t() =
      tensor({{"location", "weights"}}, {kFloats});
  EXPECT_THAT(test::error_of([&] {
                read_onnx(memory_file(onnx_model.proto().SerializeAsString(), "m.onnx"), model());
              }),
              HasSubstr("another file"));
}

// The folder is the one that holds the model's file, also where the path has no folder in it.
TEST_F(HostileExternalData, TheFolderIsTheModels) {
  OnnxModel onnx_model;
  onnx_model.output("y").node("Neg", {"w"}, {"y"});
  *onnx_model.graph().add_initializer() = tensor({{"location", "../secret"}}, {kFloats});
  std::ofstream(model("m.onnx"), std::ios::binary) << onnx_model.proto().SerializeAsString();
  EXPECT_THAT(test::error_of([&] { load_onnx(model("m.onnx")); }), HasSubstr("has a .."));

  std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(model());
  EXPECT_THAT(test::error_of([] { load_onnx("m.onnx"); }), HasSubstr("has a .."));
  std::filesystem::current_path(before);
}

}  // namespace
}  // namespace weir
