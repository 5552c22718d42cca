#include "compiler/lowering/apply_panels.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "compiler/lowering/reads_axis.h"
#include "ir/scalar/affine.h"

namespace weir {
namespace {

using scalar::Arena;
using scalar::Id;
using scalar::Primitive;

// Whether indices run along a panel, as the last row axis does: they are that axis, or it within
// panels that another one counts.
bool run_along(const Kernel& kernel, std::span<const Id> indices, std::int64_t panel) {
  const Arena& arena = kernel.arena;
  const auto last = static_cast<std::uint32_t>(kernel.rows.size() - 1);
  if (reads_axis(arena, indices.first(indices.size() - 1), last)) return false;
  const scalar::Affine index = scalar::decompose(arena, indices.back());
  if (index.constant != Dim(0)) return false;
  for (const auto& [atom, coefficient] : index.terms) {
    const scalar::Node& node = arena[atom];
    if (node.primitive != Primitive::axis) return false;
    const bool is_own = node.payload == last && coefficient == Dim(1);
    const bool counts =
        node.payload < last && coefficient == Dim(panel) && kernel.rows[last] == Dim(panel);
    if (!is_own && !counts) return false;
  }
  return reads_axis(arena, indices.last(1), last);
}

std::vector<Id> cut(Arena& arena, std::vector<Id> indices, std::int64_t panel) {
  const Id whole = indices.back();
  auto part = [&](Primitive primitive) {
    return scalar::simplify_index(arena, arena.make(primitive, {whole, arena.index(panel)}));
  };
  indices.back() = part(Primitive::modulo);
  indices.insert(indices.begin(), part(Primitive::floor_div));
  return indices;
}

}  // namespace

TensorType in_panels(TensorType type, std::int64_t panel) {
  if (panel == 0) return type;
  const Dim count = Dim(type.shape.back().value() / panel);
  type.shape.back() = Dim(panel);
  type.shape.insert(type.shape.begin(), count);
  return type;
}

bool runs_along_panels(const Kernel& kernel, std::uint32_t parameter, std::int64_t panel) {
  if (kernel.rows.empty()) return false;
  for (Id id : scalar::reachable(kernel.arena, roots_of(kernel))) {
    const scalar::Node& node = kernel.arena[id];
    if (scalar::is_load(node.primitive) && node.payload == parameter &&
        !run_along(kernel, kernel.arena.load_indices(id), panel))
      return false;
  }
  for (const Stage& stage : kernel.stages)
    for (const Store& store : stage.stores)
      if (store.parameter == parameter && !run_along(kernel, store.indices, panel)) return false;
  return true;
}

void apply_panels(Kernel& kernel, const std::vector<std::int64_t>& panels) {
  auto panel_of = [&](std::uint64_t parameter) {
    return parameter < panels.size() ? panels[parameter] : 0;
  };
  if (std::ranges::all_of(panels, [](std::int64_t panel) { return panel == 0; })) return;
  std::int64_t width = 0;
  for (std::uint32_t i = 0; i < kernel.parameters.size(); ++i) {
    if (panel_of(i) == 0) continue;
    if (runs_along_panels(kernel, i, panel_of(i))) width = panel_of(i);
    kernel.parameters[i].type = in_panels(std::move(kernel.parameters[i].type), panel_of(i));
  }
  std::vector<Id> memo;
  std::function<Id(const Arena&, Id, Arena&)> leaf = [&](const Arena& from, Id id,
                                                         Arena& into) -> Id {
    const scalar::Node& node = from[id];
    if (!scalar::is_load(node.primitive) || panel_of(node.payload) == 0) return {};
    auto copied = [&](Id part) {
      return scalar::rebuild(from, part, into, memo,
                             [&](Id inner) { return leaf(from, inner, into); });
    };
    std::vector<Id> indices;
    for (Id index : from.load_indices(id)) indices.push_back(copied(index));
    indices = cut(into, std::move(indices), panel_of(node.payload));
    const auto parameter = static_cast<std::uint32_t>(node.payload);
    if (node.primitive == Primitive::load) return into.load(parameter, node.type, indices);
    return into.load_if(parameter, copied(from.operand(id, 0)), copied(from.operand(id, 1)),
                        indices);
  };
  rewrite(kernel, leaf);
  for (Stage& stage : kernel.stages)
    for (Store& store : stage.stores)
      if (const std::int64_t panel = panel_of(store.parameter); panel != 0)
        store.indices = cut(kernel.arena, std::move(store.indices), panel);
  kernel.locations.resize(kernel.arena.size());
  if (width == 0) return;
  const auto last = static_cast<std::uint32_t>(kernel.rows.size() - 1);
  const std::optional<std::int64_t> columns = kernel.rows[last].constant();
  if (columns && *columns > width && *columns % width == 0)
    cut_row(kernel, last, {Dim(*columns / width), Dim(width)}, {Dim(width), Dim(1)});
}

}  // namespace weir
