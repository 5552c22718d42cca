#include "compiler/lowering/find_sums.h"

#include <optional>
#include <unordered_map>
#include <utility>

namespace weir {
namespace {

using Writers = std::unordered_map<ValueId, std::size_t>;

// The parameter that a kernel reads and that is stored last.
std::optional<std::uint32_t> last_stored(const BuiltKernel& built, const Writers& writers) {
  std::optional<std::uint32_t> last;
  for (std::uint32_t i = 0; i < built.values.size(); ++i) {
    const auto writer = writers.find(built.values[i]);
    if (built.kernel.parameters[i].written || writer == writers.end()) continue;
    if (!last || writers.at(built.values[*last]) < writer->second) last = i;
  }
  return last;
}

// Several sums are stored as they are, each of them by one chunk.
std::vector<SumKernel> sums_of(const BuiltKernel& built, std::optional<std::uint32_t> last) {
  std::vector<SumKernel> sums;
  std::vector<Kernel> folds = single_folds(built.kernel);
  for (Kernel& one : folds) {
    const std::optional<RowSum> sum = find_row_sum(one, last);
    if (!sum || (folds.size() > 1 && !sum->result) ||
        (!sums.empty() && sum->parameter != sums.front().sum.parameter))
      return {};
    sums.push_back({std::move(one), *sum});
  }
  return sums;
}

}  // namespace

std::vector<std::vector<SumKernel>> find_sums(const std::vector<const BuiltKernel*>& kernels) {
  Writers writers;
  for (std::size_t i = 0; i < kernels.size(); ++i)
    for (std::size_t p = 0; p < kernels[i]->values.size(); ++p)
      if (kernels[i]->kernel.parameters[p].written) writers.emplace(kernels[i]->values[p], i);
  std::vector<std::vector<SumKernel>> sums;
  for (const BuiltKernel* built : kernels)
    sums.push_back(sums_of(*built, last_stored(*built, writers)));
  return sums;
}

}  // namespace weir
