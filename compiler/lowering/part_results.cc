#include "compiler/lowering/part_results.h"

#include <algorithm>
#include <utility>

#include "compiler/lowering/estimated_size.h"
#include "compiler/lowering/order_rows.h"
#include "compiler/lowering/split_groups.h"
#include "compiler/lowering/split_residues.h"

namespace weir {
namespace {

using scalar::Arena;
using scalar::Id;
using scalar::Primitive;

// Steps of a sum, by estimated_size, beside which scattering its result is not to be seen.
constexpr std::int64_t kManySteps = 8192;
// Fewer results are not worth another kernel.
constexpr std::int64_t kFewResults = 4096;
// An axis so short fills no vectors, nor squares.
constexpr std::int64_t kShortAxis = 16;

// One sum in chain order, and then maps over the rows.
bool is_sum_with_results(const Kernel& kernel) {
  if (kernel.rows.size() < 2 || kernel.stages.size() < 2 || kernel.locals.size() != 1) return false;
  const Stage& sum = kernel.stages.front();
  if (!sum.fold || sum.fold->order != Reduction::Order::chain) return false;
  for (std::size_t i = 1; i < kernel.stages.size(); ++i)
    if (kernel.stages[i].fold || kernel.stages[i].axis) return false;
  return true;
}

bool pays(const Kernel& kernel) {
  Dim results = 1;
  for (const Dim& row : kernel.rows) results = results * row;
  return estimated_size(kernel.arena.axis_extent(*kernel.stages.front().axis)) <= kManySteps &&
         estimated_size(results, 1) >= kFewResults;
}

// The dimension of a store that runs along a row axis, one by one.
std::optional<std::size_t> dimension_along(const Kernel& kernel, const Store& store,
                                           std::uint32_t axis) {
  const std::vector<bool> groups = group_axes(kernel);
  for (std::size_t i = 0; i < store.indices.size(); ++i) {
    if (axis_within_group(kernel, groups, store.indices[i]) == axis) return i;
  }
  return std::nullopt;
}

// The row axis that vectors will run along, if the first result lies apart along it.
std::optional<std::uint32_t> scattering_axis(const Kernel& kernel,
                                             const std::function<bool(std::uint32_t)>& may_copy,
                                             bool moved, const Processor& processor) {
  Kernel ordered = kernel;
  split_groups(ordered);
  split_residues(ordered);
  order_rows(ordered, may_copy, moved, processor);
  const Store& store = ordered.stages[1].stores.front();
  std::optional<std::size_t> along =
      dimension_along(ordered, store, static_cast<std::uint32_t>(ordered.rows.size() - 1));
  if (!along) return std::nullopt;
  const Shape& shape = kernel.parameters[store.parameter].type.shape;
  Dim stride = 1;
  for (std::size_t i = *along + 1; i < shape.size(); ++i) stride = stride * shape[i];
  const scalar::Node& axis = kernel.arena[kernel.stages[1].stores.front().indices[*along]];
  if (stride == Dim(1) || axis.primitive != Primitive::axis) return std::nullopt;
  const Dim& extent = kernel.rows[axis.payload];
  if (!extent.is_constant() || extent.value() < kShortAxis) return std::nullopt;
  return static_cast<std::uint32_t>(axis.payload);
}

// The row axes in the order of the dimensions that they are of what a store writes; empty if not all
// are.
std::vector<std::uint32_t> order_of_store(const Kernel& kernel, const Store& store) {
  std::vector<std::uint32_t> order;
  for (Id index : store.indices) {
    const scalar::Node& axis = kernel.arena[index];
    if (axis.primitive == Primitive::axis)
      order.push_back(static_cast<std::uint32_t>(axis.payload));
  }
  std::vector<std::uint32_t> sorted = order;
  std::ranges::sort(sorted);
  const bool has_all =
      sorted.size() == kernel.rows.size() && std::ranges::adjacent_find(sorted) == sorted.end();
  return has_all ? order : std::vector<std::uint32_t>{};
}

}  // namespace

bool may_part_results(const Kernel& kernel) { return is_sum_with_results(kernel) && pays(kernel); }

std::optional<BuiltKernel> part_results(
    BuiltKernel& built, const std::function<bool(std::uint32_t parameter)>& may_copy, bool moved,
    const Processor& processor) {
  Kernel& kernel = built.kernel;
  if (!may_part_results(kernel)) return std::nullopt;
  std::optional<std::uint32_t> last = scattering_axis(kernel, may_copy, moved, processor);
  if (!last) return std::nullopt;

  auto parameter = static_cast<std::uint32_t>(kernel.parameters.size());
  const DType type = kernel.locals.front();
  std::vector<std::uint32_t> order;
  for (std::uint32_t axis = 0; axis < kernel.rows.size(); ++axis)
    if (axis != *last) order.push_back(axis);
  order.push_back(*last);
  KernelParameter sums{"sums", {type, {}}, false};
  for (std::uint32_t axis : order) sums.type.shape.push_back(kernel.rows[axis]);
  auto place = [&](Arena& arena) {
    std::vector<Id> indices;
    for (std::uint32_t axis : order) indices.push_back(arena.axis(axis, kernel.rows[axis]));
    return indices;
  };

  BuiltKernel results = built;
  results.kernel.name += "_results";
  results.kernel.stages.erase(results.kernel.stages.begin());
  results.kernel.locals.clear();
  results.kernel.parameters.push_back(sums);
  results.values.emplace_back();
  rewrite(results.kernel, [&](const Arena& from, Id id, Arena& into) -> Id {
    if (from[id].primitive != Primitive::local) return {};
    return into.load(parameter, type, place(into));
  });

  // As the map would be written if it had always been a kernel of its own.
  const Kernel& maps = results.kernel;
  if (!moved) {
    const auto order_of_rows = order_of_store(maps, maps.stages.front().stores.front());
    if (!std::ranges::is_sorted(order_of_rows)) reorder_rows(results.kernel, order_of_rows);
  }

  kernel.stages.resize(1);
  for (KernelParameter& own : kernel.parameters) own.written = false;
  sums.written = true;
  kernel.parameters.push_back(std::move(sums));
  built.values.emplace_back();
  kernel.stages.emplace_back();
  kernel.stages.back().stores.push_back(
      {parameter, place(kernel.arena), kernel.arena.local(0, type)});
  kernel.locations.resize(kernel.arena.size());
  return results;
}

}  // namespace weir
