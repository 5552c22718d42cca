// The linker knows files only by name. Here they are a file in memory and a pipe, whose names are
// those of open files: nothing is left behind by who stops the process, and no disk can be full.
#include "compiler/codegen/link_shared.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <exception>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <utility>

#include <fmt/format.h>
#include <lld/Common/Driver.h>
#include <llvm/Support/raw_ostream.h>
#include <llvm/TargetParser/Triple.h>

#include "ir/diagnostic.h"

LLD_HAS_DRIVER(elf)

namespace weir {
namespace {

[[noreturn]] void refuse(const char* what, int code) {
  throw Error(fmt::format("the shared object cannot be linked: {}: {}", what,
                          std::generic_category().message(code)));
}

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { close(); }
  void close() {
    if (number_ >= 0) ::close(std::exchange(number_, -1));
  }
  int number() const { return number_; }
  // What it is called while this process has it open.
  std::string name() const { return fmt::format("/proc/self/fd/{}", number_); }

 private:
  int number_;
};

// A file in memory.
int file_of(const std::string& bytes) {
  int file = ::memfd_create("model.o", MFD_CLOEXEC);
  for (std::size_t at = 0; file >= 0 && at < bytes.size();) {
    ssize_t written = ::write(file, bytes.data() + at, bytes.size() - at);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      int code = errno;
      ::close(file);
      refuse("memory for the object", code);
    }
    at += static_cast<std::size_t>(written);
  }
  if (file < 0) refuse("memory for the object", errno);
  return file;
}

// A pipe whose other end is read as it fills.
class Collector {
 public:
  Collector() : ends_(open()), from_(ends_[0]), to_(ends_[1]), reader_([this] { read(); }) {}
  ~Collector() {
    to_.close();
    if (reader_.joinable()) reader_.join();
  }
  Collector(const Collector&) = delete;
  Collector& operator=(const Collector&) = delete;
  std::string name() const { return to_.name(); }
  // To be called when all has been written.
  std::string bytes() {
    to_.close();
    reader_.join();
    if (failed_) std::rethrow_exception(failed_);
    return std::move(bytes_);
  }

 private:
  static std::array<int, 2> open() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) refuse("a pipe for the linker", errno);
    return ends;
  }
  void read() {
    std::array<char, 65536> part;
    for (;;) {
      ssize_t got = ::read(from_.number(), part.data(), part.size());
      if (got == 0) return;
      if (got < 0 && errno != EINTR) return;
      // What no longer fits is still read, so that the linker never waits.
      try {
        if (got > 0 && !failed_) bytes_.append(part.data(), static_cast<std::size_t>(got));
      } catch (const std::bad_alloc&) {
        failed_ = std::current_exception();
      }
    }
  }

  std::array<int, 2> ends_;
  Descriptor from_, to_;
  std::string bytes_;
  std::exception_ptr failed_;
  std::thread reader_;
};

}  // namespace

std::string link_shared(const std::string& object, const std::string& name,
                        const std::string& triple) {
  if (!llvm::Triple(triple).isOSBinFormatELF())
    throw Error(
        fmt::format("{} has no shared objects of the form ELF; compile to an object file", triple));
  // The linker's state is global.
  static std::mutex mutex;
  std::lock_guard lock(mutex);
  Descriptor file(file_of(object));
  Collector collector;
  std::string from = file.name(), to = collector.name();
  std::string soname = "-soname=" + name;
  const auto arguments = std::to_array<const char*>(
      {"ld.lld", "-shared", soname.c_str(), "--gc-sections", "-Bsymbolic", "-z", "relro", "-z",
       "now", "-z", "noexecstack", "--hash-style=both", "--threads=1", "--build-id=none", "-o",
       to.c_str(), from.c_str()});
  std::string text;
  llvm::raw_string_ostream stream(text);
  constexpr std::array<lld::DriverDef, 1> kDrivers{{{lld::Gnu, &lld::elf::link}}};
  lld::Result result = lld::lldMain(arguments, stream, stream, kDrivers);
  WEIR_CHECK(result.canRunAgain && result.retCode == 0, "the linker says: " + text);
  return collector.bytes();
}

}  // namespace weir
