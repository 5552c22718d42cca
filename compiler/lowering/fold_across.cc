#include "compiler/lowering/fold_across.h"

#include <algorithm>
#include <numeric>

#include "compiler/lowering/choose_tile_axes.h"
#include "compiler/lowering/cut_units.h"
#include "compiler/lowering/join_rows.h"
#include "compiler/lowering/linear_offset.h"
#include "compiler/lowering/order_rows.h"
#include "compiler/lowering/reads_axis.h"
#include "compiler/lowering/stored_element.h"
#include "compiler/lowering/sum_walk.h"
#include "ir/scalar/affine.h"

namespace weir {
namespace {

using scalar::Arena;
using scalar::Id;
using scalar::Primitive;

// Tiles' widths of columns, and chunks of rows, that are work enough for threads; and multiply-adds
// that are no work to be divided, of as many rows as a batch has that is not known to have fewer.
constexpr std::int64_t kEnoughBlocks = 4;
constexpr std::int64_t kLightSteps = std::int64_t{1} << 18;
constexpr std::int64_t kRowsOfBatch = 64;
// Of a map, whose rows are folded one by one: sums that they go to, or what an element costs,
// beside which it does not count that each row waits for the sum of one before.
constexpr std::int64_t kManySums = 32;
// Columns that are worth another order of the rows for it.
constexpr std::int64_t kManyColumns = 16;
constexpr int kHeavyElement = 20;

// The steps of a point of the rows, where they are known; none of a map.
std::int64_t steps_of(const Kernel& kernel) {
  std::int64_t steps = 0;
  for (const Stage& stage : kernel.stages)
    if (stage.fold) steps += kernel.arena.axis_extent(*stage.axis).constant().value_or(1);
  return steps;
}

// Whether threads find work beside the sums: along the tile's rows a chunk of a tile's columns is
// the least that one of them takes, which may be little, and rows of more axes than a tile has are
// work for others; along another axis it is all that the axes outside leave of the kernel.
bool leaves_work(const Kernel& stores, const Fold& fold, DType type, const SumWalk& walk,
                 const Dim& column_count, const VectorRegisters& vectors) {
  const auto tile_axis = static_cast<std::uint32_t>(stores.rows.size() - 2);
  std::int64_t parts = 1;
  for (std::uint32_t row = 0; row < std::min(walk.axis, tile_axis); ++row)
    parts *= std::min(stores.rows[row].constant().value_or(kEnoughBlocks), kEnoughBlocks);
  if (parts >= kEnoughBlocks || walk.axis != tile_axis) return parts >= kEnoughBlocks;
  const std::optional<std::int64_t> columns = column_count.constant();
  if (!columns || *columns == 0) return false;
  const std::int64_t tile = std::int64_t{vectors.lanes(type)} * tile_vectors(vectors);
  const std::optional<std::int64_t> known = stores.rows[walk.axis].constant();
  if (*columns >= kEnoughBlocks * tile ||
      (known && *known > (kEnoughBlocks - 1) * fold.chunk * walk.lanes))
    return true;
  const std::int64_t batch = kRowsOfBatch * walk.lanes;
  const std::int64_t rows = std::clamp<std::int64_t>(known.value_or(batch), 1, batch);
  return steps_of(stores) <= kLightSteps / rows / std::min(*columns, tile);
}

// Where it does not count that points which follow one another go to one sum: those of an axis
// outside do not.
bool hides_sums(const Kernel& stores, const Store& store, const SumWalk& walk, const Dim& columns) {
  if (walk.axis + 2 < stores.rows.size() || steps_of(stores) > 0 ||
      columns.constant().value_or(0) * walk.lanes >= kManySums)
    return true;
  int cost = 0;
  for (Id id : scalar::reachable(stores.arena, std::span(&store.value, 1)))
    cost += scalar::info(stores.arena[id].primitive).cost;
  return cost >= kHeavyElement;
}

// Whether a map loads something apart along the columns. Without sums it turns that in squares, and
// beside them it gathers.
bool turns_operands(Kernel& stores) {
  const auto columns = static_cast<std::uint32_t>(stores.rows.size() - 1);
  if (steps_of(stores) > 0) return false;
  const std::vector<Id> all = scalar::reachable(stores.arena, roots_of(stores));
  return std::ranges::any_of(all, [&](Id id) {
    if (!scalar::is_load(stores.arena[id].primitive)) return false;
    const Shape& shape = stores.parameters[stores.arena[id].payload].type.shape;
    const std::span<const Id> read = stores.arena.load_indices(id);
    const std::vector<Id> indices(read.begin(), read.end());
    const scalar::Affine offset = linear_offset(stores.arena, shape, indices);
    return std::ranges::any_of(offset.terms, [&](const auto& term) {
      return is_axis(stores.arena, term.first, columns) && term.second != Dim(1);
    });
  });
}

// A map with the axis of the sums outside of its last two, where that leaves many sums of many
// columns for points that follow one another; nothing otherwise.
std::optional<Kernel> with_sums_outside(const Kernel& stores, std::uint32_t axis,
                                        const Dim& columns) {
  const auto folds = [](const Stage& stage) { return stage.fold.has_value(); };
  if (stores.across || axis + 2 != stores.rows.size() || axis == 0 ||
      std::ranges::any_of(stores.stages, folds))
    return std::nullopt;
  const std::int64_t inside = stores.rows[axis - 1].constant().value_or(0);
  const std::int64_t count = columns.constant().value_or(0);
  if (count < kManyColumns || inside * count < kManySums) return std::nullopt;
  std::vector<std::uint32_t> order(stores.rows.size());
  std::iota(order.begin(), order.end(), 0);
  std::swap(order[axis - 1], order[axis]);
  Kernel moved = stores;
  reorder_rows(moved, order);
  return moved;
}

// By dimension of the sum, some of which are one: the index where the kernel stores the value.
std::vector<Id> summed_indices(Kernel& stores, const Store& store, const MemoryLayout& layout,
                               const Kernel& folds, const RowSum& sum) {
  std::vector<Id> indices = declared_indices(stores, store, layout);
  const Shape& shape = folds.parameters[sum.parameter].type.shape;
  const std::size_t first = sum.dimensions.size() - 1;
  if (first + 1 == shape.size()) return indices;
  const Shape rest(shape.begin() + static_cast<std::ptrdiff_t>(first), shape.end());
  const scalar::Affine position =
      linear_offset(stores.arena, rest, std::span(indices).subspan(first));
  indices.resize(first);
  indices.push_back(scalar::rebuild_index(stores.arena, position));
  return indices;
}

// The kernel with the row axes as one along which it goes through the dimensions from `first` on.
// Where they are one, or do not follow one another, it is as it was.
std::optional<Kernel> with_joined_rows(const Kernel& stores, std::uint32_t parameter,
                                       const MemoryLayout& layout, std::size_t first) {
  std::optional<Kernel> joined = stores;
  const Store* store = only_store(*joined, parameter);
  if (store == nullptr) return std::nullopt;
  const std::vector<Id> indices = declared_indices(*joined, *store, layout);
  std::optional<std::uint32_t> outer;
  std::size_t axes = 0;
  for (std::size_t i = first; i < indices.size(); ++i) {
    const scalar::Node& node = joined->arena[indices[i]];
    if (node.primitive != Primitive::axis) continue;
    const auto axis = static_cast<std::uint32_t>(node.payload);
    if (outer && axis != *outer + axes) return joined;
    if (!outer) outer = axis;
    ++axes;
  }
  for (; axes > 1 && joined; --axes) joined = join_rows(*joined, *outer);
  return joined;
}

// Where the other kernel stores the result, at the position of a point of this one; nothing if its
// columns do not lie side by side there. Columns of all remainders are one dimension.
std::vector<Id> plain_indices(Arena& arena, const Kernel& folds, std::uint32_t parameter,
                              const MemoryLayout& layout, const SumWalk& walk,
                              std::uint32_t columns) {
  std::vector<Id> indices, memo;
  for (std::size_t i = 0; i < folds.parameters[parameter].type.shape.size(); ++i) {
    const std::size_t dimension = layout.order.empty() ? i : layout.order[i];
    const Id index = folds.stages[1].stores[0].indices[dimension];
    indices.push_back(scalar::rebuild(folds.arena, index, arena, memo, [&](Id id) {
      const scalar::Node& node = folds.arena[id];
      if (node.primitive != Primitive::axis) return Id{};
      return walk.positions[node.payload].value_or(arena.index(0));
    }));
  }
  if (walk.remainder) {
    const std::vector<Id>& stored = folds.stages[1].stores[0].indices;
    if (!layout.order.empty() || !is_axis(folds.arena, stored.back(), *walk.remainder)) return {};
    indices.pop_back();
  }
  if (indices.back() != *walk.positions[walk.column]) return {};
  for (std::size_t i = 0; i + 1 < indices.size(); ++i)
    if (reads_axis(arena, indices[i], columns)) return {};
  return indices;
}

// The order of the result's dimensions in which those along a row axis are innermost.
std::optional<MemoryLayout> with_columns_last(const Kernel& folds, std::uint32_t parameter,
                                              std::uint32_t column) {
  const std::vector<Id>& indices = folds.stages[1].stores[0].indices;
  const auto along =
      std::ranges::find_if(indices, [&](Id index) { return is_axis(folds.arena, index, column); });
  if (along == indices.end()) return std::nullopt;
  MemoryLayout layout;
  layout.order.resize(folds.parameters[parameter].type.shape.size());
  std::iota(layout.order.begin(), layout.order.end(), 0);
  const auto last = layout.order.begin() + (along - indices.begin());
  std::rotate(last, last + 1, layout.order.end());
  return layout;
}

// The results of chunks: the columns innermost, and the chunks next to them.
ChunkResults results_in_chunks(const Kernel& folds, std::uint32_t column) {
  const Fold& fold = *folds.stages.front().fold;
  const Dim& elements = folds.arena.axis_extent(*folds.stages.front().axis);
  ChunkResults results{{folds.locals[fold.locals[0]], {}}, {}, {}};
  for (std::uint32_t row = 0; row < folds.rows.size(); ++row) {
    if (row == column) continue;
    results.rows.push_back(row);
    results.type.shape.push_back(folds.rows[row]);
  }
  results.chunks = results.rows.size();
  results.type.shape.push_back(floor_quotient(elements + Dim(fold.chunk - 1), fold.chunk));
  results.rows.push_back(column);
  results.type.shape.push_back(folds.rows[column]);
  return results;
}

// As fold_across, of a kernel whose rows are as the sums go through them.
std::optional<ChunkResults> fold_rows(Kernel& stores, std::uint32_t parameter,
                                      const MemoryLayout& layout, const Kernel& folds,
                                      const RowSum& sum, const SumOperands& operands,
                                      const SumPlace& place, const VectorRegisters& vectors) {
  if (stores.rows.size() < 2) return std::nullopt;
  // Without points it would store no sums.
  if (std::ranges::find(stores.rows, Dim(0)) != stores.rows.end()) return std::nullopt;
  for (const Stage& stage : stores.stages)
    if (stage.fold &&
        (stage.fold->order != Reduction::Order::chain || !stage.fold->partials.empty()))
      return std::nullopt;
  const Store* store = only_store(stores, parameter);
  if (store == nullptr) return std::nullopt;
  Arena& arena = stores.arena;
  const std::vector<Id> indices = summed_indices(stores, *store, layout, folds, sum);
  const std::optional<SumWalk> walk = find_walk(arena, stores.rows.size(), indices, folds, sum);
  stores.locations.resize(arena.size());
  if (!walk) return std::nullopt;
  const Fold& fold = *folds.stages.front().fold;
  const DType type = folds.locals[fold.locals[0]];
  const std::int64_t chunk = fold.chunk * walk->lanes;
  const auto last = static_cast<std::uint32_t>(stores.rows.size() - 1);
  const Dim columns = walk->remainder ? stores.rows[last] : folds.rows[walk->column];
  auto fold_rows_of = [&](std::optional<Kernel> other) -> std::optional<ChunkResults> {
    if (!other) return std::nullopt;
    std::optional<ChunkResults> results =
        fold_rows(*other, parameter, layout, folds, sum, operands, place, vectors);
    if (results) stores = std::move(*other);
    return results;
  };
  if (!operands.empty() && turns_operands(stores)) return std::nullopt;
  if (!leaves_work(stores, fold, type, *walk, columns, vectors)) {
    return fold_rows_of(stores.across
                            ? std::nullopt
                            : cut_units(stores, walk->axis, walk->lanes, kEnoughBlocks, vectors));
  }
  if (!hides_sums(stores, *store, *walk, columns))
    return fold_rows_of(with_sums_outside(stores, walk->axis, columns));
  if ((walk->axis == last && (!is_one_chunk(folds) || walk->lanes % vectors.lanes(type) != 0)) ||
      (stores.across && (stores.across->axis != walk->axis || stores.across->chunk != chunk ||
                         stores.across->lanes != walk->lanes)))
    return std::nullopt;

  RowFolds::Sum across{fold, static_cast<std::uint32_t>(stores.parameters.size()), {}};
  ChunkResults results;
  MemoryLayout result = place.layout;
  if (sum.result && result.panel == 0)
    across.indices = plain_indices(arena, folds, *sum.result, result, *walk, last);
  if (sum.result && across.indices.empty() && place.may_move) {
    results.layout =
        walk->remainder ? MemoryLayout{} : with_columns_last(folds, *sum.result, walk->column);
    result = results.layout.value_or(result);
    if (results.layout)
      across.indices = plain_indices(arena, folds, *sum.result, result, *walk, last);
  }
  if (!across.indices.empty()) {
    results.type = folds.parameters[*sum.result].type;
    for (std::size_t i = 0; i < result.order.size(); ++i)
      results.type.shape[i] = folds.parameters[*sum.result].type.shape[result.order[i]];
    if (walk->remainder) {
      results.type.shape.pop_back();
      results.type.shape.back() = columns;
    }
  } else if (walk->remainder) {
    return std::nullopt;
  } else {
    results = results_in_chunks(folds, walk->column);
    for (std::uint32_t row : results.rows)
      across.indices.push_back(walk->positions[row].value_or(arena.index(0)));
    Id number = arena.index(0);
    if (!is_one_chunk(folds))
      number = scalar::simplify_index(
          arena, arena.make(Primitive::floor_div, {walk->element, arena.index(fold.chunk)}));
    across.indices.insert(across.indices.end() - 1, number);
  }
  const std::optional<Id> element = summed_element(stores, *store, layout, folds, sum, operands);
  stores.locations.resize(arena.size());
  if (!element) return std::nullopt;
  if (!stores.across) stores.across = RowFolds{walk->axis, chunk, walk->lanes, {}};
  across.fold.elements = {*element};
  std::vector<Id> memo;
  for (Id& step : across.fold.step)
    step = scalar::rebuild(folds.arena, step, arena, memo, [](Id) { return Id{}; });
  across.fold.merge.clear();
  across.fold.locals.clear();
  stores.parameters.push_back(
      {results.chunks ? "chunks" : folds.parameters[*sum.result].name, results.type, true});
  stores.locations.resize(arena.size());
  for (Id id : {across.fold.elements[0], across.fold.step[0]})
    if (!stores.locations[id.index].known())
      stores.locations[id.index] = folds.locations[fold.step[0].index];
  stores.across->sums.push_back(std::move(across));
  return results;
}

}  // namespace

std::optional<ChunkResults> fold_across(Kernel& stores, std::uint32_t parameter,
                                        const MemoryLayout& layout, const Kernel& folds,
                                        const RowSum& sum, const SumOperands& operands,
                                        const SumPlace& place, const VectorRegisters& vectors) {
  if (sum.dimensions.size() == folds.parameters[sum.parameter].type.shape.size())
    return fold_rows(stores, parameter, layout, folds, sum, operands, place, vectors);
  std::optional<Kernel> joined =
      with_joined_rows(stores, parameter, layout, sum.dimensions.size() - 1);
  if (!joined) return std::nullopt;
  const std::optional<ChunkResults> results =
      fold_rows(*joined, parameter, layout, folds, sum, operands, place, vectors);
  if (results) stores = std::move(*joined);
  return results;
}

void read_chunks(BuiltKernel& folds, const RowSum& sum, const ChunkResults& chunks) {
  Kernel& kernel = folds.kernel;
  Stage& stage = kernel.stages.front();
  const std::uint32_t axis = *stage.axis;
  const Id element = stage.fold->elements[0];
  const Shape& shape = chunks.type.shape;
  // The axis gets another extent, and so has to be made anew.
  stage.axis.reset();
  stage.digits.clear();
  rewrite(kernel, [&](const Arena&, Id id, Arena& into) -> Id {
    if (id != element) return {};
    std::vector<Id> indices;
    for (std::uint32_t row : chunks.rows) indices.push_back(into.axis(row, kernel.rows[row]));
    indices.insert(indices.end() - 1, into.axis(axis, shape[*chunks.chunks]));
    return into.load(sum.parameter, chunks.type.dtype, indices);
  });
  kernel.stages.front().axis = axis;
  kernel.stages.front().fold->chunk = 1;
  kernel.parameters[sum.parameter] = {"chunks", chunks.type, false};
  folds.values[sum.parameter] = ValueId{};
  // What else an expression has read is no parameter in the end, and none is before the first.
  std::vector<std::uint32_t> number(kernel.parameters.size());
  std::iota(number.begin(), number.end(), 0);
  std::swap(number[kChunksParameter], number[sum.parameter]);
  std::swap(kernel.parameters[kChunksParameter], kernel.parameters[sum.parameter]);
  std::swap(folds.values[kChunksParameter], folds.values[sum.parameter]);
  renumber_parameters(kernel, number);
}

}  // namespace weir
