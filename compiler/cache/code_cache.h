// Compiled code in a folder, to be found again by later processes.
//
// An entry is a file. Its name is a digest of the key; the whole key stands inside and is compared.
// Writers make it under a name of their own, flush it, and rename it, so readers see all of it or
// nothing, however many processes share the folder. When an entry is used its time of modification
// is set, and when the folder grows over its limit those that were not used for longest go.
//
// Nothing about a cache stops a compilation. Whatever is wrong - an entry that is damaged, cut off
// or someone else's, a folder that cannot be written, a full disk - is told once and worked around.
// Entries are code that will run: those that another user owns or may write are not taken.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weir {

constexpr std::uint64_t kDefaultCacheBytes = std::uint64_t{256} << 20;

struct CacheOptions {
  std::string folder;                        // made when needed; empty: no cache
  std::uint64_t bytes = kDefaultCacheBytes;  // what all entries may take together
  // Called with what is wrong with the cache, in one line. Null: it goes to standard error.
  std::function<void(std::string_view message)> warn;
};

class CodeCache {
 public:
  explicit CodeCache(CacheOptions options);

  // The parts stored under the key. Never throws for what is on the disk.
  std::optional<std::vector<std::string>> find(std::string_view key);
  // Stores parts under the key, in place of what is there. Never throws for what is on the disk.
  void store(std::string_view key, std::span<const std::string> parts);
  // Tells that what was found cannot be used.
  void refuse(std::string_view key, std::string_view fault);
  // Tells what is wrong with the cache; the first time only, for what follows has the same cause.
  void warn(const std::string& message);

 private:
  std::string path_of(std::string_view key) const;
  std::string read_entry(const std::string& path, std::string& bytes) const;
  bool write_entry(const std::string& path, std::string_view bytes);
  void shrink(const std::string& newest);

  CacheOptions options_;
  bool warned_ = false;
};

}  // namespace weir
