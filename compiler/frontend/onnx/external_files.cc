#include "compiler/frontend/onnx/external_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "ir/escape.h"

namespace weir::onnx_format {
namespace {

constexpr std::size_t kShownLocation = 200;

[[noreturn]] void refuse(const std::string& location, std::string_view message) {
  throw Error(fmt::format("the external data {} {}", in_quotes(location.substr(0, kShownLocation)),
                          message));
}

// An open folder or file, closed at the end.
class Handle {
 public:
  explicit Handle(int descriptor) : descriptor_(descriptor) {}
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  int descriptor() const { return descriptor_; }
  void replace(int descriptor) {
    if (descriptor_ >= 0) ::close(descriptor_);
    descriptor_ = descriptor;
  }

 private:
  int descriptor_;
};

std::vector<std::string> components(const std::string& location) {
  if (location.empty()) refuse(location, "has no name");
  if (location.front() == '/')
    refuse(location, "is an absolute path; it must lie in the model's folder");
  if (location.find('\0') != std::string::npos) refuse(location, "has a zero byte in its name");
  std::vector<std::string> result;
  for (std::size_t start = 0; start <= location.size();) {
    std::size_t end = std::min(location.find('/', start), location.size());
    std::string component = location.substr(start, end - start);
    if (component == "..")
      refuse(location,
             "has a .. in its path, which is not allowed; it must lie in the model's folder or in "
             "the folders in it");
    if (!component.empty() && component != ".") result.push_back(std::move(component));
    start = end + 1;
  }
  if (result.empty() || location.back() == '/') refuse(location, "is a folder, not a file");
  return result;
}

int open_beneath(int folder, const std::string& name, int flags, const std::string& location) {
  int descriptor = ::openat(folder, name.c_str(), flags | O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  if (descriptor >= 0) return descriptor;
  int code = errno;
  struct stat status{};
  if (::fstatat(folder, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(status.st_mode))
    refuse(location, "is a symbolic link or lies behind one; links are not followed");
  refuse(location, fmt::format("cannot be opened: {}", std::generic_category().message(code)));
}

}  // namespace

const FileBytes& ExternalFiles::open(const std::string& location) {
  auto found = files_.find(location);
  if (found != files_.end()) return found->second;
  std::vector<std::string> path = components(location);
  std::string folder = folder_.empty() ? "." : folder_;
  Handle handle(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (handle.descriptor() < 0)
    throw Error(fmt::format("the folder {} cannot be opened: {}", in_quotes(folder),
                            std::generic_category().message(errno)));
  for (std::size_t i = 0; i + 1 < path.size(); ++i)
    handle.replace(open_beneath(handle.descriptor(), path[i], O_DIRECTORY, location));
  // A pipe would wait for a writer.
  handle.replace(open_beneath(handle.descriptor(), path.back(), O_NONBLOCK, location));
  struct stat status{};
  if (::fstat(handle.descriptor(), &status) != 0)
    refuse(location, fmt::format("cannot be read: {}", std::generic_category().message(errno)));
  if (!S_ISREG(status.st_mode)) refuse(location, "is not a regular file");
  if (status.st_nlink > 1)
    refuse(location, "has other hard links, so it may be a file of another place; copy it");
  size_ += status.st_size;
  check_(size_);
  return files_.emplace(location, map_open_file(handle.descriptor(), printable(path_of(location))))
      .first->second;
}

std::string ExternalFiles::path_of(const std::string& location) const {
  return folder_.empty() ? location : folder_ + "/" + location;
}

std::vector<std::string> ExternalFiles::paths() const {
  std::vector<std::string> paths;
  for (const auto& [location, file] : files_) paths.push_back(path_of(location));
  return paths;
}

}  // namespace weir::onnx_format
