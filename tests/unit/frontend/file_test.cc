#include "compiler/frontend/file.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support.h"

namespace weir {
namespace {

using test::error_of;
using test::TemporaryFolder;
using ::testing::HasSubstr;

TEST(File, round_trip) {
  TemporaryFolder folder;
  for (std::string content :
       {std::string(), std::string("one\0two", 7), std::string(1 << 20, 'x')}) {
    std::string path = folder.path("file");
    write_file(path, {content.substr(0, content.size() / 2), content.substr(content.size() / 2)});
    EXPECT_EQ(read_file(path), content);
    EXPECT_EQ(map_file(path).text(), content);
  }
  EXPECT_EQ(folder.names().size(), 1u);
}

TEST(File, a_mapped_file_outlives_its_replacement) {
  TemporaryFolder folder;
  std::string path = folder.path("file");
  write_file(path, {"old"});
  FileBytes old = map_file(path);
  write_file(path, {"new content"});
  EXPECT_EQ(old.text(), "old");
  EXPECT_EQ(map_file(path).text(), "new content");
}

TEST(File, errors_name_the_file) {
  TemporaryFolder folder;
  std::string missing = folder.path("missing");
  EXPECT_EQ(error_of([&] { map_file(missing); }), missing + ": error: there is no such file");
  EXPECT_THAT(error_of([&] { read_file(folder.path("")); }), HasSubstr("this is a folder"));
  EXPECT_THAT(error_of([] { read_file("/dev/zero"); }), HasSubstr("this is a device"));
  EXPECT_THAT(error_of([&] { write_file(folder.path(""), {"x"}); }), HasSubstr("this is a folder"));
  EXPECT_THAT(error_of([&] { write_file(folder.path("no/file"), {"x"}); }),
              HasSubstr("there is no folder"));
  EXPECT_THAT(error_of([] { read_file(std::string(5000, 'n')); }), HasSubstr("cannot be read"));
  if (::geteuid() == 0) return;  // root may read everything
  std::string secret = folder.path("secret");
  write_file(secret, {"x"});
  ::chmod(secret.c_str(), 0);
  EXPECT_THAT(error_of([&] { read_file(secret); }), HasSubstr("cannot be read"));
}

TEST(File, pipes_are_read_and_devices_written) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  std::string sent(100000, 'p');
  std::thread writer([&] {
    std::size_t written = 0;
    while (written < sent.size())
      written +=
          static_cast<std::size_t>(::write(ends[1], sent.data() + written, sent.size() - written));
    ::close(ends[1]);
  });
  EXPECT_EQ(map_file("/dev/fd/" + std::to_string(ends[0])).text(), sent);
  writer.join();
  ::close(ends[0]);
  write_file("/dev/null", {"nothing"});
  struct stat status{};
  ASSERT_EQ(::stat("/dev/null", &status), 0);
  EXPECT_TRUE(S_ISCHR(status.st_mode));
}

TEST(File, a_pipe_that_nobody_writes_to_is_refused) {
  TemporaryFolder folder;
  std::string path = folder.path("pipe");
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  EXPECT_EQ(error_of([&] { map_file(path); }),
            path + ": error: this is a pipe, and nothing is written to it");
  // Who comes late, and then takes a while to write.
  std::thread writer([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    int descriptor = ::open(path.c_str(), O_WRONLY);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    EXPECT_EQ(::write(descriptor, "late", 4), 4);
    ::close(descriptor);
  });
  EXPECT_EQ(read_file(path), "late");
  writer.join();
}

TEST(File, a_full_disk_leaves_the_old_file) {
  EXPECT_THAT(error_of([] { write_file("/dev/full", {"x"}); }), HasSubstr("cannot be written"));
  TemporaryFolder folder;
  std::string path = folder.path("file");
  write_file(path, {"old"});
  // A limit on the size of files acts like a disk that fills up while the file is written.
  struct rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &limit), 0);
  struct rlimit small = limit;
  small.rlim_cur = 4096;
  auto handler = std::signal(SIGXFSZ, SIG_IGN);
  ::setrlimit(RLIMIT_FSIZE, &small);
  std::string message = error_of([&] { write_file(path, {std::string(10000, 'x')}); });
  ::setrlimit(RLIMIT_FSIZE, &limit);
  std::signal(SIGXFSZ, handler);
  EXPECT_THAT(message, HasSubstr("cannot be written"));
  EXPECT_EQ(read_file(path), "old");
  EXPECT_EQ(folder.names().size(), 1u);
}

TEST(File, replacement_keeps_mode_and_links) {
  TemporaryFolder folder;
  std::string path = folder.path("file"), link = folder.path("link");
  write_file(path, {"old"});
  ::chmod(path.c_str(), 0640);
  std::filesystem::create_symlink("file", link);
  write_file(link, {"new"});
  EXPECT_TRUE(std::filesystem::is_symlink(link));
  EXPECT_EQ(read_file(path), "new");
  struct stat status{};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0640u);
}

// The second name is too long for a file, which shows only when the new content is to take it.
TEST(File, files_that_belong_together_are_replaced_together_or_not_at_all) {
  TemporaryFolder folder;
  std::string first = folder.path("first"), impossible = folder.path(std::string(300, 'x'));
  std::vector<std::string_view> content{"ne", "w"};
  std::vector<FileToWrite> files{{first, content}, {impossible, content}};
  std::string message = error_of([&] { write_files(files); });
  EXPECT_THAT(message, HasSubstr("cannot be written: File name too long"));
  EXPECT_EQ(folder.names().size(), 0u);

  write_file(first, {"old"});
  EXPECT_EQ(error_of([&] { write_files(files); }), message);
  EXPECT_EQ(read_file(first), "old");
  EXPECT_EQ(folder.names().size(), 1u);

  files[1].path = folder.path("second");
  write_files(files);
  EXPECT_EQ(read_file(first), "new");
  EXPECT_EQ(read_file(files[1].path), "new");
  EXPECT_EQ(folder.names().size(), 2u);
}

TEST(File, tensor_in_file_checks_its_range_and_alignment) {
  FileBytes file = memory_file(std::string("\0\0\x80\x3f\0\0\0\x40\1\0\2", 11), "f");
  const void* bytes = file.bytes.data();
  Tensor whole = tensor_in_file(file, 0, DType::f32, {2});
  EXPECT_EQ(whole.to_string(), "[1.0, 2.0]");
  EXPECT_EQ(whole.data(), bytes);
  Tensor shifted = tensor_in_file(file, 2, DType::i32, {1});
  EXPECT_EQ(shifted.elements<std::int32_t>()[0], 0x00003f80);
  EXPECT_EQ(tensor_in_file(file, 8, DType::boolean, {2}).to_string(), "[true, false]");
  EXPECT_EQ(tensor_in_file(file, 11, DType::f64, {0, 5}).element_count(), 0);
  EXPECT_THAT(error_of([&] { tensor_in_file(file, 9, DType::boolean, {2}); }),
              HasSubstr("byte 10 is 2"));
  EXPECT_THAT(error_of([&] { tensor_in_file(file, 8, DType::f32, {1}); }),
              HasSubstr("needs 4 bytes"));
  EXPECT_THAT(error_of([&] { tensor_in_file(file, SIZE_MAX, DType::f32, {1}); }),
              HasSubstr("needs 4 bytes"));
}

TEST(File, shown_text_is_short_and_printable) {
  EXPECT_EQ(shown("w1"), "'w1'");
  EXPECT_EQ(shown("a\nb\x01"), "'a\\nb\\x01'");
  EXPECT_EQ(shown("\xC3\xA9 \xC3 \xC2\x9B[2J"), "'\xC3\xA9 \\xc3 \\xc2\\x9b[2J'");
  EXPECT_EQ(shown(std::string(79, 'a') + "\xC3\xA9"), "'" + std::string(79, 'a') + "...'");
  EXPECT_EQ(shown(std::string(1000, 'a')).size(), 85u);
}

}  // namespace
}  // namespace weir
