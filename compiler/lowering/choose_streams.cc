#include "compiler/lowering/choose_streams.h"

#include <algorithm>

#include "compiler/lowering/cache_line.h"
#include "ir/scalar/subexpressions.h"

namespace weir {

using scalar::Id;

namespace {

constexpr std::int64_t kMostBodyCost = 64;
// A kernel that is known to move less does not leave the caches.
constexpr std::int64_t kLeastBytes = 1 << 20;
// More than this is in no second cache, of one processor and of those that an executor has at least.
constexpr BytesFrom kPastSecondCache{2 << 20, 4 << 20};
// What touches more than this stays in no cache, or is not worth waiting for: less of it where one processor alone has to wait,
// or where stores are of whole lines; see docs/performance.md.
constexpr std::int64_t kPastCaches = 24 << 20, kPastCachesAlone = 12 << 20;

}  // namespace

std::vector<Id> streamed_loads(const Schedule& schedule) {
  std::vector<Id> roots, loads;
  for (const Stage& stage : schedule.kernel.stages)
    for (const Store& store : stage.stores) roots.push_back(store.value);
  for (Id id : scalar::reachable(schedule.kernel.arena, roots)) {
    auto access = schedule.loads.find(id.index);
    if (access != schedule.loads.end() && access->second.kind == Access::Kind::contiguous)
      loads.push_back(id);
  }
  return loads;
}

void choose_streams(Schedule& schedule, std::int64_t body_cost) {
  // It pays only where memory is the limit and stores are plain.
  const bool contiguous = std::ranges::all_of(schedule.stores, [](const auto& stage) {
    return std::ranges::all_of(
        stage, [](const Access& access) { return access.kind == Access::Kind::contiguous; });
  });
  const bool may_be_large = !schedule.bytes.is_constant() || schedule.bytes.value() >= kLeastBytes;
  schedule.streams = contiguous && schedule.width > 1 && body_cost <= kMostBodyCost &&
                     may_be_large && schedule.stores.size() == 1 && schedule.stores[0].size() == 1;
  if (!schedule.streams) return;
  const KernelParameter& result =
      schedule.kernel.parameters[schedule.kernel.stages[0].stores[0].parameter];
  schedule.stores_lines = byte_size(result.type.dtype) * schedule.width == kLineBytes;
  // Measured with vectors of a line; with one operand there is nothing to gain.
  schedule.asks_ahead = schedule.stores_lines && streamed_loads(schedule).size() > 1;
  schedule.past_second_cache = kPastSecondCache;
  schedule.past_caches = {kPastCachesAlone, schedule.stores_lines ? kPastCachesAlone : kPastCaches};
}

}  // namespace weir
