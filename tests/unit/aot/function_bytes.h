// The machine code of an object file, function by function, without what a linker or loader fills
// in.
#pragma once

#include <elf.h>

#include <cstring>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>

namespace weir::test {

// By name, of a 64-bit ELF object whose functions have sections of their own; every field with a
// relocation is zeroed.
inline std::map<std::string, std::string> function_bytes(std::string_view object) {
  auto read = [&]<class T>(std::size_t offset, T value) {
    if (offset + sizeof(T) > object.size()) throw std::runtime_error("the object file ends early");
    std::memcpy(&value, object.data() + offset, sizeof(T));
    return value;
  };
  auto header = read(0, Elf64_Ehdr{});
  auto section = [&](std::size_t i) {
    return read(header.e_shoff + i * sizeof(Elf64_Shdr), Elf64_Shdr{});
  };
  std::map<std::size_t, std::string> code;
  for (std::size_t i = 0; i < header.e_shnum; ++i) {
    Elf64_Shdr own = section(i);
    if ((own.sh_flags & SHF_EXECINSTR) != 0 && own.sh_type == SHT_PROGBITS)
      code[i] = std::string(object.substr(own.sh_offset, own.sh_size));
  }
  for (std::size_t i = 0; i < header.e_shnum; ++i) {
    Elf64_Shdr own = section(i);
    if (own.sh_type != SHT_RELA || !code.contains(own.sh_info)) continue;
    for (std::size_t at = 0; at < own.sh_size; at += sizeof(Elf64_Rela))
      code[own.sh_info].replace(read(own.sh_offset + at, Elf64_Rela{}).r_offset, 4, 4, '\0');
  }
  std::map<std::string, std::string> functions;
  for (std::size_t i = 0; i < header.e_shnum; ++i) {
    Elf64_Shdr own = section(i);
    if (own.sh_type != SHT_SYMTAB) continue;
    Elf64_Shdr strings = section(own.sh_link);
    for (std::size_t at = 0; at < own.sh_size; at += sizeof(Elf64_Sym)) {
      auto symbol = read(own.sh_offset + at, Elf64_Sym{});
      if (ELF64_ST_TYPE(symbol.st_info) != STT_FUNC || symbol.st_shndx == SHN_UNDEF) continue;
      functions[object.data() + strings.sh_offset + symbol.st_name] =
          code.at(symbol.st_shndx).substr(symbol.st_value, symbol.st_size);
    }
  }
  return functions;
}

}  // namespace weir::test
