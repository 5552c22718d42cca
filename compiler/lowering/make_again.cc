#include "compiler/lowering/make_again.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "compiler/lowering/elements.h"
#include "compiler/lowering/estimated_size.h"
#include "compiler/lowering/own_memory.h"

namespace weir {
namespace {

// With an estimate for each symbol: a program with less alive, in bytes, stays as it is.
constexpr double kLeastAlive = 1 << 20;
// What a value made again has to save, as a part of what is alive at most.
constexpr double kLeastSaving = 0.05;
// How often its reader reads each element, and what an element takes to make, in nodes of an
// expression.
constexpr double kLeastReads = 512;
constexpr std::size_t kMostNodes = 64;
constexpr int kMostValues = 16;

class Maker {
 public:
  explicit Maker(Program& program) : program_(program) {}

  // Makes one value again; false if there is none that is worth it.
  bool run() {
    find_uses();
    const std::vector<double> alive = bytes_alive();
    if (alive.empty()) return false;
    const auto most = std::ranges::max_element(alive);
    if (*most < kLeastAlive) return false;
    const auto peak = static_cast<std::size_t>(most - alive.begin());
    std::optional<Candidate> best;
    double least = *most * (1 - kLeastSaving);
    for (std::uint32_t buffer = 0; buffer < uses_.size(); ++buffer) {
      if (bytes(buffer) < *most * kLeastSaving) continue;
      const std::optional<Candidate> candidate = idle_at(buffer, peak);
      if (!candidate) continue;
      std::vector<double> after = alive;
      for (std::size_t i = candidate->end; i < candidate->reader; ++i) after[i] -= bytes(buffer);
      if (const double now = *std::ranges::max_element(after); now < least) {
        least = now;
        best = candidate;
      }
    }
    if (best) apply(*best);
    return best.has_value();
  }

 private:
  struct Candidate {
    std::uint32_t buffer;
    std::size_t makers;       // so many of its uses write it, the first ones
    std::size_t end, reader;  // calls: idle from the one on, until the other
  };

  bool is_own(std::uint32_t number) const { return weir::is_own(program_.buffers[number]); }
  double bytes(std::uint32_t number) const { return estimated_bytes(program_.buffers[number]); }

  void find_uses() {
    uses_.assign(program_.buffers.size(), {});
    for (std::size_t i = 0; i < program_.calls.size(); ++i)
      for (std::uint32_t buffer : program_.calls[i].buffers)
        if (uses_[buffer].empty() || uses_[buffer].back() != i) uses_[buffer].push_back(i);
  }

  std::vector<double> bytes_alive() const {
    std::vector<double> change(program_.calls.size() + 1);
    for (std::uint32_t buffer = 0; buffer < uses_.size(); ++buffer) {
      if (uses_[buffer].empty()) continue;
      change[uses_[buffer].front()] += bytes(buffer);
      change[uses_[buffer].back() + 1] -= bytes(buffer);
    }
    for (std::size_t i = 1; i < change.size(); ++i) change[i] += change[i - 1];
    change.pop_back();
    return change;
  }

  bool writes(std::size_t call, std::uint32_t buffer) const {
    const KernelCall& now = program_.calls[call];
    for (std::size_t i = 0; i < now.buffers.size(); ++i)
      if (now.buffers[i] == buffer && program_.kernels[now.kernel].parameters[i].written)
        return true;
    return false;
  }

  // Whether another buffer is the same memory and written in between.
  bool is_changed(std::uint32_t number, std::size_t first, std::size_t last) const {
    const Buffer& buffer = program_.buffers[number];
    for (std::size_t i = first; i < last; ++i) {
      const KernelCall& call = program_.calls[i];
      for (std::size_t p = 0; p < call.buffers.size(); ++p) {
        if (!program_.kernels[call.kernel].parameters[p].written) continue;
        const Buffer& written = program_.buffers[call.buffers[p]];
        if (call.buffers[p] == number ||
            (!is_own(number) && written.place == buffer.place && written.index == buffer.index &&
             written.offset == buffer.offset))
          return true;
      }
    }
    return false;
  }

  std::optional<Candidate> idle_at(std::uint32_t buffer, std::size_t peak) const {
    const std::vector<std::size_t>& at = uses_[buffer];
    std::size_t makers = 0;
    while (makers < at.size() && writes(at[makers], buffer)) ++makers;
    const auto next = std::ranges::upper_bound(at, peak);
    if (makers == 0 || next == at.end() || next == at.begin() || *std::prev(next) == peak ||
        next - at.begin() < static_cast<std::ptrdiff_t>(makers))
      return std::nullopt;
    for (std::size_t i = makers; i < at.size(); ++i)
      if (writes(at[i], buffer)) return std::nullopt;
    if (reads_of(program_.calls[*next], buffer) < kLeastReads) return std::nullopt;
    for (std::size_t i = 0; i < makers; ++i)
      if (!can_run_again(at[i], buffer, *next)) return std::nullopt;
    return Candidate{buffer, makers, *std::prev(next) + 1, *next};
  }

  // How often the call reads each element.
  double reads_of(const KernelCall& call, std::uint32_t buffer) const {
    const Kernel& kernel = program_.kernels[call.kernel];
    double most = 0;
    for (const Stage& stage : kernel.stages)
      if (stage.fold)
        most = std::max(most, reads_of_each(kernel, stage, program_.buffers[buffer].type.shape));
    return most;
  }

  // Whether the call writes nothing else, with little arithmetic, and finds its operands as they
  // were; what is little stays for it.
  bool can_run_again(std::size_t number, std::uint32_t buffer, std::size_t reader) const {
    const KernelCall& call = program_.calls[number];
    const Kernel& kernel = program_.kernels[call.kernel];
    if (kernel.across || kernel.arena.size() > kMostNodes) return false;
    for (const Stage& stage : kernel.stages)
      if (stage.fold) return false;
    for (std::size_t p = 0; p < call.buffers.size(); ++p) {
      if (call.buffers[p] == buffer) continue;
      const std::uint32_t operand = call.buffers[p];
      if (kernel.parameters[p].written || is_changed(operand, number, reader)) return false;
      const bool lives_longer = is_own(operand) && uses_[operand].back() < reader;
      if (lives_longer && bytes(operand) > bytes(buffer) * kLeastSaving * kLeastSaving)
        return false;
    }
    return true;
  }

  void apply(const Candidate& candidate) {
    std::vector<KernelCall>& calls = program_.calls;
    const auto again = static_cast<std::uint32_t>(program_.buffers.size());
    program_.buffers.push_back(Buffer(program_.buffers[candidate.buffer]));
    for (std::size_t i = candidate.reader; i < calls.size(); ++i)
      std::ranges::replace(calls[i].buffers, candidate.buffer, again);
    std::vector<KernelCall> made;
    for (std::size_t i = 0; i < candidate.makers; ++i) {
      made.push_back(calls[uses_[candidate.buffer][i]]);
      // As a copy, which is of the pass that reads it.
      made.back().nodes.clear();
      std::ranges::replace(made.back().buffers, candidate.buffer, again);
    }
    for (IndexCheck& check : program_.checks)
      if (check.call >= candidate.reader)
        check.call += static_cast<std::uint32_t>(candidate.makers);
    calls.insert(calls.begin() + static_cast<std::ptrdiff_t>(candidate.reader),
                 std::make_move_iterator(made.begin()), std::make_move_iterator(made.end()));
  }

  Program& program_;
  std::vector<std::vector<std::size_t>> uses_;  // by buffer: calls
};

}  // namespace

void make_again(Program& program) {
  Maker maker(program);
  for (int i = 0; i < kMostValues && maker.run(); ++i) {
  }
}

}  // namespace weir
