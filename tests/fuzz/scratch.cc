#include "tests/fuzz/scratch.h"

#include <unistd.h>

#include "compiler/frontend/file.h"
#include "tests/fuzz/fuzz.h"

namespace weir::fuzz {

ScratchFolder::ScratchFolder() {
  std::filesystem::path parent = "/dev/shm";
  if (!std::filesystem::is_directory(parent)) parent = std::filesystem::temp_directory_path();
  path_ = parent / ("weir-fuzz-" + std::to_string(::getpid()));
  std::filesystem::create_directories(path_);
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

void require_same(const Weights& a, const Weights& b) {
  require(a.size() == b.size(), "the number of tensors changed");
  for (const auto& [name, tensor] : a) {
    auto other = b.find(name);
    require(other != b.end(), "a name changed");
    require(other->second.dtype() == tensor.dtype(), "an element type changed");
    require(other->second.sizes() == tensor.sizes(), "sizes changed");
    require(bytes_of(other->second) == bytes_of(tensor), "elements changed");
  }
}

}  // namespace weir::fuzz
