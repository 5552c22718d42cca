// Entries: what is written is read, and of anything else nothing is.

#include "compiler/cache/entry.h"

#include <cstring>
#include <limits>

#include <gtest/gtest.h>

namespace weir {
namespace {

const std::string kKey = "the key";
const std::vector<std::string> kParts{"name", "", std::string("\0code\xff", 6)};

TEST(Entry, has_its_parts_again) {
  DecodedEntry entry = decode_entry(encode_entry(kKey, kParts), kKey);
  EXPECT_EQ(entry.fault, "");
  EXPECT_EQ(entry.parts, kParts);
  EXPECT_EQ(decode_entry(encode_entry("", {}), "").fault, "");
}

TEST(Entry, of_another_key_is_refused) {
  std::string entry = encode_entry(kKey, kParts);
  for (const char* key : {"", "the ke", "the kez", "the key "})
    EXPECT_EQ(decode_entry(entry, key).fault, "belongs to another program");
}

TEST(Entry, cut_off_anywhere_is_refused) {
  std::string entry = encode_entry(kKey, kParts);
  for (std::size_t size = 0; size < entry.size(); ++size) {
    // A copy, so that reading past the end is seen.
    DecodedEntry decoded = decode_entry(std::string(entry, 0, size), kKey);
    EXPECT_EQ(decoded.fault, "ends early") << size;
    EXPECT_TRUE(decoded.parts.empty());
  }
  EXPECT_EQ(decode_entry(entry + '\0', kKey).fault, "is damaged");
}

TEST(Entry, with_any_bit_flipped_is_refused) {
  const std::string entry = encode_entry(kKey, kParts);
  for (std::size_t bit = 0; bit < entry.size() * 8; ++bit) {
    std::string flipped = entry;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ 1 << bit % 8);
    DecodedEntry decoded = decode_entry(flipped, kKey);
    EXPECT_NE(decoded.fault, "") << "bit " << bit;
    EXPECT_TRUE(decoded.parts.empty());
  }
}

TEST(Entry, with_any_byte_changed_is_refused) {
  const std::string entry = encode_entry(kKey, kParts);
  for (std::size_t at = 0; at < entry.size(); ++at)
    for (int byte = 0; byte < 256; ++byte) {
      std::string changed = entry;
      changed[at] = static_cast<char>(byte);
      EXPECT_EQ(decode_entry(changed, kKey).fault.empty(), changed == entry) << at << " " << byte;
    }
}

// Whoever makes an entry by hand can make its checksum right, too.
TEST(Entry, with_hostile_lengths_is_refused) {
  const std::string entry = encode_entry(kKey, kParts);
  constexpr std::size_t kCountAt = 12, kChecksumAt = 16, kLengthsAt = 24;
  auto is_refused = [&](std::size_t at, auto number) {
    std::string forged = entry;
    if (std::memcmp(forged.data() + at, &number, sizeof number) == 0) return true;
    std::memcpy(forged.data() + at, &number, sizeof number);
    std::uint64_t sum = entry_checksum(forged);
    std::memcpy(forged.data() + kChecksumAt, &sum, sizeof sum);
    DecodedEntry decoded = decode_entry(forged, kKey);
    return !decoded.fault.empty() && decoded.parts.empty();
  };
  std::vector<std::uint64_t> lengths;
  for (std::uint64_t base : {std::uint64_t{0}, std::uint64_t{entry.size()}, std::uint64_t{1} << 31,
                             std::uint64_t{1} << 32, std::uint64_t{1} << 63})
    for (std::uint64_t i = 0; i < 80; ++i) lengths.insert(lengths.end(), {base + i, base - i});
  for (std::uint64_t length : lengths) {
    EXPECT_TRUE(is_refused(kCountAt, static_cast<std::uint32_t>(length))) << length;
    for (std::size_t at = kLengthsAt; at < kLengthsAt + 16 + 8 * kParts.size(); at += 8)
      EXPECT_TRUE(is_refused(at, length)) << at << " " << length;
  }
}

TEST(Entry, digests_differ) {
  EXPECT_EQ(digest("a").size(), 32u);
  EXPECT_EQ(digest("a"), digest("a"));
  EXPECT_NE(digest("a"), digest("b"));
  EXPECT_NE(digest(""), digest(std::string(1, '\0')));
  EXPECT_NE(digest(std::string(8, '\0')), digest(std::string(16, '\0')));
}

}  // namespace
}  // namespace weir
