#include "compiler/frontend/load_limits.h"

#include <fmt/format.h>

namespace weir {

void LoadLimits::check_nodes(const FileBytes& file, std::int64_t count) const {
  if (count > nodes)
    file.refuse(
        fmt::format("the model has {} nodes, and at most {} are allowed; --max-nodes sets "
                    "this limit",
                    count, nodes));
}

void LoadLimits::check_memory(const FileBytes& file, std::int64_t bytes) const {
  if (bytes > memory)
    file.refuse(
        fmt::format("reading the model takes about {} bytes, and at most {} are allowed; "
                    "--max-memory sets this limit",
                    bytes, memory));
}

}  // namespace weir
