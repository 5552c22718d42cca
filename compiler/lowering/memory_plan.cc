#include "compiler/lowering/memory_plan.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "compiler/lowering/place_blocks.h"
#include "runtime/abi.h"

namespace weir {
namespace {

using scalar::Id;
using scalar::Primitive;

// What every symbol is where blocks are put beside each other: all plans are weighed with each of
// these.
constexpr std::int64_t kSymbols[] = {8, 16, 64, 512};
constexpr std::int64_t kMaxBytes = std::int64_t{1} << 40;  // of a block there: sums do not overflow

SlotSize byte_count(const Buffer& buffer) {
  if (buffer.scratch) return *buffer.scratch;
  return {element_count(buffer.type.shape) * Dim(byte_size(buffer.type.dtype))};
}

struct Lifetime {
  std::size_t first = SIZE_MAX;  // the time of the call that writes it
  std::size_t last = 0;          // and of the last call that touches it
};

// Buffers that take over from each other, and so lie in the same place.
struct Block {
  SlotSize size;
  BlockLife life;
};

class MemoryPlanner {
 public:
  MemoryPlanner(Program& program, const MemoryPlanOptions& options)
      : program_(program), options_(options), block_of_(program.buffers.size(), kNone) {}

  void find_blocks() {
    find_lifetimes();
    for (std::size_t call = 0; call < program_.calls.size(); ++call) {
      const KernelCall& now = program_.calls[call];
      const std::size_t time = times_[call];
      std::vector<bool> taken_over(now.buffers.size());
      for (std::size_t target = 0; target < now.buffers.size(); ++target) {
        std::uint32_t buffer = now.buffers[target];
        const Lifetime& lifetime = lifetimes_[buffer];
        if (!in_workspace(buffer) || lifetime.first != time || block_of_[buffer] != kNone) continue;
        for (std::size_t source = 0; source < now.buffers.size(); ++source) {
          if (source == target || taken_over[source] || !takes_over(call, source, target)) continue;
          taken_over[source] = true;
          block_of_[buffer] = block_of_[now.buffers[source]];
          break;
        }
        if (block_of_[buffer] == kNone) {
          block_of_[buffer] = static_cast<std::uint32_t>(blocks_.size());
          blocks_.push_back({byte_count(program_.buffers[buffer]), {time, time}});
        }
        blocks_[block_of_[buffer]].life.last =
            options_.reuse ? lifetime.last : program_.calls.size();
      }
    }
  }

  void plan() {
    std::vector<BlockLife> lives;
    for (const Block& block : blocks_) lives.push_back(block.life);
    std::vector<std::vector<std::uint64_t>> bytes;
    for (std::int64_t symbol : kSymbols) {
      const Dim::Bindings sizes = all_symbols(symbol);
      bytes.emplace_back();
      for (const Block& block : blocks_) bytes.back().push_back(about(block.size, sizes));
      if (program_.symbols.empty()) break;
    }
    placed_ = place_blocks(lives, bytes);
    make_slots();
  }

 private:
  static constexpr std::uint32_t kNone = UINT32_MAX;
  // A block's end, by its slot and a block of the same size.
  struct End {
    std::uint32_t slot, size;
    friend auto operator<=>(const End&, const End&) = default;
  };

  Dim::Bindings all_symbols(std::int64_t size) const {
    Dim::Bindings sizes;
    for (const std::string& symbol : program_.symbols) sizes[symbol] = size;
    return sizes;
  }

  void make_slots() {
    std::vector<std::uint32_t> upward;
    for (std::uint32_t i = 0; i < blocks_.size(); ++i) upward.push_back(i);
    std::sort(upward.begin(), upward.end(), [&](std::uint32_t a, std::uint32_t b) {
      return std::pair(placed_[a].address, a) < std::pair(placed_[b].address, b);
    });
    program_.slots.clear();
    ends_.assign(blocks_.size(), {});
    std::map<std::vector<End>, std::uint32_t> slots;
    std::map<std::tuple<std::string, std::int64_t, std::string>, std::uint32_t> sizes;
    std::vector<bool> is_top(blocks_.size(), true);
    for (std::uint32_t number : upward) {
      const auto& [dividend, divisor, extra] = blocks_[number].size;
      for (std::uint32_t below : placed_[number].below) is_top[below] = false;
      std::vector<End> behind = ends_of(placed_[number].below);
      auto [slot, is_new] =
          slots.try_emplace(behind, static_cast<std::uint32_t>(program_.slots.size()));
      if (is_new) program_.slots.push_back({slot_ends(behind)});
      auto same_size =
          sizes.try_emplace({dividend.to_string(), divisor, extra.to_string()}, number).first;
      ends_[number] = {slot->second, same_size->second};
    }
    std::erase_if(upward, [&](std::uint32_t block) { return !is_top[block]; });
    program_.workspace = slot_ends(ends_of(upward));
    for (std::size_t buffer = 0; buffer < block_of_.size(); ++buffer)
      if (block_of_[buffer] != kNone)
        program_.buffers[buffer].index = ends_[block_of_[buffer]].slot;
  }

  // Each once.
  std::vector<End> ends_of(const std::vector<std::uint32_t>& blocks) const {
    std::set<End> ends;
    for (std::uint32_t block : blocks) ends.insert(ends_[block]);
    return {ends.begin(), ends.end()};
  }

  std::vector<SlotEnd> slot_ends(const std::vector<End>& ends) const {
    std::vector<SlotEnd> result;
    for (const End& end : ends) result.push_back({end.slot, blocks_[end.size].size});
    return result;
  }

  // Two calls that take turns (band_calls.h) are at the same time.
  void find_lifetimes() {
    for (std::size_t call = 0; call < program_.calls.size(); ++call) times_.push_back(call);
    is_banded_.resize(program_.calls.size());
    for (const Bands& bands : program_.bands) {
      times_[bands.call + 1] = bands.call;
      is_banded_[bands.call] = is_banded_[bands.call + 1] = true;
    }
    lifetimes_.resize(program_.buffers.size());
    for (std::size_t call = 0; call < program_.calls.size(); ++call) {
      for (std::uint32_t buffer : program_.calls[call].buffers) {
        Lifetime& lifetime = lifetimes_[buffer];
        lifetime.first = std::min(lifetime.first, times_[call]);
        lifetime.last = std::max(lifetime.last, times_[call]);
      }
    }
  }

  bool in_workspace(std::uint32_t buffer) const {
    return program_.buffers[buffer].place == Buffer::Place::workspace;
  }

  // Whether the kernel gets all of the buffer.
  bool is_whole(const KernelCall& call, std::size_t parameter) const {
    if (call.begins.empty()) return true;
    return call.begins[parameter] == Dim(0) &&
           program_.kernels[call.kernel].parameters[parameter].type.shape ==
               program_.buffers[call.buffers[parameter]].type.shape;
  }

  bool takes_over(std::size_t call, std::size_t source, std::size_t target) const {
    const KernelCall& now = program_.calls[call];
    const Kernel& kernel = program_.kernels[now.kernel];
    std::uint32_t from = now.buffers[source], to = now.buffers[target];
    if (!options_.reuse || is_banded_[call] || !in_workspace(from) ||
        kernel.parameters[source].written || lifetimes_[from].last != call ||
        !is_whole(now, source) || !is_whole(now, target) ||
        byte_count(program_.buffers[from]) != byte_count(program_.buffers[to]))
      return false;
    // The kernel may read the same buffer as another parameter as well.
    for (std::uint32_t other = 0; other < now.buffers.size(); ++other)
      if (now.buffers[other] == from &&
          !can_overwrite(kernel, other, static_cast<std::uint32_t>(target)))
        return false;
    return true;
  }

  // Aligned, and not 0: no two blocks that are alive together have the same address.
  static std::uint64_t about(const SlotSize& size, const Dim::Bindings& sizes) {
    auto number = [&](const Dim& dim) {
      return std::clamp<std::int64_t>(dim.evaluate(sizes).value_or(0), 0, kMaxBytes);
    };
    std::int64_t bytes = number(size.dividend) / size.divisor + number(size.extra);
    return aligned(static_cast<std::uint64_t>(std::max<std::int64_t>(bytes, 1)));
  }

  Program& program_;
  const MemoryPlanOptions& options_;
  std::vector<std::size_t> times_;       // by call
  std::vector<bool> is_banded_;          // by call
  std::vector<Lifetime> lifetimes_;      // by buffer
  std::vector<std::uint32_t> block_of_;  // by buffer
  std::vector<Block> blocks_;
  std::vector<PlacedBlock> placed_;  // by block
  std::vector<End> ends_;            // by block
};

}  // namespace

bool can_overwrite(const Kernel& kernel, std::uint32_t source, std::uint32_t target) {
  if (byte_size(kernel.parameters[source].type.dtype) !=
      byte_size(kernel.parameters[target].type.dtype))
    return false;
  if (!(kernel.parameters[source].type.shape == kernel.parameters[target].type.shape)) return false;
  std::size_t store_stage = kernel.stages.size();
  const Store* written = nullptr;
  for (std::size_t i = 0; i < kernel.stages.size(); ++i) {
    for (const Store& store : kernel.stages[i].stores) {
      if (store.parameter != target) continue;
      // What is kept in a result's place before the result is there stands at the same indices.
      if (written && written->indices != store.indices) return false;
      if (written) continue;
      written = &store;
      store_stage = i;
    }
  }
  if (!written) return false;
  auto loads_in = [&](const std::vector<Id>& roots, auto&& acceptable) {
    for (Id id : scalar::reachable(kernel.arena, roots)) {
      const scalar::Node& node = kernel.arena[id];
      if (!scalar::is_load(node.primitive) || node.payload != source) continue;
      if (!acceptable(kernel.arena.load_indices(id))) return false;
    }
    return true;
  };
  auto same_place = [&](std::span<const Id> indices) {
    return std::equal(indices.begin(), indices.end(), written->indices.begin(),
                      written->indices.end());
  };
  for (std::size_t i = 0; i < kernel.stages.size(); ++i) {
    std::vector<Id> roots;
    if (kernel.stages[i].fold) roots = kernel.stages[i].fold->elements;
    for (const Store& store : kernel.stages[i].stores) roots.push_back(store.value);
    // Places that are loaded are no places of their own.
    std::vector<Id> places;
    for (const Store& store : kernel.stages[i].stores)
      places.insert(places.end(), store.indices.begin(), store.indices.end());
    if (!loads_in(places, [](std::span<const Id>) { return false; })) return false;
    bool after = i > store_stage;
    bool fine = loads_in(roots, [&](std::span<const Id> indices) {
      // A row's other stages may read anything of their own row before it is overwritten; that a
      // read stays in its row is certain only for the same indices.
      return !after && same_place(indices);
    });
    if (!fine) return false;
  }
  // What is summed of what is stored is computed behind all stores, but for what these have computed.
  if (!kernel.across) return true;
  std::vector<bool> is_stored(kernel.arena.size());
  for (const Stage& stage : kernel.stages)
    for (const Store& store : stage.stores)
      for (Id id : scalar::reachable(kernel.arena, std::span(&store.value, 1)))
        is_stored[id.index] = true;
  return std::ranges::all_of(kernel.across->sums, [&](const RowFolds::Sum& sum) {
    const std::vector<Id> all = scalar::reachable(kernel.arena, sum.fold.elements);
    return std::ranges::all_of(all, [&](Id id) {
      const scalar::Node& node = kernel.arena[id];
      return is_stored[id.index] || !scalar::is_load(node.primitive) || node.payload != source;
    });
  });
}

void plan_memory(Program& program, const MemoryPlanOptions& options) {
  MemoryPlanner planner(program, options);
  planner.find_blocks();
  planner.plan();
}

std::optional<std::uint64_t> workspace_bytes(const Program& program,
                                             const Dim::Bindings& bindings) {
  auto end_of = [&](std::uint64_t begin, const SlotSize& size) -> std::optional<std::uint64_t> {
    std::optional<std::int64_t> dividend = size.dividend.evaluate(bindings);
    std::optional<std::int64_t> extra = size.extra.evaluate(bindings);
    if (!dividend || !extra || *dividend < 0 || *extra < 0) return std::nullopt;
    std::int64_t quotient = *dividend / size.divisor + (*dividend % size.divisor != 0);
    std::int64_t bytes;
    if (__builtin_add_overflow(quotient, *extra, &bytes)) return std::nullopt;
    std::uint64_t end;
    if (__builtin_add_overflow(begin, aligned(static_cast<std::uint64_t>(bytes)), &end))
      return std::nullopt;
    return end;
  };
  std::vector<std::uint64_t> offsets;
  auto largest = [&](const std::vector<SlotEnd>& ends) -> std::optional<std::uint64_t> {
    std::uint64_t result = 0;
    for (const auto& [slot, size] : ends) {
      std::optional<std::uint64_t> end = end_of(offsets[slot], size);
      if (!end) return std::nullopt;
      result = std::max(result, *end);
    }
    return result;
  };
  for (const WorkspaceSlot& slot : program.slots) {
    std::optional<std::uint64_t> offset = largest(slot.behind);
    if (!offset) return std::nullopt;
    offsets.push_back(*offset);
  }
  std::optional<std::uint64_t> total = largest(program.workspace);
  if (total && *total > static_cast<std::uint64_t>(INT64_MAX)) return std::nullopt;
  return total;
}

}  // namespace weir
