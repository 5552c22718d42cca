#include "compiler/cache/build_identity.h"

#include <elf.h>
#include <link.h>

#include <cstdint>
#include <cstring>
#include <iterator>
#include <string_view>

#include <fmt/format.h>

namespace weir {
namespace {

// The note in which linkers put the identifier.
constexpr std::string_view kOwner("GNU\0", 4);

std::size_t padded(std::size_t size) { return (size + 3) / 4 * 4; }

// The identifier in hexadecimal, if one of the notes holds it.
std::string identifier_in(std::string_view notes) {
  ElfW(Nhdr) head;
  while (notes.size() >= sizeof head) {
    std::memcpy(&head, notes.data(), sizeof head);
    notes.remove_prefix(sizeof head);
    std::size_t name = padded(head.n_namesz), content = padded(head.n_descsz);
    if (name > notes.size() || content > notes.size() - name) break;
    if (head.n_type == NT_GNU_BUILD_ID && notes.substr(0, head.n_namesz) == kOwner) {
      std::string text;
      for (char byte : notes.substr(name, head.n_descsz))
        fmt::format_to(std::back_inserter(text), "{:02x}", static_cast<unsigned char>(byte));
      return text;
    }
    notes.remove_prefix(name + content);
  }
  return {};
}

struct Search {
  std::uintptr_t address;
  std::string found;
};

int look_into(dl_phdr_info* object, std::size_t, void* argument) {
  auto& search = *static_cast<Search*>(argument);
  std::string identifier;
  bool is_ours = false;
  for (int i = 0; i < object->dlpi_phnum; ++i) {
    const ElfW(Phdr) & segment = object->dlpi_phdr[i];
    std::uintptr_t start = object->dlpi_addr + segment.p_vaddr;
    if (segment.p_type == PT_LOAD && search.address - start < segment.p_memsz) is_ours = true;
    if (segment.p_type == PT_NOTE && identifier.empty())
      identifier = identifier_in({reinterpret_cast<const char*>(start), segment.p_memsz});
  }
  if (is_ours) search.found = std::move(identifier);
  return is_ours ? 1 : 0;
}

}  // namespace

std::string build_identity() {
  static const std::string identity = [] {
    Search search{reinterpret_cast<std::uintptr_t>(&build_identity), {}};
    dl_iterate_phdr(look_into, &search);
    return search.found.empty() ? std::string()
                                : fmt::format("weir {} {}", WEIR_VERSION, search.found);
  }();
  return identity;
}

}  // namespace weir
