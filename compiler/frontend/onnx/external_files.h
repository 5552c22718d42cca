// The files beside a model that hold its weights.
//
// A model comes from somebody else, so it must not be able to read what is not its own: a location
// is a path inside the model's folder. It is opened one component at a time, each relative to the
// folder opened before it and none through a symbolic link, so what is checked is what is read. A
// file with another hard link is refused, since the other name may be anywhere.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "compiler/frontend/file.h"

namespace weir::onnx_format {

class ExternalFiles {
 public:
  // The folder of a model, which is opened when a file is asked for. `check` is told how many bytes
  // are taken in all, and may refuse them.
  ExternalFiles(std::string folder, std::function<void(std::int64_t)> check)
      : folder_(std::move(folder)), check_(std::move(check)) {}

  // The file at a location, mapped once. Error if it is not inside the folder or cannot be read.
  const FileBytes& open(const std::string& location);
  // Asks about the bytes of all files and so many others.
  void check_with(std::int64_t others) const { check_(size_ + others); }
  // The paths of the files that have been opened.
  std::vector<std::string> paths() const;

 private:
  std::string path_of(const std::string& location) const;

  std::string folder_;
  std::function<void(std::int64_t)> check_;
  std::int64_t size_ = 0;
  std::map<std::string, FileBytes> files_;
};

}  // namespace weir::onnx_format
