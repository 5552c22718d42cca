#include "compiler/lowering/place_channels.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <numeric>
#include <optional>
#include <unordered_set>

namespace weir {
namespace {

using scalar::Id;
using scalar::Primitive;

// So many runs a processor reads ahead at a time, or less.
constexpr std::int64_t kRunsAhead = 32;
constexpr std::uint32_t kChannels = 1;
constexpr int kLeastRank = 4;  // of images that have rows and columns

// Whether a fold over a window goes through many channels of a parameter.
bool folds_channels(const Kernel& kernel, std::uint32_t parameter) {
  const scalar::Arena& arena = kernel.arena;
  if (kernel.parameters[parameter].type.rank() < kLeastRank) return false;
  for (const Stage& stage : kernel.stages) {
    if (stage.digits.empty()) continue;
    for (Id load : scalar::reachable(arena, stage.fold->elements)) {
      if (!scalar::is_load(arena[load].primitive) || arena[load].payload != parameter) continue;
      const Id channel = arena.load_indices(load)[kChannels];
      for (Id id : scalar::reachable(arena, std::span(&channel, 1))) {
        const scalar::Node& node = arena[id];
        if (node.primitive == Primitive::axis && std::ranges::count(stage.digits, node.payload) &&
            arena.axis_extent(node.payload).constant() > kRunsAhead)
          return true;
      }
    }
  }
  return false;
}

// A kernel that goes through an image as if it were one row needs the rows behind each other.
bool may_join_rows(const Kernel& kernel) {
  return std::ranges::any_of(kernel.stages,
                             [](const Stage& stage) { return stage.fold && stage.digits.empty(); });
}

// An image that does not stay in the second cache.
bool is_large_image(const TensorType& type, const Core& core) {
  std::int64_t bytes = byte_size(type.dtype);
  for (std::size_t i = kChannels; i < type.shape.size(); ++i) {
    const std::optional<std::int64_t> extent = type.shape[i].constant();
    if (!extent) return false;
    bytes *= *extent;
  }
  return bytes > core.second.bytes;
}

}  // namespace

void place_channels(Layouts& layouts, const std::vector<const BuiltKernel*>& kernels,
                    const std::function<bool(ValueId)>& is_free,
                    const std::unordered_map<ValueId, ValueId>& again, const Core& core) {
  std::unordered_set<ValueId> stay;
  for (const auto& [value, first] : again) stay.insert({value, first});
  std::map<ValueId, TensorType> candidates;
  for (const BuiltKernel* built : kernels) {
    const bool joins = may_join_rows(built->kernel);
    for (std::uint32_t i = 0; i < built->values.size(); ++i) {
      const ValueId value = built->values[i];
      if (joins) {
        stay.insert(value);
      } else if (folds_channels(built->kernel, i)) {
        candidates.emplace(value, built->kernel.parameters[i].type);
      }
    }
  }
  for (const auto& [value, type] : candidates) {
    if (stay.contains(value) || !is_free(value) || !is_large_image(type, core)) continue;
    std::vector<std::uint32_t> order(type.shape.size());
    std::iota(order.begin(), order.end(), 0);
    if (const auto found = layouts.find(value); found != layouts.end()) order = found->second.order;
    const auto channels = std::ranges::find(order, kChannels);
    if (order.front() != 0 || channels + 1 == order.end()) continue;
    std::rotate(channels, channels + 1, order.end() - 1);
    layouts[value] = MemoryLayout{std::move(order)};
  }
}

}  // namespace weir
