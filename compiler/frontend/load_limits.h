// What a model may ask for at most. Beyond it is refused, before memory or time is spent on it.
#pragma once

#include <cstdint>
#include <limits>

#include "compiler/frontend/file.h"

namespace weir {

struct LoadLimits {
  std::int64_t nodes = 1'000'000;  // with what functions of the model stand for
  // Bytes of the files and of what is made of them while they are read; and of a run, by itself.
  std::int64_t memory = std::numeric_limits<std::int64_t>::max();

  // Error at the file if `count` nodes, or `bytes`, are too many.
  void check_nodes(const FileBytes& file, std::int64_t count) const;
  void check_memory(const FileBytes& file, std::int64_t bytes) const;
};

}  // namespace weir
