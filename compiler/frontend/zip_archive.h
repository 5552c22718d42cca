// Zip archives in memory, through libzip.
//
// Nothing is ever written to disk, so the name of a member is a name and no path. What the
// directory of an archive claims is checked against its members when it is opened; a member's
// checksum when it is read. A stored member is a part of the archive's own bytes, at the place
// where libzip itself reads it; a deflated one takes memory, after its size has proved possible.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/frontend/file.h"

namespace weir {

struct ZipMember {
  std::string name;
  std::uint64_t size;
  std::uint64_t stored_size;
  bool is_deflated;
};

class ZipReader {
 public:
  // The bytes that may be inflated from one archive in all.
  static constexpr std::uint64_t kMostInflated = std::uint64_t{4} << 30;

  // Error, naming the file, if it is not a zip archive, if members have one name, are encrypted or
  // are compressed by another method than deflate, or if their sizes cannot be, each by itself or
  // all together.
  explicit ZipReader(FileBytes file);
  ~ZipReader();
  ZipReader(const ZipReader&) = delete;
  ZipReader& operator=(const ZipReader&) = delete;

  const FileBytes& file() const;
  const std::vector<ZipMember>& members() const { return members_; }
  // A member's content, under the name "FILE:MEMBER". Error if it is damaged, or if more than
  // kMostInflated would be inflated.
  FileBytes read(std::size_t index);
  // Its first `count` bytes, or all if it has fewer. They are not verified.
  FileBytes read_begin(std::size_t index, std::size_t count);

 private:
  struct Archive;
  class Member;
  std::unique_ptr<Archive> archive_;
  std::vector<ZipMember> members_;
  std::uint64_t inflated_ = 0;
};

// A member to be written: its parts stand one after the other.
struct ZipContent {
  std::string name;  // UTF-8
  std::vector<std::string_view> parts;
};

// The archive of at least one member: stored, dated 1980-01-01, each content at a multiple of 64
// bytes. The same members give the same bytes.
std::string zip_archive(std::span<const ZipContent> members);

}  // namespace weir
