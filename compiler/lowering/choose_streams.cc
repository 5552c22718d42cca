#include "compiler/lowering/choose_streams.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "compiler/lowering/cache_line.h"
#include "ir/scalar/subexpressions.h"

namespace weir {

using scalar::Arena;
using scalar::Id;
using scalar::Primitive;

namespace {

constexpr std::int64_t kMostBodyCost = 64;
// A kernel that is known to move less does not leave the caches, and has one loop.
constexpr std::int64_t kLeastBytes = 1 << 20;
// Lines of each operand that are read one after the other where it pays, as a loop in C does that
// is unrolled as often: of four operands and more from where the second cache alone holds them on
// one thread, from its size on several. Of two it pays past the second caches of the processors
// that run, with half of the result stored past the caches, or three quarters where the program
// does not read it, so that lines go both ways at once, into the last cache and to memory: on one
// thread, and on several that are apart where their cores gain by it.
constexpr int kLinesTogether = 4, kLinesPastCaches = 2, kLinesThatLeave = 3;
constexpr std::size_t kTwoOperands = 2, kManyOperands = 4;
constexpr std::int64_t kFarOfTwoAlone = 2 << 20, kFarOfTwoApart = 5 << 19;
constexpr BytesFrom kFarOfMany{1 << 18, 1 << 20, 1 << 20};
// Lines that streaming loops ask for ahead: of a single operand whose vectors are lines, of others,
// and where the memory is as far away as the last cache is large, of any, for the second cache: the
// first would not keep them so long.
constexpr int kOneAhead = 16, kAhead = 6, kFarAhead = 64;
// And lines of the result that such a core asks for, from where the first cache does not hold all.
constexpr int kResultAhead = 8;
// Of the 32 vector registers that come with vectors of a line, the others hold constants and what
// is being computed.
constexpr int kRegisters = 28;
// What touches more than this stays in no cache, or is not worth waiting for: less of it where one
// processor alone has to wait, or each has a way to memory of its own and gains by it; see
// docs/decisions/streams.md.
constexpr std::int64_t kPastCaches = 24 << 20, kPastCachesAlone = 12 << 20,
                       kPastLargeCaches = 64 << 20;

// A second cache of such a core is two of those that its schedules go by (known_cores.cc). Where
// all that a thread touches is a quarter more than it, five halves of that, a result of one or two
// operands leaves that nobody reads soon; on one thread up to where operands of its own size alone
// are as much.
constexpr std::int64_t kBeyondSecond = 5;

// Vectors that are alive at once, at most, where all that a store's value depends on is loaded
// first, and it is computed operands first then.
class Alive {
 public:
  explicit Alive(const Schedule& schedule) : schedule_(schedule), arena_(schedule.kernel.arena) {}

  int most(Id root) {
    const std::vector<Id> all =
        scalar::subexpressions(arena_, root, [&](Id id) { return !is_load(id); });
    for (Id id : all)
      if (!is_load(id))
        for (Id operand : arena_.operands(id)) ++uses_[operand.index];
    for (Id id : all)
      if (is_load(id)) compute(id);
    compute(root);
    return most_;
  }

 private:
  bool is_load(Id id) const { return scalar::is_load(arena_[id].primitive); }
  // Comparisons have registers of their own.
  bool has_register(Id id) {
    return schedule_.varies[id.index] && arena_[id].type != DType::boolean;
  }

  void compute(Id id) {
    if (!schedule_.varies[id.index] || !computed_.insert(id.index).second) return;
    if (!is_load(id)) {
      for (Id operand : arena_.operands(id)) compute(operand);
      for (Id operand : arena_.operands(id))
        if (--uses_[operand.index] == 0) alive_.erase(operand.index);
    }
    if (!has_register(id)) return;
    alive_.insert(id.index);
    most_ = std::max(most_, static_cast<int>(alive_.size()));
  }

  const Schedule& schedule_;
  const Arena& arena_;
  std::unordered_map<std::uint32_t, int> uses_;
  std::unordered_set<std::uint32_t> computed_, alive_;
  int most_ = 0;
};

// Measured with vectors of a line: docs/decisions/streams.md.
void choose_lines_together(Schedule& schedule, const Core& core, Id stored) {
  const std::size_t operands = streamed_loads(schedule).size();
  if (!schedule.stores_lines || (operands != kTwoOperands && operands < kManyOperands)) return;
  const int alive = Alive(schedule).most(stored);
  if (kLinesTogether * alive > kRegisters) return;
  if (operands == kTwoOperands) {
    schedule.lines_together = kLinesTogether;
    schedule.lines_past_caches = kLinesPastCaches;
    const std::int64_t several = schedule.past_caches.several;
    schedule.far = {kFarOfTwoAlone, several,
                    core.past_caches == PastCaches::early_apart ? kFarOfTwoApart : several};
    return;
  }
  schedule.lines_together = kLinesTogether;
  schedule.far = kFarOfMany;
}

void choose_far_memory(Schedule& schedule, const Core& core) {
  schedule.past_caches = {kPastLargeCaches, kPastLargeCaches, kPastLargeCaches};
  schedule.lines_ahead = kFarAhead;
  schedule.asks_second = true;
  if (!schedule.stores_lines) return;
  schedule.result_lines_ahead = kResultAhead;
  schedule.far = {core.first.bytes, 2 * core.first.bytes, 2 * core.first.bytes};
}

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

void let_result_leave(Schedule& schedule, const Core& core, bool at_all) {
  if (schedule.lines_past_caches > 0) schedule.lines_past_caches = kLinesThatLeave;
  const auto operands = static_cast<std::int64_t>(streamed_loads(schedule).size());
  if (!at_all || core.past_caches != PastCaches::late || !schedule.stores_lines || operands < 1 ||
      operands > static_cast<std::int64_t>(kTwoOperands))
    return;
  const std::int64_t beyond = kBeyondSecond * core.second.bytes / 2;
  schedule.leaves_alone = {beyond, beyond * (operands + 1) / operands};
  schedule.past_caches.several = schedule.past_caches.apart = 2 * beyond;
}

void choose_streams(Schedule& schedule, const Core& core, std::int64_t body_cost) {
  // It pays only where memory is the limit and stores are plain.
  const bool contiguous = std::ranges::all_of(schedule.stores, [](const auto& stage) {
    return std::ranges::all_of(
        stage, [](const Access& access) { return access.kind == Access::Kind::contiguous; });
  });
  if (!contiguous || schedule.width <= 1 || body_cost > kMostBodyCost ||
      schedule.stores.size() != 1 || schedule.stores[0].size() != 1)
    return;
  const Store& store = schedule.kernel.stages[0].stores[0];
  const KernelParameter& result = schedule.kernel.parameters[store.parameter];
  schedule.stores_lines = byte_size(result.type.dtype) * schedule.width == kLineBytes;
  if (!schedule.rows.empty())
    schedule.row_bytes = schedule.vector_row
                             ? schedule.vector_row->extent * Dim(byte_size(result.type.dtype))
                             : Dim(0);
  const bool leaves_early = schedule.stores_lines && core.past_caches == PastCaches::early_apart;
  schedule.past_caches = {kPastCachesAlone, kPastCaches,
                          leaves_early ? kPastCachesAlone : kPastCaches};
  const bool is_one = streamed_loads(schedule).size() == 1 && schedule.stores_lines;
  schedule.lines_ahead = is_one ? kOneAhead : kAhead;
  if (core.past_caches == PastCaches::late)
    choose_far_memory(schedule, core);
  else
    choose_lines_together(schedule, core, store.value);
  const std::int64_t least =
      schedule.has_far_loop() ? std::min(schedule.far.alone, kLeastBytes) : kLeastBytes;
  schedule.streams = !schedule.bytes.is_constant() || schedule.bytes.value() >= least;
}

}  // namespace weir
