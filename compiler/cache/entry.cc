#include "compiler/cache/entry.h"

#include <array>
#include <bit>
#include <cstring>

#include <fmt/format.h>

namespace weir {
namespace {

constexpr std::string_view kMagic = "weircode";
constexpr std::uint32_t kFormat = 1;
constexpr std::size_t kFormatAt = 8, kCountAt = 12, kChecksumAt = 16, kSizeAt = 24, kKeyAt = 32,
                      kPartsAt = 40;
constexpr std::uint64_t kChecksumSeed = 0x243f6a8885a308d3, kSecondSeed = 0x13198a2e03707344;

template <class Number>
Number read(std::string_view bytes, std::size_t at) {
  Number number;
  std::memcpy(&number, bytes.data() + at, sizeof number);
  return number;
}

template <class Number>
void write(std::string& bytes, std::size_t at, Number number) {
  std::memcpy(bytes.data() + at, &number, sizeof number);
}

// Eight bytes at a time. Every step is a bijection of the state, so texts of one length that differ
// in a single word never have the same result.
std::uint64_t mix(std::uint64_t state, std::string_view bytes) {
  auto step = [&state](std::uint64_t word) {
    state = std::rotl((state ^ word) * 0x9e3779b97f4a7c15, 29);
  };
  step(bytes.size());
  while (bytes.size() >= sizeof(std::uint64_t)) {
    step(read<std::uint64_t>(bytes, 0));
    bytes.remove_prefix(sizeof(std::uint64_t));
  }
  std::uint64_t last = 0;
  std::memcpy(&last, bytes.data(), bytes.size());
  step(last);
  state ^= state >> 32;
  state *= 0xd6e8feb86659fd93;
  return state ^ state >> 32;
}

}  // namespace

std::uint64_t entry_checksum(std::string_view entry) {
  std::uint64_t head = mix(kChecksumSeed, entry.substr(0, kChecksumAt));
  return mix(head, entry.substr(kSizeAt));
}

std::string encode_entry(std::string_view key, std::span<const std::string> parts) {
  std::size_t size = kPartsAt + parts.size() * sizeof(std::uint64_t) + key.size();
  for (const std::string& part : parts) size += part.size();
  std::string entry;
  entry.reserve(size);
  entry += kMagic;
  entry.resize(kPartsAt + parts.size() * sizeof(std::uint64_t));
  write(entry, kFormatAt, kFormat);
  write(entry, kCountAt, static_cast<std::uint32_t>(parts.size()));
  write(entry, kSizeAt, std::uint64_t{size});
  write(entry, kKeyAt, std::uint64_t{key.size()});
  for (std::size_t i = 0; i < parts.size(); ++i)
    write(entry, kPartsAt + i * sizeof(std::uint64_t), std::uint64_t{parts[i].size()});
  entry += key;
  for (const std::string& part : parts) entry += part;
  write(entry, kChecksumAt, entry_checksum(entry));
  return entry;
}

DecodedEntry decode_entry(std::string_view bytes, std::string_view key) {
  auto fault = [](std::string_view what) { return DecodedEntry{std::string(what), {}}; };
  if (bytes.substr(0, kMagic.size()) != kMagic.substr(0, bytes.size()))
    return fault("is not an entry of a cache");
  if (bytes.size() < kPartsAt) return fault("ends early");
  if (read<std::uint32_t>(bytes, kFormatAt) != kFormat) return fault("has another format");
  std::uint64_t size = read<std::uint64_t>(bytes, kSizeAt);
  if (bytes.size() < size) return fault("ends early");
  if (size != bytes.size() || entry_checksum(bytes) != read<std::uint64_t>(bytes, kChecksumAt))
    return fault("is damaged");
  // From here on only who makes entries by hand comes to a fault.
  std::uint64_t count = read<std::uint32_t>(bytes, kCountAt);
  std::string_view rest = bytes.substr(kPartsAt);
  if (count > rest.size() / sizeof(std::uint64_t)) return fault("is damaged");
  std::string_view sizes = rest.substr(0, count * sizeof(std::uint64_t));
  rest.remove_prefix(sizes.size());
  std::uint64_t key_size = read<std::uint64_t>(bytes, kKeyAt);
  if (key_size > rest.size()) return fault("is damaged");
  if (rest.substr(0, key_size) != key) return fault("belongs to another program");
  rest.remove_prefix(key_size);
  DecodedEntry entry;
  for (std::size_t i = 0; i < count; ++i) {
    std::uint64_t part = read<std::uint64_t>(sizes, i * sizeof(std::uint64_t));
    if (part > rest.size()) return fault("is damaged");
    entry.parts.emplace_back(rest.substr(0, part));
    rest.remove_prefix(part);
  }
  if (!rest.empty()) return fault("is damaged");
  return entry;
}

std::string digest(std::string_view text) {
  return fmt::format("{:016x}{:016x}", mix(kChecksumSeed, text), mix(kSecondSeed, text));
}

}  // namespace weir
