#include "compiler/lowering/search_order.h"

#include <algorithm>
#include <array>
#include <limits>
#include <numeric>
#include <tuple>
#include <utility>
#include <vector>

#include "ir/diagnostic.h"

namespace weir {
namespace {

// Orders that are tried, for each block that takes part, and comparisons of blocks for them at
// most.
constexpr std::size_t kTriesOfBlock = 40, kMostWork = 40'000'000;
// How much more an order may need than the one before it, at first, as a part of what is alive at
// most.
constexpr double kThreshold = 0.008;
// The part of the mean of all sizes in what an order needs; the rest is the worst of them.
constexpr double kMean = 0.1;
// Blocks of a smaller part of what is alive at most take the last turns, and a plan that needs no
// more beyond it is good enough.
constexpr double kSmall = 0.004, kEnough = 1.0005;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

using Order = std::vector<std::uint32_t>;
// By size of the symbols, with the first one in place of those that there are not. In doubles,
// which are exact up to far more than any memory has.
using Bytes = std::array<double, kMostSymbolSizes>;

// Where blocks lie that took their turns in an order.
struct Places {
  Order order;
  std::size_t lead = 0;           // the size with which gaps are compared
  std::vector<Bytes> begin, end;  // by block
  Order upward;                   // by address
  // By turn: where all blocks up to it end, and which of them ends there.
  std::vector<Bytes> most;
  std::vector<std::array<std::uint32_t, kMostSymbolSizes>> top;
  double need = kInfinity;  // as a part of what is alive at most
};

class OrderSearch {
 public:
  OrderSearch(std::span<const BlockLife> lives, std::span<const std::vector<std::uint64_t>> bytes,
              std::span<const std::uint64_t> alive)
      : symbol_sizes_(bytes.size()), lives_(lives), bytes_(lives.size()) {
    for (std::size_t k = 0; k < kMostSymbolSizes; ++k) {
      const std::size_t size = k < symbol_sizes_ ? k : 0;
      alive_[k] = static_cast<double>(alive[size]);
      for (std::size_t i = 0; i < lives.size(); ++i)
        bytes_[i][k] = static_cast<double>(bytes[size][i]);
    }
    beside_.resize(lives.size() + 1);
    limits_.resize(lives.size());
  }

  OrderedPlaces run() {
    Places best;
    for (std::size_t size = 0; size < symbol_sizes_; ++size) {
      for (Order order : {by_bytes(size), by_breadth(size)}) {
        Places tried = of(std::move(order), size);
        if (tried.need < best.need) best = std::move(tried);
      }
    }
    Order small, others;
    for (const std::uint32_t block : best.order)
      (is_small(block) ? small : others).push_back(block);
    best.order = std::move(others);
    best = search(of(std::move(best.order), best.lead));
    best.order.insert(best.order.end(), small.begin(), small.end());
    best = of(std::move(best.order), best.lead);
    OrderedPlaces result{best.lead, {}};
    for (const Bytes& begin : best.begin)
      result.addresses.push_back(static_cast<std::uint64_t>(begin[best.lead]));
    return result;
  }

 private:
  // The largest first.
  Order by_bytes(std::size_t size) const {
    Order order(lives_.size());
    std::iota(order.begin(), order.end(), 0U);
    std::ranges::sort(order, [&](std::uint32_t a, std::uint32_t b) {
      return std::pair(bytes_[a][size], b) > std::pair(bytes_[b][size], a);
    });
    return order;
  }

  // Those first that are alive where most is, the largest first.
  Order by_breadth(std::size_t size) const {
    std::size_t calls = 0;
    for (const BlockLife& life : lives_) calls = std::max(calls, life.last + 1);
    std::vector<double> alive(calls);
    for (std::size_t i = 0; i < lives_.size(); ++i)
      for (std::size_t call = lives_[i].first; call <= lives_[i].last; ++call)
        alive[call] += bytes_[i][size];
    std::vector<double> most;  // by block: of what is alive with it
    for (const BlockLife& life : lives_)
      most.push_back(*std::max_element(alive.begin() + static_cast<std::ptrdiff_t>(life.first),
                                       alive.begin() + static_cast<std::ptrdiff_t>(life.last + 1)));
    Order order(lives_.size());
    std::iota(order.begin(), order.end(), 0U);
    std::ranges::sort(order, [&](std::uint32_t a, std::uint32_t b) {
      return std::tuple(most[a], bytes_[a][size], b) > std::tuple(most[b], bytes_[b][size], a);
    });
    return order;
  }

  bool is_small(std::uint32_t block) const {
    for (std::size_t k = 0; k < symbol_sizes_; ++k)
      if (bytes_[block][k] > kSmall * alive_[k]) return false;
    return true;
  }

  Places of(Order order, std::size_t lead) {
    Places places;
    places.order = std::move(order);
    places.lead = lead;
    places.begin.resize(lives_.size());
    places.end.resize(lives_.size());
    places.most.resize(places.order.size());
    places.top.resize(places.order.size());
    place(places, 0, kInfinity);
    return places;
  }

  Places search(Places now) {
    Places best = now, tried = now;
    const std::size_t count = now.order.size();
    if (count < 2) return best;
    const std::size_t tries = std::min(kTriesOfBlock * count, kMostWork / (count * count));
    for (std::size_t i = 0; i < tries && best.need > kEnough; ++i) {
      tried = now;
      const std::size_t turn = change(tried);
      const double threshold =
          kThreshold * static_cast<double>(draw(tries - i)) / static_cast<double>(tries);
      place(tried, turn, now.need + threshold);
      if (tried.need >= now.need + threshold) continue;
      std::swap(now, tried);
      if (now.need < best.need) best = now;
    }
    return best;
  }

  // Another turn for a block, or another size with which gaps are compared. Returns the first turn
  // that it changes.
  std::size_t change(Places& places) {
    const std::size_t kind = draw(8);
    if (kind == 0) {
      places.lead = draw(symbol_sizes_);
      return 0;
    }
    std::size_t from = draw(places.order.size()), to = draw(places.order.size());
    if (kind == 1) {
      const std::uint32_t top = places.top.back()[draw(symbol_sizes_)];
      from = static_cast<std::size_t>(std::ranges::find(places.order, top) - places.order.begin());
      to = draw(from + 1);
    }
    const auto [low, high] = std::minmax(from, to);
    const auto first = places.order.begin() + static_cast<std::ptrdiff_t>(low);
    const auto last = places.order.begin() + static_cast<std::ptrdiff_t>(high + 1);
    std::rotate(first, from < to ? first + 1 : last - 1, last);
    return low;
  }

  // Gives all blocks their places from a turn on, those before it being where they are; or stops
  // where that needs as much as the limit.
  void place(Places& places, std::size_t turn, double limit) {
    is_placed_.assign(lives_.size(), false);
    for (std::size_t i = 0; i < turn; ++i) is_placed_[places.order[i]] = true;
    std::erase_if(places.upward, [&](std::uint32_t block) { return !is_placed_[block]; });
    Bytes most{};
    std::array<std::uint32_t, kMostSymbolSizes> top{};
    if (turn > 0) {
      most = places.most[turn - 1];
      top = places.top[turn - 1];
    }
    for (std::size_t i = turn; i < places.order.size(); ++i) {
      const std::uint32_t block = places.order[i];
      find_place(places, block);
      bool is_higher = false;
      for (std::size_t k = 0; k < kMostSymbolSizes; ++k) {
        if (places.end[block][k] <= most[k]) continue;
        most[k] = places.end[block][k];
        top[k] = block;
        is_higher = true;
      }
      if (is_higher) {
        places.need = need_of(most);
        if (places.need >= limit) return;
      }
      places.most[i] = most;
      places.top[i] = top;
    }
    places.need = need_of(most);
  }

  double need_of(const Bytes& most) const {
    double worst = 0, sum = 0;
    for (std::size_t k = 0; k < symbol_sizes_; ++k) {
      const double part = most[k] / alive_[k];
      worst = std::max(worst, part);
      sum += part;
    }
    return (1 - kMean) * worst + kMean * sum / static_cast<double>(symbol_sizes_);
  }

  // These two are most of the time: no branch depends on where blocks lie.
  void find_place(Places& places, std::uint32_t block) {
    const BlockLife life = lives_[block];
    std::size_t count = 0;
    for (std::uint32_t other : places.upward) {
      beside_[count] = other;
      count += static_cast<std::size_t>(lives_[other].first <= life.last) &
               static_cast<std::size_t>(life.first <= lives_[other].last);
    }
    const Bytes begin = find_gap(places, bytes_[block], count);
    places.begin[block] = begin;
    for (std::size_t k = 0; k < kMostSymbolSizes; ++k)
      places.end[block][k] = begin[k] + bytes_[block][k];
    const auto above = std::ranges::upper_bound(
        places.upward, begin[places.lead], {},
        [&](std::uint32_t other) { return places.begin[other][places.lead]; });
    places.upward.insert(above, block);
  }

  Bytes find_gap(const Places& places, const Bytes& bytes, std::size_t count) {
    Bytes limit;  // where it has to end, if it is below all from there on
    limit.fill(kInfinity);
    for (std::size_t i = count; i-- > 0;) {
      const Bytes& begin = places.begin[beside_[i]];
      for (std::size_t k = 0; k < kMostSymbolSizes; ++k) limit[k] = std::min(limit[k], begin[k]);
      limits_[i] = limit;
    }
    Bytes end{}, found{};
    double smallest = kInfinity;
    for (std::size_t i = 0; i < count; ++i) {
      double room = kInfinity;  // that is left with the size where it is least
      for (std::size_t k = 0; k < kMostSymbolSizes; ++k)
        room = std::min(room, limits_[i][k] - end[k] - bytes[k]);
      const double gap = limits_[i][places.lead] - end[places.lead];
      if (room >= 0 && gap < smallest) {
        smallest = gap;
        found = end;
      }
      const Bytes& other = places.end[beside_[i]];
      for (std::size_t k = 0; k < kMostSymbolSizes; ++k) end[k] = std::max(end[k], other[k]);
    }
    return smallest < kInfinity ? found : end;
  }

  // Less than the limit: Knuth's linear congruential generator, its upper bits.
  std::size_t draw(std::size_t limit) {
    state_ = state_ * 6364136223846793005U + 1442695040888963407U;
    return static_cast<std::size_t>((state_ >> 33) * limit >> 31);
  }

  std::size_t symbol_sizes_;
  std::span<const BlockLife> lives_;
  std::vector<Bytes> bytes_;  // by block
  Bytes alive_{};
  std::uint64_t state_ = 10;
  // Of the block that is being placed: those beside it by address, and what is above each of these.
  Order beside_;
  std::vector<Bytes> limits_;
  std::vector<bool> is_placed_;
};

}  // namespace

OrderedPlaces search_order(std::span<const BlockLife> lives,
                           std::span<const std::vector<std::uint64_t>> bytes,
                           std::span<const std::uint64_t> alive) {
  WEIR_CHECK(!bytes.empty() && bytes.size() <= kMostSymbolSizes);
  return OrderSearch(lives, bytes, alive).run();
}

}  // namespace weir
