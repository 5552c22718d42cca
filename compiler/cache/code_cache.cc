#include "compiler/cache/code_cache.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "compiler/cache/entry.h"

namespace weir {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kEnding = ".weircode", kUnfinished = ".unfinished";
// Nobody takes longer to write an entry.
constexpr std::time_t kAbandonedSeconds = 3600;

std::string reason(int code) { return std::generic_category().message(code); }

class OpenFile {
 public:
  explicit OpenFile(int descriptor) : descriptor_(descriptor) {}
  ~OpenFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;

  int number() const { return descriptor_; }
  // 0, or what went wrong.
  int close() { return ::close(std::exchange(descriptor_, -1)) == 0 ? 0 : errno; }

 private:
  int descriptor_;
};

// 0, or what went wrong.
int write_all(int descriptor, std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return 0;
}

// Up to as many bytes as `bytes` has room for, which is then cut to what came.
int read_all(int descriptor, std::string& bytes) {
  std::size_t size = 0;
  while (size < bytes.size()) {
    ssize_t got = ::read(descriptor, bytes.data() + size, bytes.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno;
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  bytes.resize(size);
  return 0;
}

// Makes the folder and what is missing above it, for this user alone.
int make_folder(const std::string& folder) {
  std::error_code fault;
  if (fs::is_directory(folder, fault)) return 0;
  fs::path path = fs::absolute(folder, fault).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  if (path.has_parent_path()) fs::create_directories(path.parent_path(), fault);
  if (fault) return fault.value();
  return ::mkdir(path.c_str(), 0700) == 0 || errno == EEXIST ? 0 : errno;
}

struct StoredFile {
  fs::path path;
  std::uint64_t bytes;
  timespec used;
};

bool used_before(const StoredFile& a, const StoredFile& b) {
  return std::tie(a.used.tv_sec, a.used.tv_nsec, a.path) <
         std::tie(b.used.tv_sec, b.used.tv_nsec, b.path);
}

}  // namespace

CodeCache::CodeCache(CacheOptions options) : options_(std::move(options)) {}

std::string CodeCache::path_of(std::string_view key) const {
  return (fs::path(options_.folder) / (digest(key) + std::string(kEnding))).string();
}

void CodeCache::warn(const std::string& message) {
  if (std::exchange(warned_, true)) return;
  if (options_.warn) {
    options_.warn(message);
  } else {
    // Standard error may be closed or full, which is no reason to fail.
    std::fputs(fmt::format("weir: warning: {}\n", message).c_str(), stderr);
  }
}

void CodeCache::refuse(std::string_view key, std::string_view fault) {
  warn(fmt::format("{} {}; it is compiled anew", path_of(key), fault));
}

// Returns what is wrong with the file; neither that nor bytes where there is none.
std::string CodeCache::read_entry(const std::string& path, std::string& bytes) const {
  OpenFile file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (file.number() < 0)
    return errno == ENOENT    ? ""
           : errno == ENOTDIR ? "cannot be read, for a file stands where its folder is to be"
                              : fmt::format("cannot be read: {}", reason(errno));
  struct stat status{};
  if (::fstat(file.number(), &status) != 0) return fmt::format("cannot be read: {}", reason(errno));
  if (!S_ISREG(status.st_mode)) return "is not a file";
  if ((status.st_uid != ::geteuid() && status.st_uid != 0) || (status.st_mode & 0022) != 0)
    return "could have been written by another user";
  if (static_cast<std::uint64_t>(status.st_size) > options_.bytes)
    return "is larger than the whole cache may be";
  bytes.resize(static_cast<std::size_t>(status.st_size));
  if (int code = read_all(file.number(), bytes))
    return fmt::format("cannot be read: {}", reason(code));
  if (bytes.empty()) return "is empty";
  // Where this is not allowed, entries go in the order in which they were made.
  ::futimens(file.number(), nullptr);
  return {};
}

std::optional<std::vector<std::string>> CodeCache::find(std::string_view key) {
  std::string bytes, fault = read_entry(path_of(key), bytes);
  if (fault.empty() && bytes.empty()) return std::nullopt;
  DecodedEntry entry;
  if (fault.empty()) {
    entry = decode_entry(bytes, key);
    fault = std::move(entry.fault);
  }
  if (fault.empty()) return std::move(entry.parts);
  refuse(key, fault);
  return std::nullopt;
}

void CodeCache::store(std::string_view key, std::span<const std::string> parts) {
  std::string bytes = encode_entry(key, parts);
  if (bytes.size() > options_.bytes)
    return warn(fmt::format("the code takes {} bytes, which is more than the {} of the cache {}",
                            bytes.size(), options_.bytes, options_.folder));
  if (int code = make_folder(options_.folder))
    return warn(fmt::format("the cache {} cannot be made: {}", options_.folder, reason(code)));
  std::string path = path_of(key);
  if (write_entry(path, bytes)) shrink(path);
}

bool CodeCache::write_entry(const std::string& path, std::string_view bytes) {
  static std::atomic<unsigned> counter = 0;
  std::string own = fmt::format("{}.{}-{}{}", path, ::getpid(), counter.fetch_add(1), kUnfinished);
  int code = 0;
  {
    OpenFile file(::open(own.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (file.number() < 0) {
      code = errno;
      own.clear();
    } else {
      code = write_all(file.number(), bytes);
      if (code == 0 && ::fsync(file.number()) != 0) code = errno;
      int closed = file.close();
      if (code == 0) code = closed;
    }
  }
  if (code == 0 && ::rename(own.c_str(), path.c_str()) != 0) {
    // A folder of the entry's name; one that holds something is not ours to empty.
    if (errno == EISDIR) ::rmdir(path.c_str());
    if (::rename(own.c_str(), path.c_str()) != 0) code = errno;
  }
  if (code == 0) return true;
  if (!own.empty()) ::unlink(own.c_str());
  warn(fmt::format("the cache {} cannot be written: {}", options_.folder, reason(code)));
  return false;
}

// Takes entries away until the rest fits, and what others began to write and left. The newest entry
// stays, whatever a coarse clock says.
void CodeCache::shrink(const std::string& newest) {
  std::vector<StoredFile> entries;
  std::uint64_t total = 0;
  std::time_t now = std::time(nullptr);
  std::error_code fault;
  for (fs::directory_iterator file(options_.folder, fault), end; !fault && file != end;
       file.increment(fault)) {
    std::string name = file->path().filename().string();
    bool is_entry = name.ends_with(kEnding);
    if (!is_entry && !(name.ends_with(kUnfinished) && name.find(kEnding) != name.npos)) continue;
    struct stat status{};
    // Others may have taken it away.
    if (::lstat(file->path().c_str(), &status) != 0 || !S_ISREG(status.st_mode)) continue;
    if (is_entry) {
      auto bytes = static_cast<std::uint64_t>(status.st_size);
      total += bytes;
      if (file->path() != newest) entries.push_back({file->path(), bytes, status.st_mtim});
    } else if (now - status.st_mtim.tv_sec > kAbandonedSeconds) {
      ::unlink(file->path().c_str());
    }
  }
  if (total <= options_.bytes) return;
  std::sort(entries.begin(), entries.end(), used_before);
  for (const StoredFile& entry : entries) {
    if (total <= options_.bytes) return;
    if (::unlink(entry.path.c_str()) == 0 || errno == ENOENT) total -= entry.bytes;
  }
}

}  // namespace weir
