#include "compiler/lowering/shorten_lives.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <numeric>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "compiler/lowering/elements.h"
#include "compiler/lowering/own_memory.h"

namespace weir {
namespace {

// In bytes, with an estimate for each symbol: a program with less alive stays as it is, and so does
// a call that would save less.
constexpr double kLeastAlive = 1 << 20, kLeastSaving = 65536;
// What all moves together have to save, and what waiting for nothing's sake has to, as parts of
// what is alive at most.
constexpr double kLeastPart = 0.02, kLeastPartOfWaiting = 0.05;
constexpr int kSweeps = 3;
// A call moves past so many others, and a copy joins a call no further away, so that a graph of any
// length takes time in proportion.
constexpr std::size_t kFarthest = 1024, kNear = 64;

struct Use {
  std::uint32_t memory;
  bool is_written;
};
using Uses = std::vector<Use>;  // each memory once

void add_use(Uses& uses, const Use& added) {
  for (Use& use : uses) {
    if (use.memory != added.memory) continue;
    use.is_written = use.is_written || added.is_written;
    return;
  }
  uses.push_back(added);
}

// Whether one may not run before the other.
bool conflict(const Uses& one, const Uses& other) {
  for (const Use& use : one)
    for (const Use& before : other)
      if (use.memory == before.memory && (use.is_written || before.is_written)) return true;
  return false;
}

// What each call touches: buffers of the workspace, and places outside it, which buffers may share.
struct CallUses {
  explicit CallUses(const Program& program) : calls(program.calls.size()) {
    std::map<std::tuple<Buffer::Place, std::uint64_t, std::uint64_t>, std::uint32_t> numbers;
    for (std::size_t i = 0; i < calls.size(); ++i) {
      const KernelCall& call = program.calls[i];
      for (std::size_t p = 0; p < call.buffers.size(); ++p) {
        const Buffer& buffer = program.buffers[call.buffers[p]];
        const bool own = is_own(buffer);
        const auto [memory, is_new] = numbers.try_emplace(
            {buffer.place, own ? call.buffers[p] : buffer.index, own ? 0 : buffer.offset},
            static_cast<std::uint32_t>(numbers.size()));
        if (is_new) bytes.push_back(estimated_bytes(buffer));
        add_use(calls[i], {memory->second, program.kernels[call.kernel].parameters[p].written});
      }
    }
  }

  std::vector<Uses> calls;
  std::vector<double> bytes;  // by memory; 0 outside the workspace
};

// By call: the one that it runs right before, or itself. The steps of a copy stay together, and a
// copy with one reader with that.
std::vector<std::uint32_t> find_units(const Program& program, const CallUses& uses,
                                      std::size_t begin) {
  constexpr std::uint32_t kNone = UINT32_MAX;
  struct Next {  // who touches a memory, behind
    std::uint32_t unit = kNone;
    bool is_only = true, writes = false;
  };
  std::vector<Next> next(uses.bytes.size());
  std::vector<std::uint32_t> unit_of(uses.calls.size());
  for (std::size_t i = uses.calls.size(); i-- > 0;) {
    std::uint32_t unit = kNone;
    bool joins = i >= begin && program.calls[i].nodes.empty();
    for (const Use& use : uses.calls[i]) {
      if (!use.is_written) continue;
      const Next& user = next[use.memory];
      joins = joins && user.unit != kNone && (unit == kNone || unit == user.unit) &&
              (user.is_only || user.writes);
      unit = user.unit;
    }
    joins = joins && unit != kNone && unit - i <= kNear;
    for (std::size_t k = i + 1; joins && k < unit; ++k)
      joins = unit_of[k] == unit || !conflict(uses.calls[i], uses.calls[k]);
    if (!joins) unit = static_cast<std::uint32_t>(i);
    unit_of[i] = unit;
    for (const Use& use : uses.calls[i]) {
      Next& user = next[use.memory];
      user.is_only = user.is_only && (user.unit == kNone || user.unit == unit);
      user.unit = unit;
      user.writes = use.is_written;
    }
  }
  return unit_of;
}

// Units of calls, in an order that changes.
class CallSequence {
 public:
  explicit CallSequence(const Program& program) {
    CallUses uses(program);
    std::size_t begin = 0;
    for (const IndexCheck& check : program.checks)
      begin = std::max<std::size_t>(begin, check.call + 1);
    const std::vector<std::uint32_t> unit_of = find_units(program, uses, begin);
    std::vector<std::uint32_t> number(unit_of.size());
    for (std::uint32_t i = 0; i < unit_of.size(); ++i) {
      if (unit_of[i] != i) continue;
      number[i] = static_cast<std::uint32_t>(units_.size());
      units_.emplace_back();
      if (i < begin) begin_ = units_.size();
    }
    for (std::uint32_t i = 0; i < unit_of.size(); ++i) {
      Unit& unit = units_[number[unit_of[i]]];
      unit.calls.push_back(i);
      for (const Use& use : uses.calls[i]) add_use(unit.uses, use);
    }
    bytes_ = std::move(uses.bytes);
    order_.resize(units_.size());
    std::iota(order_.begin(), order_.end(), 0U);
    first_.assign(bytes_.size(), SIZE_MAX);
    last_.assign(bytes_.size(), 0);
    for (std::size_t at = 0; at < order_.size(); ++at) {
      for (const Use& use : units_[order_[at]].uses) {
        first_[use.memory] = std::min(first_[use.memory], at);
        last_[use.memory] = at;
      }
    }
  }

  std::vector<std::uint32_t> calls() const {
    std::vector<std::uint32_t> result;
    for (std::uint32_t unit : order_)
      result.insert(result.end(), units_[unit].calls.begin(), units_[unit].calls.end());
    return result;
  }

  double most_alive() const {
    std::vector<double> change(order_.size() + 1);
    for (std::size_t i = 0; i < bytes_.size(); ++i) {
      change[first_[i]] += bytes_[i];
      change[last_[i] + 1] -= bytes_[i];
    }
    double alive = 0, most = 0;
    for (double one : change) most = std::max(most, alive += one);
    return most;
  }

  // Lets those wait that write so much more than they free, or no more than so much less, from the
  // last one on: those behind are where they will be. If `to_end`, what nothing needs waits, too.
  void delay(double least, bool to_end) {
    for (std::size_t at = order_.size(); at-- > begin_;) {
      if (-freed(at) < least) continue;
      const std::size_t end = std::min(order_.size(), at + kFarthest);
      std::size_t next = at + 1;
      while (next < end && !conflict(uses(next), uses(at))) ++next;
      if (next < order_.size() || to_end) move(at, next - 1);
    }
  }

  // Lets those run early that free more than they write, behind all others that read the same.
  void hasten() {
    for (std::size_t at = begin_; at < order_.size(); ++at) {
      if (freed(at) < kLeastSaving) continue;
      const std::size_t end = std::max(begin_, at - std::min(at, kFarthest));
      std::size_t to = at;
      while (to > end && !conflict(uses(at), uses(to - 1)) && !share_end(at, to - 1)) --to;
      move(at, to);
    }
  }

 private:
  struct Unit {
    std::vector<std::uint32_t> calls;
    Uses uses;
  };

  const Uses& uses(std::size_t at) const { return units_[order_[at]].uses; }

  // The bytes that are alive before it and not behind it, less those behind it and not before.
  double freed(std::size_t at) const {
    double bytes = 0;
    for (const Use& use : uses(at)) {
      if (last_[use.memory] == at) bytes += bytes_[use.memory];
      if (first_[use.memory] == at) bytes -= bytes_[use.memory];
    }
    return bytes;
  }

  // Whether another one reads what ends there.
  bool share_end(std::size_t at, std::size_t other) const {
    for (const Use& use : uses(at))
      for (const Use& before : uses(other))
        if (use.memory == before.memory && last_[use.memory] == at &&
            bytes_[use.memory] >= kLeastSaving)
          return true;
    return false;
  }

  // Those in between, which need nothing of it, close up.
  void move(std::size_t from, std::size_t to) {
    if (from == to) return;
    auto at = [&](std::size_t i) { return order_.begin() + static_cast<std::ptrdiff_t>(i); };
    if (from < to)
      std::rotate(at(from), at(from + 1), at(to + 1));
    else
      std::rotate(at(to), at(from), at(from + 1));
    const auto [low, high] = std::minmax(from, to);
    for (std::size_t i = low; i <= high; ++i)
      for (const Use& use : uses(i)) first_[use.memory] = std::min(first_[use.memory], low);
    // Ends that lie in between are found again, from both sides.
    for (std::size_t i = high + 1; i-- > low;)
      for (const Use& use : uses(i))
        if (first_[use.memory] >= low) first_[use.memory] = i;
    for (std::size_t i = low; i <= high; ++i)
      for (const Use& use : uses(i))
        if (last_[use.memory] <= high) last_[use.memory] = i;
  }

  std::vector<Unit> units_;
  std::vector<std::uint32_t> order_;       // of units
  std::vector<double> bytes_;              // by memory
  std::vector<std::size_t> first_, last_;  // by memory: places in the order
  std::size_t begin_ = 0;                  // behind the checks of indices
};

}  // namespace

void shorten_lives(Program& program) {
  CallSequence sequence(program);
  const double before = sequence.most_alive();
  if (before < kLeastAlive) return;
  std::optional<CallSequence> best;
  double least = before * (1 - kLeastPart);
  auto keep = [&](double most) {
    const double alive = sequence.most_alive();
    if (alive >= most) return;
    least = alive;
    best = sequence;
  };
  for (int i = 0; i < kSweeps; ++i) {
    sequence.hasten();
    keep(least);
    sequence.delay(kLeastSaving, false);
    keep(least);
  }
  const double waiting = (best ? least : before) * (1 - kLeastPartOfWaiting);
  for (int i = 0; i < kSweeps; ++i) {
    sequence.delay(-kLeastSaving / 64, true);
    keep(std::min(least, waiting));
    sequence.hasten();
    keep(std::min(least, waiting));
  }
  if (!best) return;
  std::vector<KernelCall> calls;
  for (std::uint32_t call : best->calls()) calls.push_back(std::move(program.calls[call]));
  program.calls = std::move(calls);
}

}  // namespace weir
