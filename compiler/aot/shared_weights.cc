#include "compiler/aot/shared_weights.h"

#include <algorithm>
#include <cstring>
#include <map>

#include "compiler/aot/shared_block.h"

namespace weir {
namespace {

bool equal_content(const Tensor& a, const Tensor& b) {
  return a.byte_count() == b.byte_count() && (a.data() == b.data() || a.byte_count() == 0 ||
                                              std::memcmp(a.data(), b.data(), a.byte_count()) == 0);
}

bool equal_weights(const WeightEntry& a, const WeightEntry& b) {
  if (a.param != b.param || !(a.type == b.type)) return false;
  if (a.order != b.order || a.panel != b.panel || a.times_zero != b.times_zero) return false;
  return a.value && b.value ? equal_content(*a.value, *b.value) : !a.value && !b.value;
}

std::uint64_t aligned_bytes(const TensorType& type) {
  auto bytes = static_cast<std::uint64_t>(byte_size(type.dtype));
  for (const Dim& dim : type.shape) bytes *= static_cast<std::uint64_t>(dim.value());
  return aligned(bytes);
}

}  // namespace

WeightLayout share_weights(std::span<Program* const> programs) {
  WeightLayout layout;
  for (Program* program : programs) {
    std::map<std::uint64_t, std::uint64_t> places;  // in the program's own block, in the shared one
    for (WeightEntry& entry : program->weights) {
      if (!entry.offset) continue;
      auto known =
          std::find_if(layout.entries.begin(), layout.entries.end(),
                       [&](const WeightEntry& other) { return equal_weights(entry, other); });
      std::uint64_t place = known == layout.entries.end() ? layout.bytes : *known->offset;
      // One without elements has no place that matters, and shares it with the next.
      const std::uint64_t bytes = aligned_bytes(type_in_block(entry));
      if (bytes > 0) places.emplace(*entry.offset, place);
      entry.offset = place;
      if (known != layout.entries.end()) continue;
      layout.entries.push_back(entry);
      layout.bytes += bytes;
    }
    move_buffers(*program, Buffer::Place::weights, places);
  }
  for (Program* program : programs)
    program->weight_bytes = program->weight_bytes == 0 ? 0 : layout.bytes;
  return layout;
}

}  // namespace weir
