#include "compiler/lowering/memory_plan.h"

#include <algorithm>

#include "runtime/abi.h"

namespace weir {
namespace {

using scalar::Id;
using scalar::Primitive;

SlotSize byte_count(const Buffer& buffer) {
  if (buffer.scratch) return *buffer.scratch;
  return {element_count(buffer.type.shape) * Dim(byte_size(buffer.type.dtype))};
}

struct Lifetime {
  std::size_t first = SIZE_MAX;  // the call that writes it
  std::size_t last = 0;          // the last call that touches it
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
      // A row's other stages may read anything of their own row before it is overwritten; that a read
      // stays in its row is certain only for the same indices.
      return !after && same_place(indices);
    });
    if (!fine) return false;
  }
  return true;
}

void plan_memory(Program& program, const MemoryPlanOptions& options) {
  std::vector<Lifetime> lifetimes(program.buffers.size());
  for (std::size_t call = 0; call < program.calls.size(); ++call) {
    for (std::uint32_t buffer : program.calls[call].buffers) {
      Lifetime& lifetime = lifetimes[buffer];
      lifetime.first = std::min(lifetime.first, call);
      lifetime.last = std::max(lifetime.last, call);
    }
  }
  std::vector<std::uint32_t> free_slots;
  auto in_workspace = [&](std::uint32_t buffer) {
    return program.buffers[buffer].place == Buffer::Place::workspace;
  };
  auto place = [&](std::uint32_t buffer, std::uint32_t slot) {
    program.buffers[buffer].index = slot;
    std::vector<SlotSize>& sizes = program.slots[slot].sizes;
    SlotSize size = byte_count(program.buffers[buffer]);
    if (std::find(sizes.begin(), sizes.end(), size) == sizes.end()) sizes.push_back(size);
  };
  for (std::size_t call = 0; call < program.calls.size(); ++call) {
    const KernelCall& now = program.calls[call];
    const Kernel& kernel = program.kernels[now.kernel];
    std::vector<bool> taken_over(now.buffers.size());
    for (std::size_t target = 0; target < now.buffers.size(); ++target) {
      std::uint32_t buffer = now.buffers[target];
      if (!in_workspace(buffer) || lifetimes[buffer].first != call) continue;
      std::optional<std::uint32_t> slot;
      for (std::size_t source = 0; options.reuse && !slot && source < now.buffers.size(); ++source) {
        std::uint32_t candidate = now.buffers[source];
        if (source == target || taken_over[source] || !in_workspace(candidate)) continue;
        if (kernel.parameters[source].written || lifetimes[candidate].last != call) continue;
        if (!can_overwrite(kernel, static_cast<std::uint32_t>(source),
                           static_cast<std::uint32_t>(target)))
          continue;
        slot = program.buffers[candidate].index;
        taken_over[source] = true;
      }
      if (!slot && !free_slots.empty()) {
        SlotSize size = byte_count(program.buffers[buffer]);
        auto fits = [&](std::uint32_t free) {
          const std::vector<SlotSize>& sizes = program.slots[free].sizes;
          return std::find(sizes.begin(), sizes.end(), size) != sizes.end();
        };
        auto found = std::find_if(free_slots.begin(), free_slots.end(), fits);
        if (found == free_slots.end()) found = free_slots.end() - 1;
        slot = *found;
        free_slots.erase(found);
      }
      if (!slot) {
        slot = static_cast<std::uint32_t>(program.slots.size());
        program.slots.emplace_back();
      }
      place(buffer, *slot);
    }
    if (!options.reuse) continue;
    for (std::size_t i = 0; i < now.buffers.size(); ++i) {
      std::uint32_t buffer = now.buffers[i];
      if (!in_workspace(buffer) || lifetimes[buffer].last != call || taken_over[i]) continue;
      std::uint32_t slot = program.buffers[buffer].index;
      if (std::find(free_slots.begin(), free_slots.end(), slot) == free_slots.end())
        free_slots.push_back(slot);
    }
  }
}

std::optional<std::uint64_t> workspace_bytes(const Program& program, const Dim::Bindings& bindings) {
  std::uint64_t total = 0;
  for (const WorkspaceSlot& slot : program.slots) {
    std::uint64_t size = 0;
    for (const SlotSize& candidate : slot.sizes) {
      std::optional<std::int64_t> dividend = candidate.dividend.evaluate(bindings);
      std::optional<std::int64_t> extra = candidate.extra.evaluate(bindings);
      if (!dividend || !extra || *dividend < 0 || *extra < 0) return std::nullopt;
      std::int64_t quotient = *dividend / candidate.divisor + (*dividend % candidate.divisor != 0);
      std::int64_t bytes;
      if (__builtin_add_overflow(quotient, *extra, &bytes)) return std::nullopt;
      size = std::max(size, static_cast<std::uint64_t>(bytes));
    }
    size = aligned(size);
    if (__builtin_add_overflow(total, size, &total)) return std::nullopt;
  }
  if (total > static_cast<std::uint64_t>(INT64_MAX)) return std::nullopt;
  return total;
}

}  // namespace weir
