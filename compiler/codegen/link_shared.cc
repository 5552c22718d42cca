#include "compiler/codegen/link_shared.h"

#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <system_error>

#include <fmt/format.h>
#include <lld/Common/Driver.h>
#include <llvm/Support/raw_ostream.h>
#include <llvm/TargetParser/Triple.h>

#include "ir/diagnostic.h"

LLD_HAS_DRIVER(elf)

namespace weir {
namespace {

// A folder for the linker's files, gone at the end: the linker knows files only by name.
class ScratchFolder {
 public:
  ScratchFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "weir-link-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr)
      throw Error(
          fmt::format("{} cannot be made: {}", pattern, std::generic_category().message(errno)));
    path_ = pattern;
  }
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  std::string file(const char* name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

void put(const std::string& path, const std::string& bytes) {
  std::ofstream stream(path, std::ios::binary);
  stream.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  stream.close();
  if (!stream) throw Error(fmt::format("{} cannot be written: is its folder full?", path));
}

std::string get(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(stream), {}};
  if (stream.bad() || bytes.empty()) throw Error(fmt::format("{} cannot be read", path));
  return bytes;
}

}  // namespace

std::string link_shared(const std::string& object, const std::string& name,
                        const std::string& triple) {
  if (!llvm::Triple(triple).isOSBinFormatELF())
    throw Error(
        fmt::format("{} has no shared objects of the form ELF; compile to an object file", triple));
  // The linker's state is global.
  static std::mutex mutex;
  std::lock_guard lock(mutex);
  ScratchFolder folder;
  std::string from = folder.file("model.o"), to = folder.file("model.so");
  put(from, object);
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
  return get(to);
}

}  // namespace weir
