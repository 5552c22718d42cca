// The names that LLVM knows for a target.
#pragma once

#include <string>
#include <vector>

namespace weir {

// Not every one fits the target, alone or at all: that says resolve_target().
struct TargetNames {
  std::vector<std::string> cpus, features;
};

// Error if there is no such target.
TargetNames target_names(const std::string& triple);

}  // namespace weir
