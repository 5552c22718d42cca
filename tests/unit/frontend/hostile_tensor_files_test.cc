// Tensor files that are made to do harm: little text that stands for much, and parts that share
// bytes. tests/fuzz has a target for each format; here are what random changes do not find.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compiler/frontend/csv.h"
#include "compiler/frontend/literal.h"
#include "compiler/frontend/npy.h"
#include "compiler/frontend/npz.h"
#include "compiler/frontend/safetensors.h"
#include "compiler/frontend/zip_archive.h"
#include "support.h"
#include "tests/support/growth.h"

namespace weir {
namespace {

using test::error_of;
using test::growth;
using test::kLinearGrowth;
using ::testing::HasSubstr;

FileBytes file_of(std::string content, const std::string& name) {
  return memory_file(std::move(content), name);
}

// --- Zip archives ------------------------------------------------------------

std::string little_endian(std::uint64_t number, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += static_cast<char>((number >> (8 * i)) & 0xFF);
  return text;
}

std::uint32_t crc32(std::string_view text) {
  std::uint32_t crc = 0xFFFFFFFF;
  for (char c : text) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (crc & 1 ? 0xEDB88320 : 0);
  }
  return ~crc;
}

// What the header before a stored member and the one in the directory have in common.
std::string zip_fields(std::string_view name, std::string_view content) {
  return little_endian(20, 2) + std::string(4, '\0') + little_endian(0, 2) + little_endian(33, 2) +
         little_endian(crc32(content), 4) + little_endian(content.size(), 4) +
         little_endian(content.size(), 4) + little_endian(name.size(), 2) + little_endian(0, 2);
}

// Members that lie one inside the other: what follows a member's header, up to the directory, is
// its content, and begins with a .npy header for so many bytes.
std::string nested_zip(int count) {
  std::string inner = npy_header(Tensor(DType::u8, {1})) + "x";
  std::string directory;
  std::vector<std::pair<std::string, std::string>> members;  // header with content, entry
  std::string body = inner;
  for (int i = 0; i < count; ++i) {
    std::string name = "m" + std::to_string(i) + ".npy";
    std::string local = "PK\3\4" + zip_fields(name, body) + name;
    members.emplace_back(local + body, "PK\1\2" + little_endian(20, 2) + zip_fields(name, body) +
                                           std::string(10, '\0'));
    members.back().second += "OFFS" + name;
    std::string content = local + body;
    body = npy_header(Tensor(DType::u8, {static_cast<std::int64_t>(content.size())})) + content;
  }
  const std::string& whole = members.back().first;
  for (auto& [local, entry] : members) {
    std::size_t offset = whole.size() - local.size();
    entry.replace(entry.find("OFFS"), 4, little_endian(offset, 4));
    directory += entry;
  }
  return whole + directory + "PK\5\6" + std::string(4, '\0') + little_endian(members.size(), 2) +
         little_endian(members.size(), 2) + little_endian(directory.size(), 4) +
         little_endian(whole.size(), 4) + little_endian(0, 2);
}

TEST(HostileTensorFiles, MembersThatShareBytes) {
  EXPECT_EQ(read_npz(file_of(nested_zip(1), "x.npz")).at("m0").element_count(), 1);
  for (int count : {3, 5, 50})
    EXPECT_THAT(error_of([&] { read_npz(file_of(nested_zip(count), "x.npz")); }),
                HasSubstr("bytes of an archive of"))
        << count;
}

TEST(HostileTensorFilesGrowth, WithMembers) {
  auto read = [](int count) {
    std::vector<ZipContent> members;
    std::vector<std::string> names;
    std::string content = npy_header(Tensor(DType::u8, {1})) + "x";
    for (int i = 0; i < count; ++i)
      members.push_back({"m" + std::to_string(i) + ".npy", {content}});
    FileBytes file = file_of(zip_archive(members), "x.npz");
    EXPECT_EQ(read_npz(file).size(), members.size());
    EXPECT_EQ(read_npz(file, "m0").element_count(), 1);
  };
  EXPECT_LT(growth(read, 200), kLinearGrowth);
}

// --- Text --------------------------------------------------------------------

std::string repeated(std::string_view text, int count) {
  std::string result;
  for (int i = 0; i < count; ++i) result += text;
  return result;
}

TEST(HostileTensorFilesGrowth, OfCsv) {
  auto grows = [](std::string_view first, std::string_view row, std::string_view last, int count) {
    return growth(
        [&](int n) {
          FileBytes file =
              file_of(std::string(first) + repeated(row, n) + std::string(last), "x.csv");
          error_of([&] { read_csv(file); });
        },
        count);
  };
  EXPECT_LT(grows("", "1,2,3\n", "", 5000), kLinearGrowth);
  EXPECT_LT(grows("a,b\n", "1,2\n", "1,x\n", 5000), kLinearGrowth);
  EXPECT_LT(grows("", "1,", "1\n", 5000), kLinearGrowth);
  EXPECT_LT(grows("", "\"a\"\"b\",", "c\n1\n", 5000), kLinearGrowth);
  EXPECT_LT(grows("\"", "\"\"", "", 50'000), kLinearGrowth);
  EXPECT_LT(grows("", "\n", "1\n", 50'000), kLinearGrowth);
  EXPECT_LT(grows("1\n", " \n", "", 50'000), kLinearGrowth);
  EXPECT_LT(grows("1", " ", ",2", 50'000), kLinearGrowth);
  EXPECT_LT(grows("", "9", "\n", 50'000), kLinearGrowth);
}

TEST(HostileTensorFilesGrowth, OfLiterals) {
  auto grows = [](std::string_view first, std::string_view part, std::string_view last, int count) {
    return growth(
        [&](int n) {
          std::string text = std::string(first) + repeated(part, n) + std::string(last);
          error_of([&] { parse_literal(text, DType::f32); });
        },
        count);
  };
  EXPECT_LT(grows("[", "1,", "]", 10'000), kLinearGrowth);
  EXPECT_LT(grows("[", "1,\n", "x]", 10'000), kLinearGrowth);
  EXPECT_LT(grows("[", "[1],", "]", 10'000), kLinearGrowth);
  EXPECT_LT(grows("[", "[],", "]", 10'000), kLinearGrowth);
  EXPECT_LT(grows("", "[", "", 100'000), kLinearGrowth);
  EXPECT_LT(grows("0.", "0", "1", 100'000), kLinearGrowth);
  EXPECT_LT(grows("", "9", "", 100'000), kLinearGrowth);
}

// --- Headers -----------------------------------------------------------------

TEST(HostileTensorFilesGrowth, OfSafetensors) {
  auto read = [](int count) {
    std::string header = "{";
    for (int i = 0; i < count; ++i)
      header += (i == 0 ? "\"t" : ",\"t") + std::to_string(i) +
                R"(":{"dtype":"U8","shape":[1],"data_offsets":[)" + std::to_string(i) + "," +
                std::to_string(i + 1) + "]}";
    header += "}";
    FileBytes file = file_of(little_endian(header.size(), 8) + header +
                                 std::string(static_cast<std::size_t>(count), 'x'),
                             "x.safetensors");
    EXPECT_EQ(read_safetensors(file).size(), static_cast<std::size_t>(count));
  };
  EXPECT_LT(growth(read, 1000), kLinearGrowth);
}

// All of them without a byte of data, at one place.
TEST(HostileTensorFiles, ManyTensorsAtOnePlace) {
  std::string header = "{";
  for (int i = 0; i < 10'000; ++i)
    header += (i == 0 ? "\"t" : ",\"t") + std::to_string(i) +
              R"(":{"dtype":"F64","shape":[0,9223372036854775807],"data_offsets":[0,0]})";
  header += "}";
  FileBytes file = file_of(little_endian(header.size(), 8) + header, "x.safetensors");
  std::string message;
  std::size_t memory =
      test::peak_memory_of([&] { message = error_of([&] { read_safetensors(file); }); });
  EXPECT_LT(memory, 16 * header.size() + (64 << 10));
}

}  // namespace
}  // namespace weir
