#include "compiler/lowering/share_kernels.h"

#include <algorithm>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "ir/scalar/affine.h"

namespace weir {
namespace {

using scalar::Id;

// The places in a parameter that a kernel loads from or stores to.
using UsedPlaces = std::vector<std::span<const Id>>;

std::vector<UsedPlaces> used_places(const Kernel& kernel) {
  std::vector<UsedPlaces> places(kernel.parameters.size());
  for (Id id : scalar::reachable(kernel.arena, roots_of(kernel)))
    if (scalar::is_load(kernel.arena[id].primitive))
      places[kernel.arena[id].payload].push_back(kernel.arena.load_indices(id));
  for (const Stage& stage : kernel.stages)
    for (const Store& store : stage.stores) places[store.parameter].emplace_back(store.indices);
  if (kernel.across)
    for (const RowFolds::Sum& sum : kernel.across->sums)
      places[sum.parameter].emplace_back(sum.indices);
  return places;
}

// What a kernel uses of a dimension: so many elements behind so many others.
struct UsedRange {
  std::size_t dimension;
  Dim first, extent;
};

// The elements of a parameter's dimension that its places are among, where that is certain: it is
// not where a guard keeps from memory what is out of range.
std::optional<UsedRange> used_range(const Kernel& kernel, std::size_t parameter,
                                    const UsedPlaces& places, std::size_t dimension) {
  const scalar::Arena& arena = kernel.arena;
  std::optional<Dim> first, last;
  for (const auto& place : places) {
    const auto& [low, high] = scalar::range_of(arena, place[dimension]);
    if (!low || !high) return std::nullopt;
    if (!first) first = low, last = high;
    const std::optional<std::int64_t> below = (*low - *first).constant(),
                                      above = (*high - *last).constant();
    if (!below || !above) return std::nullopt;
    if (*below < 0) first = low;
    if (*above > 0) last = high;
  }
  const Dim& extent = kernel.parameters[parameter].type.shape[dimension];
  if (!never_negative(*first) || !never_negative(extent - Dim(1) - *last)) return std::nullopt;
  return UsedRange{dimension, *first, *last - *first + Dim(1)};
}

// A kernel whose parameters begin at the first of what it uses of them.
struct Begun {
  Kernel kernel;
  std::vector<Dim> begins;  // in bytes, by parameter
};

// Makes what is used of a dimension all of it: by parameter.
void take_ranges(Kernel& kernel, const std::vector<std::optional<UsedRange>>& ranges) {
  auto take = [&](std::uint64_t parameter, std::vector<Id>& indices, scalar::Arena& arena) {
    const std::optional<UsedRange>& range = ranges[parameter];
    if (!range) return;
    scalar::Affine index = scalar::decompose(arena, indices[range->dimension]);
    index.constant = index.constant - range->first;
    indices[range->dimension] = scalar::rebuild_index(arena, index);
  };
  for (Stage& stage : kernel.stages)
    for (Store& store : stage.stores) take(store.parameter, store.indices, kernel.arena);
  if (kernel.across)
    for (RowFolds::Sum& sum : kernel.across->sums) take(sum.parameter, sum.indices, kernel.arena);
  std::vector<Id> memo;
  std::function<Id(const scalar::Arena&, Id, scalar::Arena&)> leaf =
      [&](const scalar::Arena& from, Id id, scalar::Arena& into) -> Id {
    if (!scalar::is_load(from[id].primitive) || !ranges[from[id].payload]) return Id{};
    auto rebuilt = [&](Id operand) {
      return scalar::rebuild(from, operand, into, memo,
                             [&](Id inner) { return leaf(from, inner, into); });
    };
    std::vector<Id> indices;
    for (Id index : from.load_indices(id)) indices.push_back(rebuilt(index));
    take(from[id].payload, indices, into);
    const auto parameter = static_cast<std::uint32_t>(from[id].payload);
    if (from[id].primitive == scalar::Primitive::load)
      return into.load(parameter, from[id].type, indices);
    return into.load_if(parameter, rebuilt(from.operand(id, 0)), rebuilt(from.operand(id, 1)),
                        indices);
  };
  rewrite(kernel, leaf);
  for (std::size_t i = 0; i < ranges.size(); ++i)
    if (ranges[i]) kernel.parameters[i].type.shape[ranges[i]->dimension] = ranges[i]->extent;
}

// Of outermost dimensions, where what is used is one run of memory.
std::optional<Begun> begun(const Kernel& kernel) {
  std::vector<Dim> begins(kernel.parameters.size(), Dim(0));
  std::vector<std::vector<std::size_t>> single(kernel.parameters.size());
  std::vector<std::optional<UsedRange>> ranges(kernel.parameters.size());
  const std::vector<UsedPlaces> places = used_places(kernel);
  for (std::size_t i = 0; i < places.size(); ++i) {
    const TensorType& type = kernel.parameters[i].type;
    for (std::size_t d = 0; d < type.shape.size() && !places[i].empty(); ++d) {
      if (type.shape[d] == Dim(1)) continue;
      const std::optional<UsedRange> range = used_range(kernel, i, places[i], d);
      if (!range || range->extent == type.shape[d]) break;
      Dim bytes = range->first * Dim(byte_size(type.dtype));
      for (std::size_t inner = d + 1; inner < type.shape.size(); ++inner)
        bytes = bytes * type.shape[inner];
      begins[i] = begins[i] + bytes;
      if (range->extent != Dim(1)) {
        ranges[i] = range;
        break;
      }
      single[i].push_back(d);
    }
  }
  if (std::ranges::all_of(single, [](const auto& one) { return one.empty(); }) &&
      std::ranges::none_of(ranges, [](const auto& one) { return one.has_value(); }))
    return std::nullopt;
  Begun result{kernel, std::move(begins)};
  take_single(result.kernel, single);
  take_ranges(result.kernel, ranges);
  // In an order that does not know the constants that were there.
  rewrite(result.kernel, [](const scalar::Arena&, Id, scalar::Arena&) { return Id{}; });
  return result;
}

}  // namespace

void share_kernels(Program& program, const std::function<std::uint32_t(Kernel)>& number_of) {
  struct Shared {
    Begun begun;
    std::string key;
  };
  std::vector<std::optional<Shared>> shared(program.kernels.size());
  std::unordered_map<std::string, int> counts;  // of kernels, by key
  for (std::size_t i = 0; i < shared.size(); ++i) {
    std::optional<Begun> one = begun(program.kernels[i]);
    if (!one) continue;
    std::string key = structure_key(one->kernel);
    ++counts[key];
    shared[i] = {*std::move(one), std::move(key)};
  }
  std::set<std::size_t> banded;
  for (const Bands& bands : program.bands) banded.insert({bands.call, bands.call + std::size_t{1}});
  for (std::size_t i = 0; i < program.calls.size(); ++i) {
    KernelCall& call = program.calls[i];
    if (call.kernel >= shared.size() || !shared[call.kernel] || banded.contains(i)) continue;
    const auto& [begun, key] = *shared[call.kernel];
    if (counts.at(key) < 2) continue;
    if (call.begins.empty()) call.begins.assign(call.buffers.size(), Dim(0));
    for (std::size_t p = 0; p < call.buffers.size(); ++p)
      call.begins[p] = call.begins[p] + begun.begins[p];
    call.dims.clear();
    for (const std::string& symbol : kernel_symbols(begun.kernel))
      call.dims.push_back(Dim::symbol(symbol));
    call.kernel = number_of(begun.kernel);
  }
}

}  // namespace weir
