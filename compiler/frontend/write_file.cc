// The writing half of compiler/frontend/file.h.

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <deque>
#include <filesystem>
#include <mutex>
#include <optional>
#include <set>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "compiler/frontend/file.h"
#include "compiler/frontend/open_file.h"

namespace weir {
namespace {

// Writes all parts; the error number, or 0.
int write_parts(int descriptor, std::span<const std::string_view> parts) {
  for (std::string_view part : parts) {
    while (!part.empty()) {
      ssize_t written = ::write(descriptor, part.data(), part.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return errno;
      part.remove_prefix(static_cast<std::size_t>(written));
    }
  }
  return 0;
}

// The file that a path names, links followed, so that a link survives a replacement of its target.
std::filesystem::path target_of(const std::string& path) {
  std::error_code ignored;
  std::filesystem::path target = std::filesystem::canonical(path, ignored);
  return ignored ? std::filesystem::path(path) : target;
}

// A device or a pipe, which no new file can replace.
bool is_written_directly(const std::string& path) {
  struct stat status{};
  return ::stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode);
}

// The error number of writing nothing to a device, or 0. Of a pipe whoever reads it would notice
// that it was opened.
int fault_of_device(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0 || !S_ISCHR(status.st_mode)) return 0;
  Descriptor descriptor(::open(path.c_str(), O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC));
  if (descriptor.number() < 0) return errno;
  return ::write(descriptor.number(), "", 0) < 0 ? errno : 0;
}

void write_directly(const std::string& path, std::span<const std::string_view> parts) {
  Descriptor descriptor(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (descriptor.number() < 0) refuse_errno(path, "written", errno);
  if (int code = write_parts(descriptor.number(), parts)) refuse_errno(path, "written", code);
}

void flush_folder(const std::filesystem::path& folder) {
  Descriptor descriptor(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  // Not every file system can flush a folder; the file itself is complete either way.
  if (descriptor.number() >= 0) ::fsync(descriptor.number());
}

// The files of this process that have a temporary name. Whoever holds the mutex may make such
// files, give them their names or remove them; they are written without it. It outlives all
// threads.
struct Unfinished {
  std::recursive_mutex mutex;
  std::set<std::filesystem::path> files;
};

Unfinished& unfinished() {
  static auto* const all = new Unfinished();
  return *all;
}

constexpr std::string_view kTemporary = ".weir-", kTemporaryEnd = ".tmp";

std::string temporary_name() {
  static std::atomic<unsigned> counter = 0;
  return fmt::format("{}{}-{}{}", kTemporary, ::getpid(), counter.fetch_add(1), kTemporaryEnd);
}

// The process that made a file of this name; nothing for another name.
std::optional<pid_t> maker_of(std::string_view name) {
  if (!name.starts_with(kTemporary) || !name.ends_with(kTemporaryEnd)) return std::nullopt;
  name.remove_prefix(kTemporary.size());
  pid_t process = 0;
  auto [end, fault] = std::from_chars(name.data(), name.data() + name.size(), process);
  if (fault != std::errc() || *end != '-' || process <= 0) return std::nullopt;
  return process;
}

// Called under the mutex of the unfinished files. A process may have the number of an earlier one.
bool is_abandoned(const std::filesystem::path& file) {
  std::string name = file.filename().string();
  std::optional<pid_t> maker = maker_of(name);
  if (!maker) return false;
  if (*maker != ::getpid()) return ::kill(*maker, 0) != 0 && errno == ESRCH;
  const auto& files = unfinished().files;
  return std::none_of(files.begin(), files.end(),
                      [&](const std::filesystem::path& own) { return own.filename() == name; });
}

// A file of new content under a temporary name beside the one that it is to have. Destroyed before
// `keep`, it leaves everything as it was. `take_name` and `keep` are called under the mutex of the
// unfinished files.
class NewFile {
 public:
  explicit NewFile(const FileToWrite& file) : path_(file.path), target_(target_of(file.path)) {
    struct stat status{};
    exists_ = ::stat(target_.c_str(), &status) == 0;
    if (exists_ && S_ISDIR(status.st_mode)) refuse_file(path_, "this is a folder, not a file");
    if (exists_ && !S_ISREG(status.st_mode)) refuse_file(path_, "this is a device, not a file");
    folder_ = target_.has_parent_path() ? target_.parent_path() : ".";
    Descriptor descriptor = create();
    if (descriptor.number() < 0) {
      int code = errno;
      std::error_code ignored;
      if (code == ENOENT && !std::filesystem::exists(folder_, ignored))
        refuse_file(path_, fmt::format("there is no folder {}", folder_.string()));
      refuse_errno(path_, "written", code);
    }
    int code = write_parts(descriptor.number(), file.parts);
    if (code == 0 && exists_ && ::fchmod(descriptor.number(), status.st_mode & 07777) != 0)
      code = errno;
    if (code == 0 && ::fsync(descriptor.number()) != 0) code = errno;
    int closed = descriptor.close();
    if (code == 0) code = closed;
    if (code == 0) return;
    remove_new();
    refuse_errno(path_, "written", code);
  }
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;
  ~NewFile() {
    if (!new_.empty()) {
      remove_new();
    } else if (!old_.empty()) {
      ::rename(old_.c_str(), target_.c_str());
    } else if (!exists_) {
      ::unlink(target_.c_str());
    }
  }

  void take_name() {
    // Where a file system has no links, the old file cannot be put back.
    if (exists_) {
      old_ = free_name();
      if (::link(target_.c_str(), old_.c_str()) != 0) old_.clear();
    }
    if (::rename(new_.c_str(), target_.c_str()) != 0) {
      int code = errno;
      if (!old_.empty()) ::unlink(std::exchange(old_, {}).c_str());
      refuse_errno(path_, "written", code);
    }
    unfinished().files.erase(new_);
    new_.clear();
  }

  void keep() {
    if (!old_.empty()) ::unlink(std::exchange(old_, {}).c_str());
    exists_ = true;
    flush_folder(folder_);
  }

 private:
  std::filesystem::path free_name() const { return folder_ / temporary_name(); }

  Descriptor create() {
    std::lock_guard lock(unfinished().mutex);
    std::filesystem::path name;
    int number = -1;
    do {
      name = free_name();
      number = ::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    } while (number < 0 && errno == EEXIST);
    Descriptor descriptor(number);
    if (number >= 0) {
      unfinished().files.insert(name);
      new_ = std::move(name);
    }
    return descriptor;
  }

  void remove_new() {
    std::lock_guard lock(unfinished().mutex);
    ::unlink(new_.c_str());
    unfinished().files.erase(new_);
  }

  std::string path_;
  std::filesystem::path target_, folder_;
  std::filesystem::path new_;  // while it has its temporary name
  std::filesystem::path old_;  // the file that it replaced, until it is kept
  bool exists_ = false;
};

}  // namespace

void write_file(const std::string& path, std::initializer_list<std::string_view> parts) {
  write_file(path, std::span<const std::string_view>(parts.begin(), parts.size()));
}

void write_file(const std::string& path, std::span<const std::string_view> parts) {
  if (is_written_directly(path)) return write_directly(path, parts);
  FileToWrite file{path, parts};
  write_files({&file, 1});
}

void check_writable(const std::string& path) {
  if (!is_written_directly(path)) {
    NewFile removed_again({path, {}});
  } else if (::access(path.c_str(), W_OK) != 0) {
    refuse_errno(path, "written", errno);
  } else if (int code = fault_of_device(path)) {
    refuse_errno(path, "written", code);
  }
}

void write_files(std::span<const FileToWrite> files) {
  std::unique_lock lock(unfinished().mutex, std::defer_lock);
  std::deque<NewFile> staged;
  for (const FileToWrite& file : files) staged.emplace_back(file);
  lock.lock();
  for (NewFile& file : staged) file.take_name();
  for (NewFile& file : staged) file.keep();
}

void abandon_writing() {
  unfinished().mutex.lock();
  for (const std::filesystem::path& file : unfinished().files) ::unlink(file.c_str());
}

void remove_abandoned(const std::string& folder) {
  std::lock_guard lock(unfinished().mutex);
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored))
    if (is_abandoned(entry.path())) std::filesystem::remove(entry.path(), ignored);
}

}  // namespace weir
