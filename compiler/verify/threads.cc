#include "compiler/verify/threads.h"

#include <fmt/format.h>

#include "ir/escape.h"

namespace weir::verification {

void compare_threads(const Runner& runner, const Inputs& inputs, std::span<const Tensor> results,
                     std::size_t count, Comparison& comparison) {
  const std::vector<Tensor> others = runner.run_on_other_threads(inputs);
  if (others.empty()) return;
  for (std::size_t i = results.size() - count; i < results.size(); ++i)
    comparison.add_threads(fmt::format("output {}", value_name(runner.graph().outputs()[i].name)),
                           results[i], others[i]);
}

}  // namespace weir::verification
