#include "compiler/frontend/file.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <filesystem>
#include <mutex>
#include <optional>
#include <set>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "ir/escape.h"

namespace weir {
namespace {

// A pipe has no size of its own to bound the memory by.
constexpr std::size_t kLargestPipe = std::size_t{1} << 30;
// For who writes to a pipe to come.
constexpr int kWriterMilliseconds = 2000;

[[noreturn]] void refuse_file(const std::string& path, std::string message) {
  throw Error(Location(std::make_shared<const std::string>(path), 0, 0), std::move(message));
}

[[noreturn]] void refuse_errno(const std::string& path, std::string_view action, int code) {
  refuse_file(path, fmt::format("the file cannot be {}: {}", action,
                                std::generic_category().message(code)));
}

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  int number() const { return number_; }
  // Closes it now; the error of close, or 0. Some file systems report a failed write only here.
  int close() { return ::close(std::exchange(number_, -1)) == 0 ? 0 : errno; }

 private:
  int number_;
};

// A pipe is open at once, whether somebody writes to it or not.
Descriptor open_to_read(const std::string& path) {
  int number = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (number < 0) {
    if (errno == ENOENT) refuse_file(path, "there is no such file");
    refuse_errno(path, "read", errno);
  }
  return Descriptor(number);
}

// Until there is something to read or nothing more will come; -1 milliseconds are without end.
void wait_for_content(int descriptor, int milliseconds) {
  pollfd waiting{descriptor, POLLIN, 0};
  while (::poll(&waiting, 1, milliseconds) < 0 && errno == EINTR) {
  }
}

// The size of an open file; 0 for a pipe. Error if it is neither.
std::size_t size_to_read(int descriptor, const std::string& path) {
  struct stat status{};
  if (::fstat(descriptor, &status) != 0) refuse_errno(path, "read", errno);
  if (S_ISDIR(status.st_mode)) refuse_file(path, "this is a folder, not a file");
  if (!S_ISREG(status.st_mode) && !S_ISFIFO(status.st_mode))
    refuse_file(path, "this is a device, not a file");
  return S_ISREG(status.st_mode) ? static_cast<std::size_t>(status.st_size) : 0;
}

bool is_pipe(int descriptor) {
  struct stat status{};
  return ::fstat(descriptor, &status) == 0 && S_ISFIFO(status.st_mode);
}

std::string read_to_end(const std::string& path, int descriptor, std::size_t size) try {
  // One byte more than the size, so that the end is seen without growing.
  std::string content(size + 1, '\0');
  std::size_t used = 0;
  bool is_awaited = false;
  for (;;) {
    ssize_t got = ::read(descriptor, content.data() + used, content.size() - used);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) {
      wait_for_content(descriptor, -1);
      continue;
    }
    if (got < 0) refuse_errno(path, "read", errno);
    if (got == 0 && used == 0 && is_pipe(descriptor)) {
      if (is_awaited) refuse_file(path, "this is a pipe, and nothing is written to it");
      is_awaited = true;
      wait_for_content(descriptor, kWriterMilliseconds);
      continue;
    }
    if (got == 0) break;
    used += static_cast<std::size_t>(got);
    if (used > size + kLargestPipe) refuse_file(path, "there is no end to this file");
    if (used == content.size()) content.resize(content.size() * 2 + 4096);
  }
  content.resize(used);
  return content;
} catch (const std::bad_alloc&) {
  refuse_file(path, "there is not enough memory for this file");
}

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

void FileBytes::refuse(std::string message) const { refuse_file(name, std::move(message)); }

FileBytes map_file(const std::string& path) {
  return map_open_file(open_to_read(path).number(), path);
}

FileBytes map_open_file(int descriptor, const std::string& name) {
  std::size_t size = size_to_read(descriptor, name);
  // Files in /proc are regular, have content and say that they have none.
  if (size == 0) return memory_file(read_to_end(name, descriptor, size), name);
  void* memory = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
  if (memory == MAP_FAILED) refuse_errno(name, "mapped", errno);
  std::shared_ptr<const void> owner(memory, [size](void* mapped) { ::munmap(mapped, size); });
  return {name, std::move(owner), {static_cast<const unsigned char*>(memory), size}};
}

FileBytes memory_file(std::string content, std::string name) {
  auto owner = std::make_shared<const std::string>(std::move(content));
  const void* data = owner->data();
  std::span<const unsigned char> bytes(static_cast<const unsigned char*>(data), owner->size());
  return {std::move(name), std::move(owner), bytes};
}

std::string read_file(const std::string& path) {
  Descriptor descriptor = open_to_read(path);
  return read_to_end(path, descriptor.number(), size_to_read(descriptor.number(), path));
}

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

Tensor tensor_in_file(const FileBytes& file, std::size_t offset, DType dtype, Tensor::Sizes sizes) {
  std::size_t size = static_cast<std::size_t>(checked_element_count(dtype, sizes)) *
                     static_cast<std::size_t>(byte_size(dtype));
  if (offset > file.bytes.size() || size > file.bytes.size() - offset)
    file.refuse(fmt::format("{} at byte {} needs {} bytes; the file has {}",
                            to_string(dtype, sizes), offset, size, file.bytes.size()));
  std::span<const unsigned char> bytes = file.bytes.subspan(offset, size);
  if (dtype == DType::boolean) {
    auto fault =
        std::find_if(bytes.begin(), bytes.end(), [](unsigned char byte) { return byte > 1; });
    if (fault != bytes.end())
      file.refuse(fmt::format("byte {} is {}; a bool is 0 or 1",
                              offset + static_cast<std::size_t>(fault - bytes.begin()), *fault));
  }
  auto address = reinterpret_cast<std::uintptr_t>(bytes.data());
  if (address % static_cast<std::size_t>(byte_size(dtype)) == 0)
    return Tensor::shared(dtype, std::move(sizes), file.owner, bytes.data());
  Tensor copy(dtype, std::move(sizes));
  std::copy(bytes.begin(), bytes.end(), static_cast<unsigned char*>(copy.mutable_data()));
  return copy;
}

std::string_view bytes_of(const Tensor& tensor) {
  return {static_cast<const char*>(tensor.data()), tensor.byte_count()};
}

std::string shown(std::string_view text) {
  constexpr std::size_t kLongest = 80;
  return fmt::format("'{}'", shortened(text, kLongest));
}

}  // namespace weir
