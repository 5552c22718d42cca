#include "compiler/lowering/place_blocks.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <map>
#include <numeric>
#include <set>
#include <tuple>
#include <utility>

#include "compiler/lowering/search_order.h"
#include "ir/diagnostic.h"

namespace weir {
namespace {

// Of so many blocks each is compared with each, at most.
constexpr std::size_t kMostByOrder = 1024;

using Order = std::vector<std::uint32_t>;

// The blocks that are alive, from the bottom of the workspace to its top, with one size of the
// symbols.
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

class BlockPlacer {
 public:
  BlockPlacer(std::span<const BlockLife> lives, std::span<const std::vector<std::uint64_t>> bytes)
      : lives_(lives), bytes_(bytes), blocks_(lives.size()) {
    WEIR_CHECK(!bytes.empty() && bytes.size() <= kMostSymbolSizes);
    for (std::size_t size = 0; size < bytes_.size(); ++size) alive_.push_back(most_alive(size));
  }

  std::vector<PlacedBlock> run() {
    for (std::size_t size = 0; size < bytes_.size(); ++size) {
      order_blocks(size, false);
      weigh();
    }
    if (blocks_.size() > 1 && blocks_.size() <= kMostByOrder) {
      const OrderedPlaces places = search_order(lives_, bytes_, alive_);
      for (std::size_t i = 0; i < blocks_.size(); ++i) blocks_[i].address = places.addresses[i];
      order_blocks(places.size, true);
      weigh();
    }
    return std::move(best_);
  }

 private:
  std::uint64_t most_alive(std::size_t size) const {
    // What begins and has ended, by call.
    std::map<std::size_t, std::pair<std::uint64_t, std::uint64_t>> changes;
    for (std::size_t i = 0; i < lives_.size(); ++i) {
      changes[lives_[i].first].first += bytes_[size][i];
      changes[lives_[i].last + 1].second += bytes_[size][i];
    }
    std::uint64_t alive = 0, most = 1;
    for (const auto& [call, change] : changes)
      most = std::max(most, alive += change.first - change.second);
    return most;
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

  // Keeps the order of the blocks if it needs least yet, at worst of all sizes, as a part of what
  // is alive.
  void weigh() {
    Order upward(blocks_.size());
    std::iota(upward.begin(), upward.end(), 0U);
    std::ranges::sort(upward, {},
                      [&](std::uint32_t i) { return std::pair(blocks_[i].address, i); });
    std::vector<std::uint64_t> end(blocks_.size());
    double excess = 1;
    for (std::size_t size = 0; size < bytes_.size(); ++size) {
      std::uint64_t most = 0;
      for (std::uint32_t number : upward) {
        std::uint64_t begin = 0;
        for (std::uint32_t below : blocks_[number].below) begin = std::max(begin, end[below]);
        end[number] = begin + bytes_[size][number];
        most = std::max(most, end[number]);
      }
      excess = std::max(excess, static_cast<double>(most) / static_cast<double>(alive_[size]));
    }
    if (excess >= excess_) return;
    excess_ = excess;
    best_ = blocks_;
  }

  std::span<const BlockLife> lives_;
  std::span<const std::vector<std::uint64_t>> bytes_;
  std::vector<std::uint64_t> alive_;  // the most at once, by size
  std::vector<PlacedBlock> blocks_;   // as the plan that is being made has them
  std::vector<PlacedBlock> best_;
  double excess_ = std::numeric_limits<double>::infinity();  // of the best
};

}  // namespace

std::vector<PlacedBlock> place_blocks(std::span<const BlockLife> lives,
                                      std::span<const std::vector<std::uint64_t>> bytes) {
  return BlockPlacer(lives, bytes).run();
}

}  // namespace weir
