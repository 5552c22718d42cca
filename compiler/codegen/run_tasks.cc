#include "compiler/codegen/run_tasks.h"

#include <exception>
#include <vector>

namespace weir {

void run_tasks(const weir_executor* executor, std::size_t count,
               const std::function<void(std::size_t)>& task) {
  if (executor == nullptr || count < 2) {
    for (std::size_t i = 0; i < count; ++i) task(i);
    return;
  }
  // Nothing may be thrown across the executor, which is C.
  struct Run {
    const std::function<void(std::size_t)>& task;
    std::vector<std::exception_ptr> faults;
  };
  Run run{task, std::vector<std::exception_ptr>(count)};
  executor->parallel_for(
      executor->context, static_cast<std::ptrdiff_t>(count),
      [](void* argument, std::ptrdiff_t number, int) {
        auto& [body, faults] = *static_cast<Run*>(argument);
        auto i = static_cast<std::size_t>(number);
        try {
          body(i);
        } catch (...) {
          faults[i] = std::current_exception();
        }
      },
      &run);
  for (const std::exception_ptr& fault : run.faults)
    if (fault) std::rethrow_exception(fault);
}

}  // namespace weir
