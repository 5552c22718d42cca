#include "compiler/lowering/place_parts.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "compiler/lowering/linear_offset.h"
#include "compiler/lowering/own_memory.h"

namespace weir {
namespace {

using scalar::Id;

// The parameters of a kernel that copies all of one to all of the other, in order.
struct Copied {
  std::uint32_t from, to;
};

std::optional<Copied> copied(const Kernel& kernel) {
  if (kernel.parameters.size() != 2 || kernel.across || kernel.stages.size() != 1) return {};
  const Stage& stage = kernel.stages[0];
  if (stage.fold || stage.axis || stage.stores.size() != 1) return {};
  const Store& store = stage.stores[0];
  scalar::Arena arena = kernel.arena;
  if (arena[store.value].primitive != scalar::Primitive::load) return {};
  const auto from = static_cast<std::uint32_t>(arena[store.value].payload);
  const TensorType &source = kernel.parameters[from].type,
                   &target = kernel.parameters[store.parameter].type;
  const Dim count = element_count(kernel.rows);
  if (from == store.parameter || source.dtype != target.dtype ||
      element_count(source.shape) != count || element_count(target.shape) != count)
    return {};
  const std::vector<Id> place(arena.load_indices(store.value).begin(),
                              arena.load_indices(store.value).end());
  if (linear_offset(arena, source.shape, place) !=
      linear_offset(arena, target.shape, store.indices))
    return {};
  return Copied{from, store.parameter};
}

class PartPlacer {
 public:
  explicit PartPlacer(Program& program) : program_(program), stays_(program.buffers.size()) {
    for (std::size_t i = 0; i < stays_.size(); ++i) {
      const Buffer& buffer = program.buffers[i];
      stays_[i] = !is_own(buffer) || buffer.scratch || buffer.layout != MemoryLayout{};
    }
    for (const IndexCheck& check : program.checks)
      stays_[check.position] = stays_[check.index] = true;
    for (const StateEntry& entry : program.state) stays_[entry.buffer] = true;
  }

  void run() {
    std::vector<std::optional<Copied>> copies;
    for (const Kernel& kernel : program_.kernels) copies.push_back(copied(kernel));
    std::vector<Place> places(program_.buffers.size());
    std::vector<bool> is_gone(program_.calls.size());
    for (std::size_t i = 0; i < program_.calls.size(); ++i) {
      const KernelCall& call = program_.calls[i];
      if (call.begins.empty() || !copies[call.kernel]) continue;
      const auto& [from, to] = *copies[call.kernel];
      const std::uint32_t source = call.buffers[from], target = call.buffers[to];
      if (stays_[source] || places[source].buffer != kNone || !may_hold(target) ||
          call.begins[from] != Dim(0) ||
          program_.buffers[source].type.shape !=
              program_.kernels[call.kernel].parameters[from].type.shape)
        continue;
      places[source] = {target, call.begins[to]};
      is_gone[i] = true;
    }
    if (std::ranges::none_of(is_gone, [](bool gone) { return gone; })) return;
    for (KernelCall& call : program_.calls) move(call, places);
    drop(is_gone);
  }

 private:
  static constexpr std::uint32_t kNone = UINT32_MAX;
  struct Place {
    std::uint32_t buffer = kNone;
    Dim begin = 0;
  };

  bool may_hold(std::uint32_t buffer) const {
    const Buffer& whole = program_.buffers[buffer];
    return whole.place == Buffer::Place::output || !stays_[buffer];
  }

  // What holds a buffer may have a place in another one itself.
  void move(KernelCall& call, const std::vector<Place>& places) const {
    for (std::size_t i = 0; i < call.buffers.size(); ++i) {
      while (places[call.buffers[i]].buffer != kNone) {
        if (call.begins.empty()) call.begins.assign(call.buffers.size(), Dim(0));
        const auto& [buffer, begin] = places[call.buffers[i]];
        call.begins[i] = call.begins[i] + begin;
        call.buffers[i] = buffer;
      }
    }
  }

  void drop(const std::vector<bool>& is_gone) {
    std::vector<KernelCall> calls;
    std::vector<std::uint32_t> number(is_gone.size());  // or that of the call before
    for (std::size_t i = 0; i < is_gone.size(); ++i) {
      if (!is_gone[i]) calls.push_back(std::move(program_.calls[i]));
      number[i] = static_cast<std::uint32_t>(calls.size() - 1);
    }
    for (IndexCheck& check : program_.checks) check.call = number[check.call];
    program_.calls = std::move(calls);
  }

  Program& program_;
  std::vector<bool> stays_;  // by buffer: where it is
};

}  // namespace

void place_parts(Program& program) { PartPlacer(program).run(); }

}  // namespace weir
