// The undefined symbols of object files, read from their bytes: no LLVM, no tools.
//
// ELF of 32 and 64 bits, little-endian: symbols of section 0 in the symbol table. WebAssembly:
// entries of the import section.
#pragma once

#include <cstdint>
#include <cstring>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>

namespace weir::test {

class ObjectReader {
 public:
  explicit ObjectReader(std::string_view bytes) : bytes_(bytes) {}

  std::set<std::string> undefined_symbols() const {
    if (bytes_.substr(0, 4) ==
        "\x7f"
        "ELF")
      return elf();
    if (bytes_.substr(0, 4) == std::string_view("\0asm", 4)) return wasm();
    throw std::runtime_error("neither ELF nor WebAssembly");
  }

 private:
  template <class T>
  T read(std::size_t offset) const {
    if (offset + sizeof(T) > bytes_.size()) throw std::runtime_error("the object file ends early");
    T value;
    std::memcpy(&value, bytes_.data() + offset, sizeof(T));
    return value;
  }

  std::set<std::string> elf() const {
    const bool wide = read<std::uint8_t>(4) == 2;
    auto word = [&](std::size_t offset) -> std::uint64_t {
      return wide ? read<std::uint64_t>(offset) : read<std::uint32_t>(offset);
    };
    std::uint64_t headers = word(wide ? 0x28 : 0x20);
    std::uint64_t header_size = read<std::uint16_t>(wide ? 0x3A : 0x2E);
    std::uint64_t header_count = read<std::uint16_t>(wide ? 0x3C : 0x30);
    auto section_offset = [&](std::uint64_t section) {
      return word(headers + section * header_size + (wide ? 0x18 : 0x10));
    };
    constexpr std::uint32_t symbol_table = 2;
    std::set<std::string> names;
    for (std::uint64_t s = 0; s < header_count; ++s) {
      std::uint64_t header = headers + s * header_size;
      if (read<std::uint32_t>(header + 4) != symbol_table) continue;
      std::uint64_t size = word(header + (wide ? 0x20 : 0x14));
      std::uint64_t strings = section_offset(read<std::uint32_t>(header + (wide ? 0x28 : 0x18)));
      std::uint64_t entry_size = wide ? 24 : 16;
      // The first symbol is empty by definition.
      for (std::uint64_t at = entry_size; at < size; at += entry_size) {
        std::uint64_t symbol = section_offset(s) + at;
        if (read<std::uint16_t>(symbol + (wide ? 6 : 14)) == 0)
          names.insert(text(strings + read<std::uint32_t>(symbol)));
      }
    }
    return names;
  }

  std::string text(std::uint64_t offset) const {
    std::string_view rest = bytes_.substr(offset);
    return std::string(rest.substr(0, rest.find('\0')));
  }

  std::uint64_t leb(std::size_t& at) const {
    std::uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
      std::uint8_t byte = read<std::uint8_t>(at++);
      value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
  }

  std::string wasm_name(std::size_t& at) const {
    std::uint64_t length = leb(at);
    std::string name(bytes_.substr(at, length));
    at += length;
    return name;
  }

  void skip_limits(std::size_t& at) const {
    std::uint64_t flags = leb(at);
    leb(at);
    if (flags & 1) leb(at);
  }

  std::set<std::string> wasm() const {
    constexpr std::uint8_t import_section = 2;
    std::set<std::string> names;
    for (std::size_t at = 8; at < bytes_.size();) {
      std::uint8_t section = read<std::uint8_t>(at++);
      std::uint64_t size = leb(at);
      std::size_t end = at + size;
      if (section == import_section) {
        for (std::uint64_t left = leb(at); left > 0; --left) {
          wasm_name(at);
          names.insert(wasm_name(at));
          std::uint8_t kind = read<std::uint8_t>(at++);
          if (kind == 0) leb(at);                // function: its type
          if (kind == 1) ++at, skip_limits(at);  // table
          if (kind == 2) skip_limits(at);        // memory
          if (kind == 3) at += 2;                // global: type, mutable or not
          if (kind > 3) throw std::runtime_error("an import of unknown kind");
        }
      }
      at = end;
    }
    return names;
  }

  std::string_view bytes_;
};

}  // namespace weir::test
