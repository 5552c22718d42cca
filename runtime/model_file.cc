#include "runtime/model_file.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <optional>
#include <system_error>
#include <vector>

#include "runtime/abi.h"
#include "runtime/model_info.h"

namespace weir {
namespace {

#if defined(__x86_64__)
constexpr std::uint16_t kMachine = EM_X86_64;
#elif defined(__aarch64__)
constexpr std::uint16_t kMachine = EM_AARCH64;
#elif defined(__arm__)
constexpr std::uint16_t kMachine = EM_ARM;
#elif defined(__riscv)
constexpr std::uint16_t kMachine = EM_RISCV;
#else
constexpr std::uint16_t kMachine = EM_NONE;
#endif

using FileHeader = ElfW(Ehdr);
using Segment = ElfW(Phdr);
using Note = ElfW(Nhdr);

// No note of ours is longer; others are skipped unread.
constexpr std::uint64_t kLargestNotes = 65536;

class ModelFile {
 public:
  explicit ModelFile(const char* path) : descriptor_(::open(path, O_RDONLY | O_CLOEXEC)) {
    struct stat status{};
    if (descriptor_ < 0 || ::fstat(descriptor_, &status) != 0) {
      fault_ = std::generic_category().message(errno);
    } else if (!S_ISREG(status.st_mode)) {
      fault_ = S_ISDIR(status.st_mode) ? "this is a folder, not a file" : "this is not a file";
    } else {
      size_ = static_cast<std::uint64_t>(status.st_size);
    }
  }
  ~ModelFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  ModelFile(const ModelFile&) = delete;
  ModelFile& operator=(const ModelFile&) = delete;

  std::string fault() {
    if (!fault_.empty()) return fault_;
    FileHeader header{};
    if (!read(0, &header, sizeof(header)) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0)
      return "this is not a shared object";
    if (header.e_ident[EI_CLASS] != (sizeof(void*) == 8 ? ELFCLASS64 : ELFCLASS32) ||
        header.e_ident[EI_DATA] != ELFDATA2LSB || header.e_machine != kMachine)
      return "the model is compiled for another kind of machine";
    if (header.e_type != ET_DYN || header.e_phentsize != sizeof(Segment))
      return "this is not a shared object";
    if (!holds(header.e_shoff, std::uint64_t{header.e_shnum} * header.e_shentsize)) return cut();
    std::vector<Segment> segments(header.e_phnum);
    if (!read(header.e_phoff, segments.data(), segments.size() * sizeof(Segment))) return cut();
    for (const Segment& segment : segments)
      if (!holds(segment.p_offset, segment.p_filesz)) return cut();
    std::optional<int> version;
    for (const Segment& segment : segments)
      if (segment.p_type == PT_NOTE && segment.p_filesz <= kLargestNotes && !version)
        version = version_in(segment);
    if (!version) return "this is a shared object, but no model that was compiled by Weir";
    if (!is_known_abi(*version))
      return "the model has version " + std::to_string(*version) +
             " of the interface, and this runtime has version " + std::to_string(WEIR_ABI_VERSION) +
             "; compile it again";
    return {};
  }

 private:
  static std::string cut() { return "the file ends early; it is damaged"; }

  bool holds(std::uint64_t offset, std::uint64_t bytes) const {
    return offset <= size_ && bytes <= size_ - offset;
  }

  bool read(std::uint64_t offset, void* to, std::size_t bytes) const {
    return holds(offset, bytes) && ::pread(descriptor_, to, bytes, static_cast<off_t>(offset)) ==
                                       static_cast<ssize_t>(bytes);
  }

  std::optional<int> version_in(const Segment& segment) const {
    std::vector<char> bytes(segment.p_filesz);
    if (!read(segment.p_offset, bytes.data(), bytes.size())) return std::nullopt;
    auto padded = [](std::uint64_t length) { return (length + 3) / 4 * 4; };
    for (std::uint64_t at = 0; at + sizeof(Note) <= bytes.size();) {
      Note note{};
      std::memcpy(&note, bytes.data() + at, sizeof(note));
      std::uint64_t name = at + sizeof(note), content = name + padded(note.n_namesz);
      if (content + note.n_descsz > bytes.size()) break;
      if (note.n_type == WEIR_NOTE_TYPE && note.n_namesz == 5 &&
          std::memcmp(bytes.data() + name, "Weir", 5) == 0 && note.n_descsz == sizeof(int)) {
        int version = 0;
        std::memcpy(&version, bytes.data() + content, sizeof(version));
        return version;
      }
      at = content + padded(note.n_descsz);
    }
    return std::nullopt;
  }

  int descriptor_;
  std::uint64_t size_ = 0;
  std::string fault_;
};

}  // namespace

std::string fault_of_model_file(const char* path) { return ModelFile(path).fault(); }

}  // namespace weir
