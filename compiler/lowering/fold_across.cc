#include "compiler/lowering/fold_across.h"

#include <algorithm>

#include "compiler/lowering/choose_tile_axes.h"
#include "ir/scalar/affine.h"

namespace weir {
namespace {

using scalar::Arena;
using scalar::Id;
using scalar::Primitive;

// Tiles' widths of columns that are work enough for threads, whatever the rows take; and multiply-adds of a chunk that are
// no work to be divided.
constexpr std::int64_t kEnoughBlocks = 4;
constexpr std::int64_t kLightChunk = std::int64_t{1} << 20;
// Of a map, whose rows are folded one by one: columns, or what an element costs, beside which it does not count that each
// row waits for the sum of the one before.
constexpr std::int64_t kManyColumns = 32;
constexpr int kHeavyElement = 20;

bool is_axis(const Arena& arena, Id id, std::uint32_t number) {
  return arena[id].primitive == Primitive::axis && arena[id].payload == number;
}

bool reads_axis(const Arena& arena, Id root, std::uint32_t number) {
  for (Id id : scalar::reachable(arena, std::span(&root, 1)))
    if (is_axis(arena, id, number)) return true;
  return false;
}

Dim chunk_count(const Dim& rows, std::int64_t chunk) {
  return floor_quotient(rows + Dim(chunk - 1), chunk);
}

TensorType type_of_chunks(const Kernel& folds) {
  const Fold& fold = *folds.stages.front().fold;
  const Dim& rows = folds.arena.axis_extent(*folds.stages.front().axis);
  return {folds.locals[fold.locals[0]], {chunk_count(rows, fold.chunk), folds.rows[0]}};
}

// The steps of a point of the rows, where they are known.
std::int64_t steps_of(const Kernel& kernel) {
  std::int64_t steps = 1;
  for (const Stage& stage : kernel.stages)
    if (stage.fold) steps += kernel.arena.axis_extent(*stage.axis).constant().value_or(1);
  return steps;
}

bool leaves_work(const Kernel& stores, const Kernel& folds, const VectorRegisters& vectors) {
  const std::optional<std::int64_t> columns = folds.rows[0].constant();
  if (!columns) return false;
  const Fold& fold = *folds.stages.front().fold;
  const std::int64_t tile =
      std::int64_t{vectors.lanes(folds.locals[fold.locals[0]])} * tile_vectors(vectors);
  return *columns >= kEnoughBlocks * tile ||
         steps_of(stores) <= kLightChunk / fold.chunk / *columns;
}

bool hides_sums(const Kernel& stores, const Store& store, const Kernel& folds) {
  if (steps_of(stores) > 1 || folds.rows[0].constant().value_or(0) >= kManyColumns) return true;
  int cost = 0;
  for (Id id : scalar::reachable(stores.arena, std::span(&store.value, 1)))
    cost += scalar::info(stores.arena[id].primitive).cost;
  return cost >= kHeavyElement;
}

// The one store of a map over the rows that writes a parameter.
const Store* only_store(const Kernel& kernel, std::uint32_t parameter) {
  const Store* found = nullptr;
  for (const Stage& stage : kernel.stages) {
    for (const Store& store : stage.stores) {
      if (store.parameter != parameter) continue;
      if (found != nullptr || stage.axis) return nullptr;
      found = &store;
    }
  }
  return found;
}

}  // namespace

std::optional<RowSum> find_row_sum(const Kernel& kernel) {
  if (kernel.rows.size() != 1 || kernel.stages.empty() || !kernel.stages.front().fold)
    return std::nullopt;
  for (std::size_t i = 1; i < kernel.stages.size(); ++i)
    if (kernel.stages[i].fold || kernel.stages[i].axis) return std::nullopt;
  const Stage& stage = kernel.stages.front();
  const Fold& fold = *stage.fold;
  if (fold.order != Reduction::Order::chain || !stage.digits.empty() || fold.locals.size() != 1 ||
      fold.elements.size() != 1 || fold.step != fold.merge)
    return std::nullopt;
  const Arena& arena = kernel.arena;
  Id load = fold.elements[0];
  if (arena[load].primitive == Primitive::cast) load = arena.operand(load, 0);
  if (arena[load].primitive != Primitive::load) return std::nullopt;
  RowSum sum{static_cast<std::uint32_t>(arena[load].payload), 0, 0};
  const KernelParameter& value = kernel.parameters[sum.parameter];
  bool has_dimension = false, has_column = false;
  for (std::size_t i = 0; i < value.type.shape.size(); ++i) {
    if (value.type.shape[i] == Dim(1)) continue;
    const Id index = arena.load_indices(load)[i];
    if (is_axis(arena, index, *stage.axis) && !has_dimension) {
      has_dimension = true;
      sum.dimension = i;
    } else if (is_axis(arena, index, 0) && !has_column) {
      has_column = true;
      sum.column = i;
    } else {
      return std::nullopt;
    }
  }
  if (!has_dimension || !has_column || value.written) return std::nullopt;
  // Nothing else is to be read of the value.
  std::vector<Id> roots = roots_of(kernel);
  for (Id id : scalar::reachable(arena, roots))
    if (id != load && scalar::is_load(arena[id].primitive) && arena[id].payload == sum.parameter)
      return std::nullopt;
  return sum;
}

bool fold_across(Kernel& stores, std::uint32_t parameter, const MemoryLayout& layout,
                 const Kernel& folds, const RowSum& sum, const VectorRegisters& vectors) {
  if (stores.rows.size() < 2) return false;
  for (const Stage& stage : stores.stages)
    if (stage.fold &&
        (stage.fold->order != Reduction::Order::chain || !stage.fold->partials.empty()))
      return false;
  const Store* store = only_store(stores, parameter);
  if (store == nullptr || !leaves_work(stores, folds, vectors) ||
      !hides_sums(stores, *store, folds))
    return false;
  Arena& arena = stores.arena;
  // The indices of the dimensions, outermost first; of those in panels there is one more.
  std::vector<Id> indices = store->indices;
  if (layout.panel != 0) {
    const Id piece = arena.make(Primitive::mul, {indices.front(), arena.index(layout.panel)});
    indices.back() = arena.make(Primitive::add, {piece, indices.back()});
    indices.erase(indices.begin());
    stores.locations.resize(arena.size());
  }
  auto index_of = [&](std::size_t dimension) {
    const auto found = std::find(layout.order.begin(), layout.order.end(), dimension);
    return indices[found == layout.order.end()
                       ? dimension
                       : static_cast<std::size_t>(found - layout.order.begin())];
  };
  const Id row = index_of(sum.dimension), column = index_of(sum.column);
  // The axis of a tile's rows; the last one is that of its columns.
  const auto axis = static_cast<std::uint32_t>(stores.rows.size() - 2);
  if (!is_axis(arena, row, axis) || reads_axis(arena, column, axis) ||
      !reads_axis(arena, column, axis + 1))
    return false;
  const scalar::Affine along = scalar::decompose(arena, column);
  const bool contiguous =
      std::any_of(along.terms.begin(), along.terms.end(), [&](const std::pair<Id, Dim>& term) {
        return is_axis(arena, term.first, axis + 1) && term.second == Dim(1);
      });
  if (!contiguous) return false;
  const Fold& fold = *folds.stages.front().fold;
  if (stores.across && (stores.across->axis != axis || stores.across->chunk != fold.chunk))
    return false;
  if (!stores.across) stores.across = RowFolds{axis, fold.chunk, {}};

  RowFolds::Sum across{fold, static_cast<std::uint32_t>(stores.parameters.size()), {}};
  across.fold.elements = {arena.cast(store->value, folds.locals[fold.locals[0]])};
  std::vector<Id> memo;
  for (Id& step : across.fold.step)
    step = scalar::rebuild(folds.arena, step, arena, memo, [](Id) { return Id{}; });
  across.fold.merge.clear();
  across.fold.locals.clear();
  const Id chunk = arena.make(Primitive::floor_div, {row, arena.index(fold.chunk)});
  across.indices = {scalar::simplify_index(arena, chunk), column};
  stores.parameters.push_back({"chunks", type_of_chunks(folds), true});
  stores.locations.resize(arena.size());
  for (Id id : {across.fold.elements[0], across.fold.step[0]})
    if (!stores.locations[id.index].known())
      stores.locations[id.index] = folds.locations[fold.step[0].index];
  stores.across->sums.push_back(std::move(across));
  return true;
}

void read_chunks(BuiltKernel& folds, const RowSum& sum) {
  Kernel& kernel = folds.kernel;
  Stage& stage = kernel.stages.front();
  const std::uint32_t axis = *stage.axis;
  const Id element = stage.fold->elements[0];
  const TensorType type = type_of_chunks(kernel);
  // The axis gets another extent, and so has to be made anew.
  stage.axis.reset();
  rewrite(kernel, [&](const Arena&, Id id, Arena& into) -> Id {
    if (id != element) return {};
    const Id indices[] = {into.axis(axis, type.shape[0]), into.axis(0, type.shape[1])};
    return into.load(sum.parameter, type.dtype, indices);
  });
  kernel.stages.front().axis = axis;
  kernel.stages.front().fold->chunk = 1;
  kernel.parameters[sum.parameter] = {"chunks", type, false};
  folds.values[sum.parameter] = ValueId{};
}

}  // namespace weir
