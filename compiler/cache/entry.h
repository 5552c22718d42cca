// One entry of a cache as the bytes of a file.
//
//   0   8 bytes  "weircode"
//   8   u32      number of this format
//   12  u32      how many parts the value has
//   16  u64      checksum of everything else in the entry
//   24  u64      bytes of the whole entry
//   32  u64      bytes of the key
//   40  u64...   bytes of each part; then the key, and the parts
//
// Numbers are in the machine's own order of bytes: entries are read where they were written. Every
// length is compared with what there is before anything is made of it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weir {

// The parts that belong to the key, as an entry.
std::string encode_entry(std::string_view key, std::span<const std::string> parts);

struct DecodedEntry {
  std::string fault;  // what is wrong with the entry, as "is damaged"; empty if nothing is
  std::vector<std::string> parts;
};

// The parts of an entry that holds this very key.
DecodedEntry decode_entry(std::string_view bytes, std::string_view key);

// What a whole entry's checksum has to be, whatever its header says; it has a header.
std::uint64_t entry_checksum(std::string_view entry);

// 128 bits of a text in hexadecimal. Not for secrets: whoever wants two texts with one digest finds
// them.
std::string digest(std::string_view text);

}  // namespace weir
