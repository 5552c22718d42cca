// The folder of a cache: found again, shared, kept small, and never in the way.

#include "compiler/cache/code_cache.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <iterator>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/temporary_folder.h"

namespace weir {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using Parts = std::vector<std::string>;

class CodeCacheTest : public testing::Test {
 protected:
  CodeCache cache(std::uint64_t bytes = kDefaultCacheBytes) {
    return CodeCache({folder_ / "cache", bytes,
                      [this](std::string_view message) { warnings_.emplace_back(message); }});
  }
  std::vector<std::string> files() const {
    std::vector<std::string> paths;
    for (const auto& file : std::filesystem::directory_iterator(folder_ / "cache"))
      paths.push_back(file.path().string());
    return paths;
  }
  // How many stored entries take just as much as one.
  std::uint64_t bytes_of_one(const std::string& key, const Parts& parts) {
    cache().store(key, parts);
    std::uint64_t bytes = std::filesystem::file_size(files().at(0));
    std::filesystem::remove(files().at(0));
    return bytes;
  }

  test::TemporaryFolder folder_;
  std::vector<std::string> warnings_;
};

std::string content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void overwrite(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

TEST_F(CodeCacheTest, finds_what_was_stored) {
  const Parts parts{"a", std::string(100000, 'x'), ""};
  EXPECT_EQ(cache().find("key"), std::nullopt);
  cache().store("key", parts);
  EXPECT_EQ(cache().find("key"), parts);
  EXPECT_EQ(cache().find("other"), std::nullopt);
  cache().store("key", Parts{"b"});
  EXPECT_EQ(cache().find("key"), Parts{"b"});
  EXPECT_EQ(files().size(), 1u);
  EXPECT_THAT(warnings_, IsEmpty());
}

TEST_F(CodeCacheTest, is_for_one_user_alone) {
  cache().store("key", Parts{"code"});
  struct stat status{};
  ASSERT_EQ(::stat((folder_ / "cache").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700u);
  ASSERT_EQ(::stat(files().at(0).c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);

  ::chmod(files().at(0).c_str(), 0620);
  EXPECT_EQ(cache().find("key"), std::nullopt);
  EXPECT_THAT(warnings_, ElementsAre(HasSubstr("could have been written by another user")));
  cache().store("key", Parts{"code"});
  EXPECT_EQ(cache().find("key"), Parts{"code"});
}

TEST_F(CodeCacheTest, cut_off_or_damaged_entries_are_told_once_and_replaced) {
  const Parts parts{"some code"};
  cache().store("key", parts);
  const std::string path = files().at(0), whole = content(path);
  auto is_replaced = [&](const std::string& bytes) {
    overwrite(path, bytes);
    warnings_.clear();
    CodeCache one = cache();
    bool refused = one.find("key") == std::nullopt;
    one.store("key", parts);
    return refused && warnings_.size() == 1 && warnings_[0].find(path) != std::string::npos &&
           content(path) == whole && one.find("key") == parts && files().size() == 1;
  };
  for (std::size_t size = 0; size < whole.size(); ++size)
    EXPECT_TRUE(is_replaced(whole.substr(0, size))) << size;
  for (std::size_t at = 0; at < whole.size(); ++at) {
    std::string changed = whole;
    changed[at] = static_cast<char>(~changed[at]);
    EXPECT_TRUE(is_replaced(changed)) << at;
  }
  EXPECT_TRUE(is_replaced(whole + "more"));
  EXPECT_TRUE(is_replaced("something else"));
}

TEST_F(CodeCacheTest, an_entry_under_the_wrong_name_is_refused) {
  cache().store("one", Parts{"code of one"});
  std::string one = files().at(0);
  cache().store("two", Parts{"code of two"});
  for (const std::string& path : files())
    if (path != one)
      std::filesystem::copy_file(one, path, std::filesystem::copy_options::overwrite_existing);
  EXPECT_EQ(cache().find("two"), std::nullopt);
  EXPECT_THAT(warnings_, ElementsAre(HasSubstr("belongs to another program")));
}

TEST_F(CodeCacheTest, what_is_no_file_is_refused) {
  cache().store("key", Parts{"code"});
  std::string path = files().at(0);
  std::filesystem::remove(path);
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  EXPECT_EQ(cache().find("key"), std::nullopt) << "and nobody waits for a writer";
  EXPECT_THAT(warnings_, ElementsAre(HasSubstr("is not a file")));
  cache().store("key", Parts{"code"});
  EXPECT_EQ(cache().find("key"), Parts{"code"});

  warnings_.clear();
  std::filesystem::rename(path, folder_ / "elsewhere");
  std::filesystem::create_symlink(folder_ / "elsewhere", path);
  EXPECT_EQ(cache().find("key"), std::nullopt);
  EXPECT_EQ(warnings_.size(), 1u);
}

TEST_F(CodeCacheTest, a_file_in_place_of_the_folder_is_told) {
  overwrite(folder_ / "cache", "a file");
  EXPECT_EQ(cache().find("key"), std::nullopt);
  EXPECT_THAT(warnings_, ElementsAre(HasSubstr("a file stands where its folder is to be")));
}

TEST_F(CodeCacheTest, a_huge_file_is_not_read) {
  cache().store("key", Parts{"code"});
  ASSERT_EQ(::truncate(files().at(0).c_str(), off_t{1} << 40), 0);
  EXPECT_EQ(cache().find("key"), std::nullopt);
  EXPECT_THAT(warnings_, ElementsAre(HasSubstr("larger than the whole cache")));
}

TEST_F(CodeCacheTest, what_was_not_used_for_longest_goes) {
  const Parts parts{std::string(1000, 'x')};
  std::uint64_t limit = 3 * bytes_of_one("key 0", parts);
  for (int i = 0; i < 3; ++i) {
    cache(limit).store(fmt::format("key {}", i), parts);
    // Clocks of file systems tick some hundred times a second.
    ::usleep(20000);
  }
  EXPECT_EQ(cache(limit).find("key 0"), parts) << "which makes key 1 the oldest";
  ::usleep(20000);
  cache(limit).store("key 3", parts);
  EXPECT_EQ(cache(limit).find("key 1"), std::nullopt);
  for (int i : {0, 2, 3}) EXPECT_EQ(cache(limit).find(fmt::format("key {}", i)), parts) << i;
  cache(limit / 3).store("key 4", parts);
  EXPECT_EQ(files().size(), 1u);
  EXPECT_EQ(cache(limit).find("key 4"), parts);
  EXPECT_THAT(warnings_, IsEmpty());
}

TEST_F(CodeCacheTest, an_entry_larger_than_the_limit_is_not_stored) {
  cache().store("small", Parts{"code"});
  cache(1000).store("large", Parts{std::string(1000, 'x')});
  EXPECT_THAT(warnings_, ElementsAre(HasSubstr("more than the 1000 of the cache")));
  EXPECT_EQ(cache().find("small"), Parts{"code"});
}

TEST_F(CodeCacheTest, only_its_own_files_are_taken_away) {
  const Parts parts{std::string(1000, 'x')};
  std::uint64_t limit = bytes_of_one("key", parts);
  std::string other = folder_ / "cache/readme.txt";
  std::string left = folder_ / "cache/0123.weircode.99-0.unfinished";
  std::string recent = folder_ / "cache/0123.weircode.99-1.unfinished";
  for (const std::string& path : {other, left, recent}) overwrite(path, std::string(5000, 'x'));
  timespec old[2] = {{1, 0}, {1, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, left.c_str(), old, 0), 0);
  for (int i = 0; i < 3; ++i) cache(limit).store(fmt::format("key {}", i).substr(0, 3 + i), parts);
  EXPECT_TRUE(std::filesystem::exists(other));
  EXPECT_TRUE(std::filesystem::exists(recent)) << "somebody may be writing it";
  EXPECT_FALSE(std::filesystem::exists(left)) << "nobody writes for decades";
}

TEST_F(CodeCacheTest, a_folder_that_cannot_be_made_is_told_once) {
  overwrite(folder_ / "file", "");
  for (const std::string& path :
       {folder_ / "file", folder_ / "file/below", std::string("/proc/weir/cache")}) {
    warnings_.clear();
    CodeCache one({path, kDefaultCacheBytes,
                   [this](std::string_view message) { warnings_.emplace_back(message); }});
    EXPECT_EQ(one.find("key"), std::nullopt) << path;
    one.store("key", Parts{"code"});
    one.store("key", Parts{"code"});
    EXPECT_EQ(warnings_.size(), 1u) << path;
  }
}

// Runs the body in a process of its own; its exit code.
template <class Body>
pid_t in_a_process(Body body) {
  pid_t child = ::fork();
  if (child == 0) ::_exit(body() ? 0 : 1);
  return child;
}
bool succeeds(pid_t child) {
  int status = 0;
  return ::waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// A limit of a file's size stands for a disk that gets full.
TEST_F(CodeCacheTest, a_full_disk_leaves_nothing_behind) {
  cache().store("before", Parts{"code"});
  pid_t child = in_a_process([&] {
    ::signal(SIGXFSZ, SIG_IGN);
    rlimit limit{100, 100};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    cache().store("key", Parts{std::string(1000, 'x')});
    return warnings_.size() == 1 && warnings_[0].find("cannot be written") != std::string::npos;
  });
  EXPECT_TRUE(succeeds(child));
  EXPECT_EQ(files().size(), 1u);
  EXPECT_EQ(cache().find("before"), Parts{"code"});
}

// Writers, readers and evictions at once: what is found is always whole.
TEST_F(CodeCacheTest, many_processes_share_a_folder) {
  constexpr int kProcesses = 6, kKeys = 5, kRounds = 150;
  auto parts_of = [](int key) {
    return Parts{
        std::string(2000 + static_cast<std::size_t>(key) * 997, static_cast<char>('a' + key))};
  };
  auto work = [&](int process) {
    for (int round = 0; round < kRounds; ++round) {
      int key = (round * 7 + process) % kKeys;
      std::string name = fmt::format("key {}", key);
      CodeCache one = cache(12000);
      auto found = one.find(name);
      if (found && *found != parts_of(key)) return false;
      if (!found || round % 3 == process % 3) one.store(name, parts_of(key));
    }
    return warnings_.empty();
  };
  std::vector<pid_t> children;
  for (int i = 0; i < kProcesses; ++i) children.push_back(in_a_process([&, i] { return work(i); }));
  for (pid_t child : children) EXPECT_TRUE(succeeds(child));
  std::uint64_t total = 0;
  for (const std::string& path : files()) {
    EXPECT_THAT(path, testing::EndsWith(".weircode"));
    total += std::filesystem::file_size(path);
  }
  EXPECT_LE(total, 12000u);
}

}  // namespace
}  // namespace weir
