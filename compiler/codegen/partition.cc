#include "compiler/codegen/partition.h"

#include <algorithm>
#include <numeric>

namespace weir {
namespace {

// A module of its own costs about as much to set up as a few dozen expressions to compile. A few of
// them are worth that early, for threads to share; many only when they are large.
constexpr std::size_t kWorthwhile = 192, kLarge = 1024, kFew = 8;
// A contraction is written out for the rows and vectors of its tiles.
constexpr std::size_t kTiles = 4;

// Expressions are what the code generator sees; every kernel has loops and an entry besides.
std::size_t expressions_of(const Kernel& kernel) { return kernel.arena.size() + 16; }

std::size_t work_of(const Kernel& kernel) {
  const bool contracts = std::ranges::any_of(kernel.stages, [](const Stage& stage) {
    return stage.fold && stage.fold->order == Reduction::Order::chain;
  });
  return expressions_of(kernel) * (contracts ? kTiles : 1);
}

}  // namespace

std::vector<KernelRange> partition_kernels(const Program& program) {
  std::vector<std::size_t> ends;  // of the work of kernels up to each
  std::size_t total = 0, expressions = 0;
  for (const Kernel& kernel : program.kernels) {
    ends.push_back(total += work_of(kernel));
    expressions += expressions_of(kernel);
  }
  std::size_t parts = std::max(std::min(total / kWorthwhile, kFew), expressions / kLarge);
  parts = std::clamp<std::size_t>(parts, 1, std::max<std::size_t>(program.kernels.size(), 1));
  std::vector<KernelRange> ranges;
  std::size_t first = 0;
  for (std::size_t part = 0; part < parts; ++part) {
    std::size_t last = first;
    // Up to the kernel whose work reaches this part's share, the last part taking what is left.
    while (last < ends.size() && (part + 1 == parts || ends[last] * parts <= total * (part + 1)))
      ++last;
    if (last == first && part + 1 < parts) continue;
    ranges.push_back({first, last});
    first = last;
  }
  return ranges;
}

}  // namespace weir
