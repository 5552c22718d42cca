#include "compiler/frontend/file.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "compiler/frontend/open_file.h"
#include "ir/escape.h"

namespace weir {
namespace {

// A pipe has no size of its own to bound the memory by.
constexpr std::size_t kLargestPipe = std::size_t{1} << 30;
// For who writes to a pipe to come.
constexpr int kWriterMilliseconds = 2000;

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

}  // namespace

void refuse_file(const std::string& path, std::string message) {
  throw Error(Location(std::make_shared<const std::string>(path), 0, 0), std::move(message));
}

void refuse_errno(const std::string& path, std::string_view action, int code) {
  refuse_file(path, fmt::format("the file cannot be {}: {}", action,
                                std::generic_category().message(code)));
}

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
