// Work for the compiler's own threads, which come from an executor of the host's.
#pragma once

#include <cstddef>
#include <functional>

#include "runtime/abi.h"

namespace weir {

// Calls task(i) once for every i < count, through the executor or, without one, in order on the
// calling thread. When tasks throw, the exception of the first of them in order is thrown again,
// after all have ended.
void run_tasks(const weir_executor* executor, std::size_t count,
               const std::function<void(std::size_t)>& task);

}  // namespace weir
