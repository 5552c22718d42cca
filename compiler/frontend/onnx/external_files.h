// The files beside a model that hold its weights.
//
// A model comes from somebody else, so it must not be able to read what is not its own: a location
// is a path inside the model's folder. It is opened one component at a time, each relative to the
// folder opened before it and none through a symbolic link, so what is checked is what is read. A
// file with another hard link is refused, since the other name may be anywhere.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "compiler/frontend/file.h"

namespace weir::onnx_format {

class ExternalFiles {
 public:
  // The folder of a model; the folder is opened when a file is asked for.
  explicit ExternalFiles(std::string folder) : folder_(std::move(folder)) {}

  // The file at a location, mapped once. Error if it is not inside the folder or cannot be read.
  const FileBytes& open(const std::string& location);

 private:
  std::string folder_;
  std::map<std::string, FileBytes> files_;
};

}  // namespace weir::onnx_format
