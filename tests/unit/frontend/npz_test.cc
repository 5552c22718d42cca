#include "compiler/frontend/npz.h"

#include <cstring>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compiler/frontend/npy.h"
#include "compiler/frontend/zip_archive.h"
#include "support.h"

namespace weir {
namespace {

using test::by_formula;
using test::error_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const Weights& arrays() {
  static const Weights tensors{{"f32", by_formula(DType::f32, {3, 5})},
                               {"f64", by_formula(DType::f64, {7})},
                               {"f16", by_formula(DType::f16, {2, 2, 3})},
                               {"i8", by_formula(DType::i8, {9})},
                               {"u8", by_formula(DType::u8, {4, 2})},
                               {"i32", by_formula(DType::i32, {2, 3})},
                               {"i64", by_formula(DType::i64, {6})},
                               {"bool", by_formula(DType::boolean, {10})},
                               {"scalar", by_formula(DType::f32, {})},
                               {"empty", by_formula(DType::f32, {0, 4})},
                               {"columns/first", by_formula(DType::f32, {3, 4})}};
  return tensors;
}

void expect_same(const Weights& actual, const Weights& expected) {
  ASSERT_EQ(actual.size(), expected.size());
  for (const auto& [name, tensor] : expected) {
    auto found = actual.find(name);
    ASSERT_NE(found, actual.end()) << name;
    EXPECT_EQ(found->second.type(), tensor.type()) << name;
    EXPECT_EQ(bytes_of(found->second), bytes_of(tensor)) << name;
  }
}

std::string npy_of(const Tensor& tensor) {
  return npy_header(tensor) + std::string(bytes_of(tensor));
}

// An archive of members with any name and content.
std::string archive_of(const std::vector<std::pair<std::string, std::string>>& members) {
  std::vector<ZipContent> contents;
  for (const auto& [name, content] : members) contents.push_back({name, {content}});
  return zip_archive(contents);
}

Weights npz_of(std::string content) { return read_npz(memory_file(std::move(content), "x.npz")); }
std::string npz_error(std::string content) {
  return error_of([&] { npz_of(std::move(content)); });
}

// Puts another little-endian number at a place of the archive.
template <class Number>
std::string with(std::string archive, std::size_t position, Number number) {
  std::memcpy(archive.data() + position, &number, sizeof number);
  return archive;
}
// The first header in the archive's directory.
std::size_t directory(const std::string& archive) { return archive.rfind("PK\1\2"); }

const std::string& sample() {
  static const std::string archive =
      archive_of({{"x.npy", npy_of(by_formula(DType::f32, {3, 5}))}});
  return archive;
}

TEST(Npz, files_of_numpy) {
  for (std::string name : {"stored.npz", "deflated.npz"})
    expect_same(read_npz(map_file(test::made_by_numpy + name)), arrays());
  expect_same(read_npz(map_file(test::made_by_numpy + "streamed.npz")),
              {{"f32", arrays().at("f32")}, {"bool", arrays().at("bool")}});
  EXPECT_THAT(npz_names(map_file(test::made_by_numpy + "streamed.npz")),
              ElementsAre("f32", "bool"));
  FileBytes file = map_file(test::made_by_numpy + "deflated.npz");
  EXPECT_EQ(bytes_of(read_npz(file, "i64")), bytes_of(arrays().at("i64")));
  EXPECT_THAT(error_of([&] { read_npz(file, "y"); }),
              HasSubstr("deflated.npz: error: there is no tensor 'y'"));
}

TEST(Npz, round_trip_is_aligned_and_mapped) {
  test::TemporaryFolder folder;
  std::string path = folder.path("x.npz");
  write_npz(path, arrays());
  FileBytes file = map_file(path);
  Weights back = read_npz(file);
  expect_same(back, arrays());
  for (const auto& [name, tensor] : back) {
    if (tensor.element_count() == 0) continue;
    auto* data = static_cast<const unsigned char*>(tensor.data());
    EXPECT_TRUE(data >= file.bytes.data() && data < file.bytes.data() + file.bytes.size()) << name;
    EXPECT_EQ((data - file.bytes.data()) % 64, 0) << name;
  }
  std::string first = read_file(path);
  write_npz(path, arrays());
  EXPECT_EQ(read_file(path), first);
}

TEST(Npz, what_is_stored_takes_no_memory_again) {
  Tensor large(DType::f64, {1000, 1000});
  test::TemporaryFolder folder;
  write_npz(folder.path("x.npz"), {{"large", large}});
  FileBytes file = map_file(folder.path("x.npz"));
  EXPECT_LT(test::peak_memory_of([&] { read_npz(file); }), 200'000u);
}

TEST(Npz, names_that_cannot_be) {
  std::string npy = npy_of(Tensor(DType::f32, {1}));
  EXPECT_THAT(npz_error(archive_of({{"readme.txt", npy}})),
              HasSubstr("x.npz: error: the member 'readme.txt' is not a .npy file"));
  EXPECT_THAT(npz_error(archive_of({{".npy", npy}})),
              HasSubstr("name of the member '.npy' is empty"));
  for (std::string name : {"../x.npy", "a/../../x.npy", "/etc/x.npy"})
    EXPECT_THAT(npz_error(archive_of({{name, npy}})),
                HasSubstr("'" + name + "' is a path that leads out of the archive"));
  EXPECT_THAT(npz_error(archive_of({{"a\nb.npy", npy}})), HasSubstr("has control characters"));
  EXPECT_EQ(npz_of(archive_of({{"a..b/x:y.z.npy", npy}})).begin()->first, "a..b/x:y.z");
  EXPECT_EQ(npz_of(archive_of({{"gr\xC3\xB6\xC3\x9F"
                                "e.npy",
                                npy}}))
                .begin()
                ->first,
            "gr\xC3\xB6\xC3\x9F"
            "e");
  // The second of two names becomes the first.
  std::string twice = archive_of({{"a.npy", npy}, {"b.npy", npy}});
  for (std::size_t at = 0; (at = twice.find("b.npy", at)) != std::string::npos;) twice[at] = 'a';
  EXPECT_THAT(npz_error(twice), HasSubstr("two members of the zip archive have the same name"));
  EXPECT_THAT(error_of([] { write_npz("x.npz", {{"../x", Tensor()}}); }),
              HasSubstr("the name '../x' is a path that leads out"));
  EXPECT_THAT(error_of([] { write_npz("x.npz", {}); }), HasSubstr("there is no tensor to write"));
  EXPECT_THAT(error_of([] { write_npz("x.npz", {{"x", Tensor(DType::bf16, {1})}}); }),
              HasSubstr("have no bf16"));
}

TEST(Npz, sizes_are_checked_before_memory_is_taken) {
  constexpr std::size_t kMethod = 10, kCompressed = 20, kSize = 24;
  std::size_t at = directory(sample());
  auto cost = [](std::string archive) {
    FileBytes file = memory_file(std::move(archive), "x.npz");
    return test::peak_memory_of([&] { error_of([&] { read_npz(file); }); });
  };
  auto claims = [&](std::string archive, std::uint32_t size) {
    // In the member's own header and in the directory.
    archive = with(std::move(archive), 22, size);
    std::size_t place = directory(archive) + kSize;
    return with(std::move(archive), place, size);
  };
  std::string stored = claims(sample(), 0xFFFFFF00u);
  EXPECT_THAT(npz_error(stored), HasSubstr("claims 4294967040 bytes from 188 stored; they make "
                                           "exactly 188"));
  EXPECT_LT(cost(stored), 100'000u);

  std::string deflated = read_file(test::made_by_numpy + "deflated.npz");
  std::size_t first = deflated.find("PK\1\2");
  std::string bomb =
      with(with(deflated, first + kSize, std::uint32_t{0x70000000}), 22, std::uint32_t{0x70000000});
  EXPECT_THAT(npz_error(bomb), HasSubstr("claims 1879048192 bytes from"));
  EXPECT_LT(cost(bomb), 100'000u);

  EXPECT_THAT(npz_error(with(with(sample(), at + kCompressed, std::uint32_t{99999}), 18,
                             std::uint32_t{99999})),
              HasSubstr("x.npz: error: "));
  EXPECT_THAT(
      npz_error(with(with(sample(), at + kMethod, std::uint16_t{12}), 8, std::uint16_t{12})),
      HasSubstr("'x.npy' is compressed by method 12; supported are stored (0) and deflated"));
}

TEST(Npz, encrypted_members_are_refused) {
  std::size_t at = directory(sample());
  std::string encrypted = with(with(sample(), at + 8, std::uint16_t{1}), 6, std::uint16_t{1});
  EXPECT_THAT(npz_error(encrypted),
              HasSubstr("the member 'x.npy' is encrypted; store it without a password"));
}

TEST(Npz, damage_is_seen) {
  EXPECT_THAT(npz_error("\x93NUMPY"),
              HasSubstr("this is not a zip archive, or its end is missing"));
  EXPECT_THAT(npz_error(""), HasSubstr("this is not a zip archive"));
  std::string flipped = sample();
  flipped[flipped.size() / 2 - 20] ^= 1;
  EXPECT_THAT(npz_error(flipped), HasSubstr("the member 'x.npy' is damaged: CRC error"));
  std::string deflated = read_file(test::made_by_numpy + "deflated.npz");
  deflated[60] ^= 0x55;
  EXPECT_THAT(npz_error(deflated), HasSubstr("' is damaged: "));
  EXPECT_THAT(npz_error(archive_of({{"x.npy", "not an array"}})),
              HasSubstr("x.npz:x.npy: error: this is not a .npy file"));
}

TEST(Npz, cut_anywhere_is_an_error) {
  for (const std::string& whole : {sample(), read_file(test::made_by_numpy + "streamed.npz")})
    for (std::size_t size = 0; size < whole.size(); ++size)
      EXPECT_THAT(npz_error(whole.substr(0, size)), HasSubstr("x.npz: error: ")) << size;
}

TEST(Npz, mutated_files_give_tensors_or_an_error) {
  std::mt19937 generator(1);
  for (const std::string& whole : {sample(), read_file(test::made_by_numpy + "streamed.npz")})
    for (int i = 0; i < 5000; ++i) {
      std::string mutated = whole;
      for (unsigned n = 1 + generator() % 3; n > 0; --n)
        mutated[generator() % mutated.size()] = static_cast<char>(generator());
      error_of([&] { npz_of(std::move(mutated)); });
    }
}

}  // namespace
}  // namespace weir
