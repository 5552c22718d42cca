#include "compiler/lowering/place_blocks.h"

#include <algorithm>
#include <array>
#include <functional>
#include <iterator>
#include <limits>
#include <map>
#include <numeric>
#include <set>
#include <tuple>
#include <utility>

#include "ir/diagnostic.h"

namespace weir {
namespace {

constexpr std::size_t kMostSizes = 4;
// Of so many blocks each is compared with each, at most.
constexpr std::size_t kMostByOrder = 1024;
// Orders that are tried from the better of two on, and comparisons of blocks for them.
constexpr std::size_t kMostTries = 48, kMostWork = 1000000;
constexpr std::uint32_t kNone = UINT32_MAX;

using Order = std::vector<std::uint32_t>;
using Bytes = std::array<std::uint64_t, kMostSizes>;  // by size of the symbols

// The blocks that are alive, from the bottom of the workspace to its top, with one size of the symbols.
class LiveBlocks {
 public:
  LiveBlocks(std::span<PlacedBlock> blocks, const std::vector<std::uint64_t>& bytes)
      : blocks_(blocks), bytes_(bytes) {}

  // Gives the block the smallest gap that has room for it, or what is on top.
  void find_place(std::uint32_t number) {
    auto gap = gaps_.lower_bound({bytes_[number], 0});
    blocks_[number].address = gap != gaps_.end() ? gap->second
                              : alive_.empty()   ? 0
                                                 : end_of(alive_.rbegin()->second);
  }

  // Where its address says, which is free.
  void insert(std::uint32_t number) {
    PlacedBlock& block = blocks_[number];
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
    return blocks_[number].address + bytes_[number];
  }
  void add_gap(std::uint64_t begin, std::uint64_t end) {
    if (begin < end) gaps_.emplace(end - begin, begin);
  }

  std::span<PlacedBlock> blocks_;
  const std::vector<std::uint64_t>& bytes_;
  std::map<std::uint64_t, std::uint32_t> alive_;            // by address
  std::set<std::pair<std::uint64_t, std::uint64_t>> gaps_;  // size and address, between and below
};

// What is alive at a call with which a block begins.
struct Breadth {
  std::uint64_t bytes;
  std::size_t call;
};

class BlockPlacer {
 public:
  BlockPlacer(std::span<const BlockLife> lives, std::span<const std::vector<std::uint64_t>> bytes)
      : lives_(lives), bytes_(bytes), blocks_(lives.size()) {
    WEIR_CHECK(!bytes.empty() && bytes.size() <= kMostSizes);
    for (std::size_t size = 0; size < bytes_.size(); ++size) {
      const std::vector<Breadth> alive = breadths(size);
      alive_[size] = alive.empty() ? 1 : alive.front().bytes;
    }
  }

  std::vector<PlacedBlock> run() {
    for (std::size_t size = 0; size < bytes_.size(); ++size) {
      order_blocks(size, false);
      weigh();
      if (blocks_.size() > kMostByOrder) continue;
      search(size, false);
      if (bytes_.size() > 1) search(size, true);
    }
    return std::move(best_);
  }

 private:
  // What a plan needs at worst, as a part of what is alive, and what lies on top there.
  struct Weighed {
    double excess = 1;
    std::uint32_t top = kNone;
  };

  // The most first.
  std::vector<Breadth> breadths(std::size_t size) const {
    std::map<std::size_t, std::pair<std::uint64_t, std::uint64_t>>
        changes;  // what begins and has ended
    for (std::size_t i = 0; i < lives_.size(); ++i) {
      changes[lives_[i].first].first += bytes_[size][i];
      changes[lives_[i].last + 1].second += bytes_[size][i];
    }
    std::vector<Breadth> result;
    std::uint64_t alive = 0;
    for (const auto& [call, change] : changes) {
      alive += change.first - change.second;
      if (change.first != 0) result.push_back({alive, call});
    }
    std::ranges::sort(result, std::greater{},
                      [](const Breadth& one) { return std::pair(one.bytes, ~one.call); });
    return result;
  }

  // The largest first.
  Order by_bytes(std::size_t size) const {
    Order order(lives_.size());
    std::iota(order.begin(), order.end(), 0U);
    std::ranges::sort(order, std::greater{},
                      [&](std::uint32_t block) { return std::pair(bytes_[size][block], ~block); });
    return order;
  }

  // Those first that are alive where most is, the largest first.
  Order by_breadth(std::size_t size) const {
    const Order largest = by_bytes(size);
    Order order;
    std::vector<bool> is_in(lives_.size());
    for (const Breadth& breadth : breadths(size)) {
      for (std::uint32_t block : largest) {
        if (is_in[block] || lives_[block].first > breadth.call || lives_[block].last < breadth.call)
          continue;
        is_in[block] = true;
        order.push_back(block);
      }
    }
    return order;
  }

  void search(std::size_t size, bool for_all) {
    Order order = by_bytes(size), other = by_breadth(size);
    Weighed now = place(order, size, for_all);
    if (const Weighed weighed = place(other, size, for_all); weighed.excess < now.excess) {
      order = std::move(other);
      now = weighed;
    }
    const std::size_t tries =
        std::min(kMostTries, kMostWork / std::max<std::size_t>(1, order.size() * order.size()));
    for (std::size_t i = 0; i < tries && excess_ > 1; ++i) {
      const auto top = std::ranges::find(order, now.top);
      if (top == order.begin() || top == order.end()) break;
      std::rotate(order.begin() + (top - order.begin()) / 4, top, top + 1);
      now = place(order, size, for_all);
    }
  }

  // Gives blocks addresses in an order: each in the smallest gap between those that have theirs and are alive with it, where it has
  // room with one size of the symbols, or with all, or above them.
  Weighed place(const Order& order, std::size_t size, bool for_all) {
    struct Placed {
      Bytes address, end;
      std::size_t first, last;
    };
    const std::size_t from = for_all ? 0 : size, to = for_all ? bytes_.size() : size + 1;
    std::vector<Placed> placed;  // by address
    placed.reserve(order.size());
    std::vector<std::size_t> beside;
    std::vector<Bytes> limit;  // where it has to end, if it is below all from there on
    Bytes most{};
    std::array<std::uint32_t, kMostSizes> top;
    top.fill(kNone);
    for (std::uint32_t number : order) {
      const BlockLife& life = lives_[number];
      beside.clear();
      for (std::size_t i = 0; i < placed.size(); ++i)
        if (placed[i].first <= life.last && life.first <= placed[i].last) beside.push_back(i);
      limit.resize(beside.size() + 1);
      limit.back().fill(UINT64_MAX);
      for (std::size_t i = beside.size(); i-- > 0;)
        for (std::size_t k = from; k < to; ++k)
          limit[i][k] = std::min(limit[i + 1][k], placed[beside[i]].address[k]);
      Bytes end{}, found{};
      std::uint64_t smallest = UINT64_MAX;
      for (std::size_t i = 0;; ++i) {
        bool has_room = true;
        for (std::size_t k = from; k < to && has_room; ++k)
          has_room = limit[i][k] >= end[k] && limit[i][k] - end[k] >= bytes_[k][number];
        if (has_room &&
            (i == beside.size() ? smallest == UINT64_MAX : limit[i][size] - end[size] < smallest)) {
          smallest = limit[i][size] - end[size];
          found = end;
        }
        if (i == beside.size()) break;
        for (std::size_t k = from; k < to; ++k) end[k] = std::max(end[k], placed[beside[i]].end[k]);
      }
      Placed now{found, found, life.first, life.last};
      for (std::size_t k = from; k < to; ++k) {
        now.end[k] += bytes_[k][number];
        if (now.end[k] > most[k]) top[k] = number;
        most[k] = std::max(most[k], now.end[k]);
      }
      blocks_[number].address = found[size];
      const auto above = std::ranges::upper_bound(
          placed, found[size], {}, [&](const Placed& one) { return one.address[size]; });
      placed.insert(above, now);
    }
    const Weighed result = worst(most, top, from, to);
    // What is no better there needs not be weighed with the other sizes.
    if (result.excess >= excess_) return result;
    order_blocks(size, true);
    return weigh();
  }

  Weighed worst(const Bytes& most, const std::array<std::uint32_t, kMostSizes>& top,
                std::size_t from, std::size_t to) const {
    Weighed result;
    for (std::size_t size = from; size < to; ++size) {
      const double excess = static_cast<double>(most[size]) / static_cast<double>(alive_[size]);
      if (excess > result.excess) result = {excess, top[size]};
    }
    return result;
  }

  // Puts what each block lies above into it, and without addresses, its address.
  void order_blocks(std::size_t size, bool have_addresses) {
    for (PlacedBlock& block : blocks_) block.below.clear();
    Order begin(blocks_.size());
    std::iota(begin.begin(), begin.end(), 0U);
    Order end = begin;
    auto key = [&](std::uint32_t i) {  // the large ones first
      return std::tuple(lives_[i].first, ~bytes_[size][i], i);
    };
    std::ranges::sort(begin, {}, key);
    std::ranges::sort(end, {}, [&](std::uint32_t i) { return std::pair(lives_[i].last, i); });
    LiveBlocks alive(blocks_, bytes_[size]);
    auto next_end = end.begin();
    for (std::uint32_t block : begin) {
      for (; lives_[*next_end].last < lives_[block].first; ++next_end) alive.erase(*next_end);
      if (!have_addresses) alive.find_place(block);
      alive.insert(block);
    }
  }

  // What the order of the blocks comes to with all sizes; keeps it if it is the best yet.
  Weighed weigh() {
    Order upward(blocks_.size());
    std::iota(upward.begin(), upward.end(), 0U);
    std::ranges::sort(upward, {},
                      [&](std::uint32_t i) { return std::pair(blocks_[i].address, i); });
    std::vector<std::uint64_t> end(blocks_.size());
    Bytes most{};
    std::array<std::uint32_t, kMostSizes> top;
    top.fill(kNone);
    for (std::size_t size = 0; size < bytes_.size(); ++size) {
      for (std::uint32_t number : upward) {
        std::uint64_t begin = 0;
        for (std::uint32_t below : blocks_[number].below) begin = std::max(begin, end[below]);
        end[number] = begin + bytes_[size][number];
        if (end[number] > most[size]) top[size] = number;
        most[size] = std::max(most[size], end[number]);
      }
    }
    const Weighed result = worst(most, top, 0, bytes_.size());
    if (result.excess < excess_) {
      excess_ = result.excess;
      best_ = blocks_;
    }
    return result;
  }

  std::span<const BlockLife> lives_;
  std::span<const std::vector<std::uint64_t>> bytes_;
  Bytes alive_{};                    // the most at once
  std::vector<PlacedBlock> blocks_;  // as the plan that is being made has them
  std::vector<PlacedBlock> best_;
  double excess_ = std::numeric_limits<double>::infinity();  // of the best
};

}  // namespace

std::vector<PlacedBlock> place_blocks(std::span<const BlockLife> lives,
                                      std::span<const std::vector<std::uint64_t>> bytes) {
  return BlockPlacer(lives, bytes).run();
}

}  // namespace weir
