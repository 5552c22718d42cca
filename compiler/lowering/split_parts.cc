#include "compiler/lowering/split_parts.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "compiler/lowering/reads_axis.h"
#include "ir/scalar/affine.h"

namespace weir {
namespace {

using scalar::Arena;
using scalar::Id;
using scalar::Primitive;

// Stages are code of their own each.
constexpr std::size_t kMostParts = 16;
// All stages of a row are one thread's.
constexpr std::int64_t kLongestRow = 4096;

// Where the outcome of a comparison changes along an axis: at which index it is another one for the
// first time. None if it is of other things.
std::optional<std::int64_t> change_along(const Arena& arena, Id id, std::uint32_t axis) {
  const Primitive primitive = arena[id].primitive;
  if (primitive != Primitive::lt && primitive != Primitive::le) return std::nullopt;
  if (arena[arena.operand(id, 0)].type != DType::i64) return std::nullopt;
  const scalar::Affine difference = scalar::decompose(arena, arena.operand(id, 0)) -
                                    scalar::decompose(arena, arena.operand(id, 1));
  const std::optional<std::int64_t> constant = difference.constant.constant();
  if (!constant || difference.terms.size() != 1 || !is_axis(arena, difference.terms[0].first, axis))
    return std::nullopt;
  const bool is_strict = primitive == Primitive::lt;
  if (difference.terms[0].second == Dim(1)) return -*constant + (is_strict ? 0 : 1);
  if (difference.terms[0].second == Dim(-1)) return *constant + (is_strict ? 1 : 0);
  return std::nullopt;
}

std::int64_t vectors_of(std::int64_t elements, int lanes) { return (elements + lanes - 1) / lanes; }

// Whether stages pay: every vector of the whole is one of each part under a mask, which an address
// that is chosen makes cheap, and the vectors of stages have loops of their own.
bool pay(const std::vector<std::int64_t>& ends, int lanes) {
  const auto parts = static_cast<std::int64_t>(ends.size()) - 1;
  std::int64_t vectors = 0;
  for (std::size_t part = 0; part + 1 < ends.size(); ++part)
    vectors += vectors_of(ends[part + 1] - ends[part], lanes);
  return 5 * vectors <= 2 * parts * vectors_of(ends.back(), lanes);
}

// Where the parts of the last row axis begin and end, first and last included; empty if they are
// not worth stages, or one is less than a vector.
std::vector<std::int64_t> ends_of_parts(const Kernel& kernel, int lanes) {
  const auto axis = static_cast<std::uint32_t>(kernel.rows.size() - 1);
  const std::optional<std::int64_t> extent = kernel.rows.back().constant();
  if (!extent || *extent > kLongestRow) return {};
  std::set<std::int64_t> ends{0, *extent};
  for (Id id : scalar::reachable(kernel.arena, roots_of(kernel)))
    if (const auto change = change_along(kernel.arena, id, axis))
      if (*change > 0 && *change < *extent) ends.insert(*change);
  if (ends.size() < 3 || ends.size() > kMostParts + 1) return {};
  for (auto end = std::next(ends.begin()); end != ends.end(); ++end)
    if (*end - *std::prev(end) < lanes) return {};
  const std::vector<std::int64_t> all(ends.begin(), ends.end());
  return pay(all, lanes) ? all : std::vector<std::int64_t>{};
}

// Whether a store runs along the axis in memory.
bool runs_along(const Arena& arena, const Store& store, std::uint32_t axis) {
  if (store.indices.empty()) return false;
  const scalar::Affine last = scalar::decompose(arena, store.indices.back());
  const bool is_run = std::ranges::any_of(last.terms, [&](const auto& term) {
    return is_axis(arena, term.first, axis) && term.second == Dim(1);
  });
  return is_run &&
         !reads_axis(arena, std::span(store.indices).first(store.indices.size() - 1), axis);
}

}  // namespace

void split_parts(Kernel& kernel, const VectorRegisters& vectors) {
  if (kernel.across || kernel.stages.size() != 1 || kernel.rows.size() < 2) return;
  const Stage& whole = kernel.stages.front();
  if (whole.fold || whole.axis || whole.stores.empty()) return;
  const auto axis = static_cast<std::uint32_t>(kernel.rows.size() - 1);
  int lanes = 0;
  for (const Store& store : whole.stores) {
    if (!runs_along(kernel.arena, store, axis)) return;
    lanes = std::max(lanes, vectors.lanes(kernel.parameters[store.parameter].type.dtype));
  }
  const std::vector<std::int64_t> ends = ends_of_parts(kernel, lanes);
  if (ends.empty()) return;

  Arena into;
  std::vector<Location> locations;
  for (std::uint32_t row = 0; row < axis; ++row) into.axis(row, kernel.rows[row]);
  std::vector<Stage> stages;
  for (std::size_t part = 0; part + 1 < ends.size(); ++part) {
    const std::uint32_t own = axis + static_cast<std::uint32_t>(part);
    Id position = into.axis(own, Dim(ends[part + 1] - ends[part]));
    if (ends[part] != 0)
      position = into.make(Primitive::add, {position, into.size_of(Dim(ends[part]))});
    std::vector<Id> memo;
    auto made = [&](Id id) {
      const Id copy = scalar::rebuild(kernel.arena, id, into, memo, [&](Id node) {
        return is_axis(kernel.arena, node, axis) ? position : Id{};
      });
      const Id simple = scalar::simplify_index(into, copy);
      locations.resize(into.size());
      if (id.index < kernel.locations.size() && !locations[simple.index].known())
        locations[simple.index] = kernel.locations[id.index];
      return simple;
    };
    Stage stage;
    stage.axis = own;
    stage.is_part = true;
    for (const Store& store : whole.stores) {
      Store own_store{store.parameter, {}, made(store.value)};
      for (Id index : store.indices) own_store.indices.push_back(made(index));
      stage.stores.push_back(std::move(own_store));
    }
    stages.push_back(std::move(stage));
  }
  kernel.rows.pop_back();
  kernel.arena = std::move(into);
  kernel.locations = std::move(locations);
  kernel.stages = std::move(stages);
}

}  // namespace weir
