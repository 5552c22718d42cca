#include "compiler/lowering/memory_plan.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <iterator>
#include <limits>
#include <map>
#include <numeric>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "runtime/abi.h"

namespace weir {
namespace {

using scalar::Id;
using scalar::Primitive;

// What every symbol is where blocks are put beside each other: each of these in turn.
constexpr std::int64_t kSymbols[] = {8, 16, 64, 512};
// Of so many blocks each is compared with each, at most.
constexpr std::size_t kMostBySize = 1024;
constexpr std::int64_t kMaxBytes = std::int64_t{1} << 40;  // of a block there: sums do not overflow

SlotSize byte_count(const Buffer& buffer) {
  if (buffer.scratch) return *buffer.scratch;
  return {element_count(buffer.type.shape) * Dim(byte_size(buffer.type.dtype))};
}

struct Lifetime {
  std::size_t first = SIZE_MAX;  // the call that writes it
  std::size_t last = 0;          // the last call that touches it
};

// Buffers that take over from each other, and so lie in the same place.
struct Block {
  SlotSize size;
  std::uint64_t bytes = 0;           // about
  std::size_t first = 0, last = 0;   // calls
  std::vector<std::uint32_t> below;  // blocks that have to end before it begins
  std::uint64_t address = 0;         // where it would be, were the bytes exact
};

// The blocks that are alive, from the bottom of the workspace to its top.
class LiveBlocks {
 public:
  explicit LiveBlocks(std::vector<Block>& blocks) : blocks_(blocks) {}

  // Gives the block the smallest gap that has room for it, or what is on top.
  void find_place(std::uint32_t number) {
    auto gap = gaps_.lower_bound({blocks_[number].bytes, 0});
    blocks_[number].address = gap != gaps_.end() ? gap->second
                              : alive_.empty()   ? 0
                                                 : end_of(alive_.rbegin()->second);
  }

  // Where its address says, which is free.
  void insert(std::uint32_t number) {
    Block& block = blocks_[number];
    auto at = alive_.emplace(block.address, number).first;
    auto above = std::next(at);
    std::uint64_t begin = 0;
    if (at != alive_.begin()) {
      block.below.push_back(std::prev(at)->second);
      begin = end_of(std::prev(at)->second);
    }
    add_gap(begin, block.address);
    if (above == alive_.end()) return;
    gaps_.erase({above->first - begin, begin});
    add_gap(end_of(number), above->first);
    std::vector<std::uint32_t>& others = blocks_[above->second].below;
    // What was right below ends before this one begins.
    if (!others.empty() && !block.below.empty() && others.back() == block.below.back())
      others.pop_back();
    others.push_back(number);
  }

  void erase(std::uint32_t number) {
    auto at = alive_.find(blocks_[number].address);
    std::uint64_t begin = at == alive_.begin() ? 0 : end_of(std::prev(at)->second);
    auto above = std::next(at);
    gaps_.erase({at->first - begin, begin});
    if (above != alive_.end()) {
      gaps_.erase({above->first - end_of(number), end_of(number)});
      add_gap(begin, above->first);
    }
    alive_.erase(at);
  }

 private:
  std::uint64_t end_of(std::uint32_t number) const {
    return blocks_[number].address + blocks_[number].bytes;
  }
  void add_gap(std::uint64_t begin, std::uint64_t end) {
    if (begin < end) gaps_.emplace(end - begin, begin);
  }

  std::vector<Block>& blocks_;
  std::map<std::uint64_t, std::uint32_t> alive_;            // by address
  std::set<std::pair<std::uint64_t, std::uint64_t>> gaps_;  // size and address, between and below
};

// Gives the largest blocks their addresses first, each in the smallest gap between those that have theirs and
// are alive with it, or above them.
void place_by_size(std::vector<Block>& blocks) {
  std::vector<std::uint32_t> by_size(blocks.size()), placed;  // placed: by address
  std::iota(by_size.begin(), by_size.end(), 0U);
  std::ranges::sort(by_size, [&](std::uint32_t a, std::uint32_t b) {
    return blocks[a].bytes != blocks[b].bytes ? blocks[a].bytes > blocks[b].bytes : a < b;
  });
  for (std::uint32_t number : by_size) {
    Block& block = blocks[number];
    std::uint64_t end = 0, smallest = UINT64_MAX;  // end of those that are below a gap
    for (std::uint32_t other : placed) {
      const Block& one = blocks[other];
      if (one.last < block.first || block.last < one.first) continue;
      if (one.address >= end + block.bytes && one.address - end < smallest) {
        smallest = one.address - end;
        block.address = end;
      }
      end = std::max(end, one.address + one.bytes);
    }
    if (smallest == UINT64_MAX) block.address = end;
    auto above = std::ranges::upper_bound(
        placed, block.address, {}, [&](std::uint32_t other) { return blocks[other].address; });
    placed.insert(above, number);
  }
}

class MemoryPlanner {
 public:
  MemoryPlanner(Program& program, const MemoryPlanOptions& options)
      : program_(program), options_(options), block_of_(program.buffers.size(), kNone) {}

  void find_blocks() {
    find_lifetimes();
    for (std::size_t call = 0; call < program_.calls.size(); ++call) {
      const KernelCall& now = program_.calls[call];
      std::vector<bool> taken_over(now.buffers.size());
      for (std::size_t target = 0; target < now.buffers.size(); ++target) {
        std::uint32_t buffer = now.buffers[target];
        const Lifetime& lifetime = lifetimes_[buffer];
        if (!in_workspace(buffer) || lifetime.first != call) continue;
        for (std::size_t source = 0; source < now.buffers.size(); ++source) {
          if (source == target || taken_over[source] || !takes_over(call, source, target)) continue;
          taken_over[source] = true;
          block_of_[buffer] = block_of_[now.buffers[source]];
          break;
        }
        if (block_of_[buffer] == kNone) {
          block_of_[buffer] = static_cast<std::uint32_t>(blocks_.size());
          blocks_.push_back({byte_count(program_.buffers[buffer]), 0, call, call, {}, 0});
        }
        blocks_[block_of_[buffer]].last = options_.reuse ? lifetime.last : program_.calls.size();
      }
    }
  }

  // The plan that is tightest where all symbols are `symbol`, by the calls or with the largest blocks first.
  void plan_with(std::int64_t symbol, bool by_size) {
    Dim::Bindings sizes = all_symbols(symbol);
    for (Block& block : blocks_) {
      block.bytes = about(block.size, sizes);
      block.below.clear();
    }
    if (by_size) place_by_size(blocks_);
    order_blocks(by_size);
    make_slots();
  }

  // Of the plans, the one that is at worst the least above the best of them.
  void plan() {
    const std::size_t sizes = program_.symbols.empty() ? 1 : std::size(kSymbols);
    const std::size_t plans = blocks_.size() > kMostBySize ? sizes : 2 * sizes;
    auto make = [&](std::size_t plan) { plan_with(kSymbols[plan % sizes], plan >= sizes); };
    std::vector<std::array<double, std::size(kSymbols)>> bytes(plans);  // by plan and sizes
    std::array<double, std::size(kSymbols)> best;
    best.fill(std::numeric_limits<double>::infinity());
    for (std::size_t plan = 0; plan < plans; ++plan) {
      make(plan);
      for (std::size_t i = 0; i < sizes; ++i) {
        bytes[plan][i] = static_cast<double>(
            workspace_bytes(program_, all_symbols(kSymbols[i])).value_or(INT64_MAX));
        best[i] = std::min(best[i], bytes[plan][i]);
      }
    }
    auto excess = [&](std::size_t plan) {
      double most = 1;
      for (std::size_t i = 0; i < sizes; ++i)
        if (best[i] > 0) most = std::max(most, bytes[plan][i] / best[i]);
      return most;
    };
    std::size_t chosen = 0;
    for (std::size_t plan = 1; plan < plans; ++plan)
      if (excess(plan) < excess(chosen)) chosen = plan;
    if (chosen + 1 < plans) make(chosen);
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

  // Puts what each block lies above into it, and without addresses, its address.
  void order_blocks(bool have_addresses) {
    std::vector<std::uint32_t> begin, end;
    for (std::uint32_t i = 0; i < blocks_.size(); ++i) begin.push_back(i);
    end = begin;
    auto key = [&](std::uint32_t i) {  // the large ones first
      return std::tuple(blocks_[i].first, ~blocks_[i].bytes, i);
    };
    std::sort(begin.begin(), begin.end(),
              [&](std::uint32_t a, std::uint32_t b) { return key(a) < key(b); });
    std::sort(end.begin(), end.end(), [&](std::uint32_t a, std::uint32_t b) {
      return std::pair(blocks_[a].last, a) < std::pair(blocks_[b].last, b);
    });
    LiveBlocks alive(blocks_);
    auto next_end = end.begin();
    for (std::uint32_t block : begin) {
      for (; blocks_[*next_end].last < blocks_[block].first; ++next_end) alive.erase(*next_end);
      if (!have_addresses) alive.find_place(block);
      alive.insert(block);
    }
  }

  void make_slots() {
    std::vector<std::uint32_t> upward;
    for (std::uint32_t i = 0; i < blocks_.size(); ++i) upward.push_back(i);
    std::sort(upward.begin(), upward.end(), [&](std::uint32_t a, std::uint32_t b) {
      return std::pair(blocks_[a].address, a) < std::pair(blocks_[b].address, b);
    });
    program_.slots.clear();
    ends_.assign(blocks_.size(), {});
    std::map<std::vector<End>, std::uint32_t> slots;
    std::map<std::tuple<std::string, std::int64_t, std::string>, std::uint32_t> sizes;
    std::vector<bool> is_top(blocks_.size(), true);
    for (std::uint32_t number : upward) {
      const auto& [dividend, divisor, extra] = blocks_[number].size;
      for (std::uint32_t below : blocks_[number].below) is_top[below] = false;
      std::vector<End> behind = ends_of(blocks_[number].below);
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

  void find_lifetimes() {
    lifetimes_.resize(program_.buffers.size());
    for (std::size_t call = 0; call < program_.calls.size(); ++call) {
      for (std::uint32_t buffer : program_.calls[call].buffers) {
        Lifetime& lifetime = lifetimes_[buffer];
        lifetime.first = std::min(lifetime.first, call);
        lifetime.last = std::max(lifetime.last, call);
      }
    }
  }

  bool in_workspace(std::uint32_t buffer) const {
    return program_.buffers[buffer].place == Buffer::Place::workspace;
  }

  bool takes_over(std::size_t call, std::size_t source, std::size_t target) const {
    const KernelCall& now = program_.calls[call];
    const Kernel& kernel = program_.kernels[now.kernel];
    std::uint32_t from = now.buffers[source], to = now.buffers[target];
    return options_.reuse && in_workspace(from) && !kernel.parameters[source].written &&
           lifetimes_[from].last == call &&
           byte_count(program_.buffers[from]) == byte_count(program_.buffers[to]) &&
           can_overwrite(kernel, static_cast<std::uint32_t>(source),
                         static_cast<std::uint32_t>(target));
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
  std::vector<Lifetime> lifetimes_;      // by buffer
  std::vector<std::uint32_t> block_of_;  // by buffer
  std::vector<Block> blocks_;
  std::vector<End> ends_;  // by block
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
  return true;
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
