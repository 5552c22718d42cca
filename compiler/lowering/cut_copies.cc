#include "compiler/lowering/cut_copies.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "compiler/lowering/cache_line.h"
#include "compiler/lowering/choose_tile_axes.h"
#include "compiler/lowering/elements.h"
#include "compiler/lowering/estimated_size.h"
#include "compiler/lowering/split_folds.h"

namespace weir {
namespace {

using scalar::Arena;
using scalar::Id;
using scalar::Primitive;

// An operand is cut if each element is read so often, by estimated_size: its copy is then a few
// hundredths of the work. The columns of a copy that is made anyway, and turned, are cut for
// nothing.
constexpr double kReads = 128;
// And if a step goes so many bytes, with which lines have 16 sets of the first cache, or 8: of a
// copy that is made anyway, and of one that would not be.
std::int64_t copied_stride(const Core& core) { return core.first.bytes_of_way() / 16; }
std::int64_t other_stride(const Core& core) { return core.first.bytes_of_way() / 8; }
// With vectors of more registers a step has more columns, which take whole lines.
constexpr int kFewVectors = 2;
// Sums that are under way at a time: two begin in a cycle, and each takes four.
constexpr std::int64_t kSumsInTime = 8;

// The fold of the kernel in chain order, if that is its only one.
const Stage* only_fold(const Kernel& kernel) {
  const Stage* found = nullptr;
  for (const Stage& stage : kernel.stages) {
    if (!stage.fold) continue;
    if (found || stage.fold->order != Reduction::Order::chain) return nullptr;
    found = &stage;
  }
  return found;
}

bool is_window(const Stage& fold) { return !fold.digits.empty(); }

// The one load of a parameter, if its last dimension alone runs along this row axis, and nothing
// else does.
std::optional<Id> load_along(const Kernel& kernel, const Stage& fold, std::uint32_t parameter,
                             std::uint32_t axis) {
  const Arena& arena = kernel.arena;
  std::optional<Id> load;
  for (Id id : scalar::reachable(arena, roots_of(kernel))) {
    if (!scalar::is_load(arena[id].primitive) || arena[id].payload != parameter) continue;
    if (load || arena[id].primitive != Primitive::load) return std::nullopt;
    load = id;
  }
  if (!load) return std::nullopt;
  const std::vector<Id> in_fold = scalar::reachable(arena, fold.fold->elements);
  if (std::find(in_fold.begin(), in_fold.end(), *load) == in_fold.end()) return std::nullopt;
  std::span<const Id> indices = arena.load_indices(*load);
  if (indices.size() < 2) return std::nullopt;
  for (Id id : scalar::reachable(arena, indices.first(indices.size() - 1))) {
    const scalar::Node& node = arena[id];
    if (scalar::is_load(node.primitive) ||
        (node.primitive == Primitive::axis && node.payload == axis))
      return std::nullopt;
  }
  const scalar::Node& last = arena[indices.back()];
  const bool is_along = last.primitive == Primitive::axis && last.payload == axis &&
                        kernel.parameters[parameter].type.shape.back() == kernel.rows[axis];
  return is_along ? load : std::nullopt;
}

double elements_of(const Kernel& kernel, std::uint64_t parameter) {
  return estimated_size(element_count(kernel.parameters[parameter].type.shape));
}

// Whether two threads pass less memory between them if each has half of the columns, and all rows.
// What is copied in each run passes twice, as it is written and as it is read, where each thread
// copies a part of the steps and then reads all of them. With columns of its own it reads what it
// copied itself, and all of the other operands.
bool passes_less_by_columns(const Kernel& kernel, const Stage& fold, std::uint32_t copied) {
  for (Id id : scalar::reachable(kernel.arena, fold.fold->elements)) {
    const scalar::Node& node = kernel.arena[id];
    if (scalar::is_load(node.primitive) && node.payload != copied &&
        elements_of(kernel, node.payload) > 2 * elements_of(kernel, copied))
      return false;
  }
  return true;
}

// Columns of a panel of an operand: those of a tile. With vectors of many registers, where it has
// all points of the other row axes, as the taps of a filter of one channel are, so many of them as
// leave nothing over, and no more than sums need to follow one another without waiting: of a
// narrow panel x is read channel by channel, in order. Where it would have all columns of many
// rows, half of them, one panel for each of two threads. 0: it is not cut.
std::int64_t panel_columns(const Kernel& kernel, const Stage& fold, std::uint32_t parameter,
                           std::int64_t extent, const Processor& processor) {
  const VectorRegisters& vectors = processor.vectors;
  const std::int64_t lanes = vectors.lanes(kernel.parameters[parameter].type.dtype);
  const std::int64_t most = tile_vectors(vectors);
  if (most <= kFewVectors) return most * lanes;
  std::int64_t taps = 1;
  for (std::size_t i = 0; i + 1 < kernel.rows.size(); ++i)
    taps *= kernel.rows[i].constant().value_or(kMostTileRows + 1);
  if (taps > kMostTileRows) {
    const Dim& rows = kernel.rows[kernel.rows.size() - 2];
    // Chunks that threads share are parts of the steps, as what each of them copies is.
    const bool has_half = extent == most * lanes && rows.constant().value_or(0) >= kFarRowsOfTwo &&
                          !goes_by_chunks(kernel, fold, processor) &&
                          passes_less_by_columns(kernel, fold, parameter);
    return has_half ? extent / 2 : 0;
  }
  std::int64_t chosen = 0;
  for (std::int64_t columns = most; columns > 0; --columns) {
    const bool fits = taps * columns + columns < vectors.count && extent % (columns * lanes) == 0;
    if (fits && (chosen == 0 || taps * columns >= kSumsInTime)) chosen = columns * lanes;
  }
  return chosen;
}

// What lies along the rows of a tile, or along its columns, and is to be cut.
struct Cut {
  std::uint32_t parameter;
  std::uint32_t axis;
  std::int64_t width;
  Id load;
};

std::optional<Cut> find_cut(const BuiltKernel& built, const std::function<bool(ValueId)>& is_weight,
                            const Processor& processor, std::span<const PackedCopy> copies,
                            bool are_columns) {
  const Kernel& kernel = built.kernel;
  const Stage* fold = only_fold(kernel);
  if (kernel.rows.size() < 2 || fold == nullptr) return std::nullopt;
  const auto axis = static_cast<std::uint32_t>(kernel.rows.size() - (are_columns ? 1 : 2));
  const std::optional<std::int64_t> extent = kernel.rows[axis].constant();
  for (std::uint32_t i = 0; extent && i < built.values.size(); ++i) {
    const KernelParameter& parameter = kernel.parameters[i];
    auto copy = std::find_if(copies.begin(), copies.end(),
                             [&](const PackedCopy& one) { return one.parameter == i; });
    const bool is_copied = copy != copies.end();
    const ValueId value = is_copied ? copy->source : built.values[i];
    if (parameter.written || !value.valid() || is_weight(value) || (is_copied && copy->panel != 0))
      continue;
    const std::int64_t size = byte_size(parameter.type.dtype);
    const std::int64_t width =
        are_columns ? panel_columns(kernel, *fold, i, *extent, processor) : kLineBytes / size;
    const std::int64_t stride = !is_window(*fold) ? far_step_bytes(processor.core)
                                : is_copied       ? copied_stride(processor.core)
                                                  : other_stride(processor.core);
    if (width == 0 || *extent <= width || *extent % width != 0 || *extent * size < stride) continue;
    const std::optional<Id> load = load_along(kernel, *fold, i, axis);
    const bool has_many = tile_vectors(processor.vectors) > kFewVectors;
    const bool is_free =
        is_window(*fold) && is_copied && are_columns && !std::ranges::is_sorted(copy->order);
    if (!load || (!is_free && has_many) ||
        (!is_free && reads_of_each(kernel, *fold, parameter.type.shape) < kReads))
      continue;
    return Cut{i, axis, width, *load};
  }
  return std::nullopt;
}

void apply_cut(BuiltKernel& built, const Cut& cut, std::vector<PackedCopy>& copies) {
  Kernel& kernel = built.kernel;
  KernelParameter& parameter = kernel.parameters[cut.parameter];
  const std::int64_t width = cut.width, extent = kernel.rows[cut.axis].value();
  auto copy = std::find_if(copies.begin(), copies.end(),
                           [&](const PackedCopy& one) { return one.parameter == cut.parameter; });
  const bool is_copied = copy != copies.end();
  if (!is_copied) {
    PackedCopy own{built.values[cut.parameter], cut.parameter, parameter.type, {}};
    for (std::uint32_t d = 0; d < parameter.type.shape.size(); ++d) own.order.push_back(d);
    copies.push_back(std::move(own));
    copy = copies.end() - 1;
    built.values[cut.parameter] = {};
  }
  parameter.type.shape.back() = Dim(width);
  parameter.type.shape.insert(parameter.type.shape.begin(), Dim(extent / width));
  if (!is_copied && !parameter.name.empty()) parameter.name += "_packed";
  copy->type = parameter.type;
  copy->panel = width;
  std::vector<Id> memo;
  rewrite(kernel, [&](const Arena& from, Id id, Arena& into) -> Id {
    if (id != cut.load) return {};
    std::vector<Id> indices;
    for (Id index : from.load_indices(id))
      indices.push_back(scalar::rebuild(from, index, into, memo, [](Id) { return Id(); }));
    const Id column = indices.back();
    indices.back() = into.make(Primitive::modulo, {column, into.index(width)});
    indices.insert(indices.begin(), into.make(Primitive::floor_div, {column, into.index(width)}));
    return into.load(cut.parameter, from[id].type, indices);
  });
  cut_row(kernel, cut.axis, {Dim(extent / width), Dim(width)}, {Dim(width), Dim(1)});
}

}  // namespace

bool cuts_product(const BuiltKernel& built, const std::function<bool(ValueId)>& is_weight,
                  const Processor& processor, std::span<const PackedCopy> copies) {
  const Kernel& kernel = built.kernel;
  const Stage* fold = only_fold(kernel);
  if (processor.vectors.bytes == 0 || tile_vectors(processor.vectors) > kFewVectors ||
      kernel.rows.size() < 2 || fold == nullptr || !fold->digits.empty() ||
      kernel.arena.axis_extent(*fold->axis).constant().value_or(kFarSteps) < kFarSteps ||
      kernel.rows.back().constant().value_or(0) < kFarColumns)
    return false;
  return find_cut(built, is_weight, processor, copies, false) &&
         find_cut(built, is_weight, processor, copies, true);
}

std::vector<PackedCopy> cut_copies(BuiltKernel& built,
                                   const std::function<bool(ValueId)>& is_weight,
                                   const Processor& processor, std::vector<PackedCopy> copies) {
  const Stage* fold = only_fold(built.kernel);
  const bool has_window = fold != nullptr && is_window(*fold);
  const bool has_many = tile_vectors(processor.vectors) > kFewVectors;
  if (fold == nullptr || processor.vectors.bytes == 0 || (has_many && !has_window)) return copies;
  if (!has_window && !cuts_product(built, is_weight, processor, copies)) return copies;
  // Each cut renumbers the row axes: what is cut last is outermost.
  for (const bool are_columns : {has_window, !has_window}) {
    if (has_many && !are_columns) continue;
    if (const std::optional<Cut> cut = find_cut(built, is_weight, processor, copies, are_columns))
      apply_cut(built, *cut, copies);
  }
  return copies;
}

}  // namespace weir
