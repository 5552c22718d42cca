// What reading and writing of files share: a file that is open, and errors that name it.
#pragma once

#include <unistd.h>

#include <cerrno>
#include <string>
#include <string_view>
#include <utility>

namespace weir {

[[noreturn]] void refuse_file(const std::string& path, std::string message);
// `action` is what cannot be done with it, as in "read".
[[noreturn]] void refuse_errno(const std::string& path, std::string_view action, int code);

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

}  // namespace weir
