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

// LLVM's name of the processor that this runs on, as the processor says which one it is, or as its
// features do (name_by_features); "generic" or the like if LLVM does not know it. What it can do is
// another question: a virtual machine may have turned features off.
std::string host_cpu();

}  // namespace weir
