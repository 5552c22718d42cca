// How a map runs whose operands may be too large for the caches.
#pragma once

#include <cstdint>
#include <vector>

#include "compiler/lowering/schedule.h"

namespace weir {

// Sets what a schedule of nothing but maps says of streams; an element costs `body_cost`.
void choose_streams(Schedule& schedule, const Core& core, std::int64_t body_cost);

// Where nothing of the program reads what such a kernel stores: more of it may go past the caches;
// and sooner if `at_all`, nobody does.
void let_result_leave(Schedule& schedule, const Core& core, bool at_all);

// What such a kernel reads vector by vector.
std::vector<scalar::Id> streamed_loads(const Schedule& schedule);

}  // namespace weir
