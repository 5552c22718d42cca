// Files that a target writes, and what was read back from them.
#pragma once

#include <filesystem>
#include <string>

#include "ir/builder.h"

namespace weir::fuzz {

// A folder of this process, gone at its end. In memory where the system has a place for that: files
// are flushed as they are written.
class ScratchFolder {
 public:
  ScratchFolder();
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  std::string path() const { return path_.string(); }
  std::string path(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

// Ends the process unless names, types and bytes are the same.
void require_same(const Weights& a, const Weights& b);

}  // namespace weir::fuzz
