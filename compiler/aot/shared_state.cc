#include "compiler/aot/shared_state.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "compiler/aot/shared_block.h"
#include "compiler/weight_block.h"
#include "ir/diagnostic.h"
#include "ir/escape.h"
#include "runtime/abi.h"

namespace weir {
StateLayout share_state(std::span<Program* const> programs) {
  StateLayout layout;
  for (Program* program : programs) {
    std::map<std::uint64_t, std::uint64_t> places;  // in the program's own block, in the shared one
    for (StateEntry& entry : program->state) {
      auto known =
          std::find_if(layout.entries.begin(), layout.entries.end(),
                       [&](const StateEntry& other) { return other.param == entry.param; });
      if (known != layout.entries.end() && known->type != entry.type)
        throw Error(fmt::format("the state {} is {} in one program and {} in another",
                                value_name(entry.param), to_string(known->type),
                                to_string(entry.type)));
      std::uint64_t place = known == layout.entries.end() ? layout.bytes : known->offset;
      // One without elements has no place that matters, and shares it with the next.
      if (entry.bytes > 0) places.emplace(entry.offset, place);
      entry.offset = place;
      if (known != layout.entries.end()) continue;
      layout.entries.push_back(entry);
      layout.bytes += aligned(entry.bytes);
    }
    move_buffers(*program, Buffer::Place::state, places);
  }
  for (Program* program : programs)
    program->state_bytes = program->state_bytes == 0 ? 0 : layout.bytes;
  return layout;
}

FirstValues first_values(const StateLayout& layout, const Weights& values, bool some_only) {
  std::vector<WeightEntry> entries;
  for (const StateEntry& entry : layout.entries)
    if (!some_only || values.contains(entry.param))
      entries.push_back({entry.param, nullptr, entry.type, {}, 0, entry.offset});
  check_weights(entries, values);
  std::string block(layout.bytes, '\0');
  fill_weight_block(entries, values, block);
  std::size_t last = block.find_last_not_of('\0');
  if (last == std::string::npos) return {};
  std::size_t from = block.find_first_not_of('\0') / WEIR_ALIGNMENT * WEIR_ALIGNMENT;
  return {from, block.substr(from, aligned(last + 1) - from)};
}

}  // namespace weir
