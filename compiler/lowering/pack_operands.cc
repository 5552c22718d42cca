#include "compiler/lowering/pack_operands.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "compiler/lowering/choose_panel.h"
#include "compiler/lowering/choose_tile.h"
#include "compiler/lowering/choose_tile_axes.h"
#include "compiler/lowering/cut_copies.h"
#include "compiler/lowering/elements.h"
#include "compiler/lowering/estimated_size.h"
#include "compiler/lowering/linear_offset.h"
#include "compiler/lowering/pack_windows.h"
#include "compiler/lowering/split_groups.h"
#include "ir/scalar/affine.h"

namespace weir {
namespace {

using scalar::Arena;
using scalar::Id;
using scalar::Primitive;

// Fewer rows of weights than this stay in the caches however they lie.
constexpr std::int64_t kPanelRows = 64;
// Vectors of a tile whose rows are more than six (choose_tile_axes.h).
constexpr std::int64_t kHighTileVectors = 2;
// Fewer steps in a row are not worth turning in registers.
constexpr std::int64_t kTurnedSteps = 8;
// Vectors of a fold in lanes order that lie apart are worth a copy if so many rows read each of
// them, by estimated_size.
constexpr std::int64_t kLanesUses = 8;
// Filters that vary, and are read by the rows of a tile, are laid out as the steps go if so many
// rows read each element.
constexpr std::int64_t kFilterUses = 256;

// The order of dimensions that brings the vector axis innermost, behind the others in the order of
// their loops; nothing if the load does not run along that axis, or is not a plain permutation of
// axes; axes within groups that `groups` count are axes, too.
std::optional<std::vector<std::uint32_t>> order_along(const Kernel& kernel, const Shape& shape,
                                                      std::span<const Id> indices,
                                                      std::uint32_t vector_axis,
                                                      const std::vector<bool>& groups = {}) {
  auto axis_of = [&](std::uint32_t dimension) -> std::optional<std::uint32_t> {
    return axis_within_group(kernel, groups, indices[dimension]);
  };
  std::vector<std::uint32_t> order;
  std::optional<std::uint32_t> vector_dimension;
  for (std::uint32_t i = 0; i < indices.size(); ++i) {
    if (shape[i] == Dim(1)) {
      order.push_back(i);
      continue;
    }
    const std::optional<std::uint32_t> axis = axis_of(i);
    if (!axis) return std::nullopt;
    if (axis == vector_axis) {
      const bool has_groups = kernel.arena[indices[i]].primitive != Primitive::axis;
      if (vector_dimension ||
          (has_groups &&
           (!shape[i].is_constant() || !shape[i].divided_by(kernel.arena.axis_extent(*axis)))))
        return std::nullopt;
      vector_dimension = i;
    } else {
      order.push_back(i);
    }
  }
  if (!vector_dimension) return std::nullopt;
  auto depth = [&](std::uint32_t dimension) {
    const std::optional<std::uint32_t> axis = axis_of(dimension);
    return axis ? *axis + 1 : 0;
  };
  std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
    return std::pair(depth(a), a) < std::pair(depth(b), b);
  });
  order.push_back(*vector_dimension);
  return order;
}

// The columns of the panels into which the last row axis is cut: those of a register tile, or a
// vector fewer of four where that leaves none half empty; 0 if the axis is left whole. Under a
// window, where those of four vectors take more than half of the second cache and there are rows
// for a higher tile of two, that reads half as much for each multiply-add. Without a window rows of
// so many steps are lines of few sets, each of which would need more of them.
std::int64_t panel_width(const Kernel& kernel, const Stage& stage, const Processor& processor) {
  const std::int64_t lanes = processor.vectors.lanes(kernel.locals[stage.fold->locals[0]]);
  const Dim &extent = kernel.rows.back(), &steps = kernel.arena.axis_extent(*stage.axis);
  if (!extent.is_constant() || !steps.is_constant() || steps.value() < kPanelRows || lanes == 1)
    return 0;
  const std::int64_t columns = extent.value(), most = tile_vectors(processor.vectors);
  auto cuts_whole = [&](std::int64_t width) { return columns > width && columns % width == 0; };
  if (most > kHighTileVectors && !stage.digits.empty() && kernel.rows.size() > 1 &&
      kernel.rows[kernel.rows.size() - 2].constant().value_or(0) > kTileRows &&
      steps.value() * most * processor.vectors.bytes > processor.core.second.bytes / 2 &&
      cuts_whole(kHighTileVectors * lanes))
    return kHighTileVectors * lanes;
  for (std::int64_t count = most; count >= std::max<std::int64_t>(most - 1, 2); --count)
    if (cuts_whole(count * lanes)) return count * lanes;
  return 0;
}

// How many rows of a kernel read each element that is loaded from such indices.
Dim uses_of(const Kernel& kernel, std::span<const Id> indices) {
  std::vector<bool> read(kernel.rows.size());
  for (Id id : scalar::reachable(kernel.arena, indices)) {
    const scalar::Node& node = kernel.arena[id];
    if (node.primitive == Primitive::axis && node.payload < read.size()) read[node.payload] = true;
  }
  Dim uses = 1;
  for (std::size_t axis = 0; axis < read.size(); ++axis)
    if (!read[axis]) uses = uses * kernel.rows[axis];
  return uses;
}

// Whether a copy of what a fold in lanes order reads apart is worth it.
bool pays_in_lanes(const Kernel& kernel, std::span<const Id> indices) {
  return estimated_size(uses_of(kernel, indices)) >= kLanesUses;
}

// The order of dimensions that brings the steps innermost, for an operand of a tile's rows that has
// these innermost: each step of such a tile reads a line of another page, and the lines share few
// sets of the caches, so that each tile finds them in the third one again.
std::optional<std::vector<std::uint32_t>> order_along_far_steps(const Kernel& kernel, Id load,
                                                                const Shape& shape,
                                                                std::int64_t far_bytes) {
  if (kernel.rows.size() < 2 || kernel.stages.empty()) return std::nullopt;
  const Stage& stage = kernel.stages.front();
  const auto row = static_cast<std::uint32_t>(kernel.rows.size() - 2);
  if (!stage.fold || stage.fold->order != Reduction::Order::chain || !stage.digits.empty() ||
      kernel.arena.axis_extent(*stage.axis).constant().value_or(kFarSteps) < kFarSteps ||
      kernel.rows[row + 1].constant().value_or(0) < kFarColumns)
    return std::nullopt;
  std::span<const Id> indices = kernel.arena.load_indices(load);
  std::int64_t distance = byte_size(kernel.arena[load].type);
  bool has_row = false, has_step = false;
  for (std::size_t i = indices.size(); i-- > 0;) {
    const scalar::Node& index = kernel.arena[indices[i]];
    if (index.primitive == Primitive::axis && index.payload == row + 1) return std::nullopt;
    if (index.primitive == Primitive::axis && index.payload == row) {
      if (!is_innermost(shape, i)) return std::nullopt;
      has_row = true;
    }
    if (index.primitive == Primitive::axis && index.payload == *stage.axis) {
      if (distance < far_bytes) return std::nullopt;
      has_step = true;
    }
    distance *= shape[i].constant().value_or(far_bytes);
  }
  if (!has_row || !has_step) return std::nullopt;
  return order_along(kernel, shape, indices, *stage.axis);
}

// The order of dimensions that brings the steps of a window innermost, behind the others in the
// order of their loops, for what the rows of a tile read and its columns share: filters, where
// vectors run along an image's row. As they are declared, each step reads another line for each
// row, and comes back to that for the window's next tap.
std::optional<std::vector<std::uint32_t>> order_along_window(const Kernel& kernel, Id load,
                                                             const Shape& shape,
                                                             const std::vector<bool>& groups) {
  if (kernel.rows.size() < 2) return std::nullopt;
  std::span<const Id> indices = kernel.arena.load_indices(load);
  auto is_axis = [&](Id index, std::size_t axis) {
    return axis_within_group(kernel, groups, index) == axis;
  };
  if (std::ranges::any_of(indices,
                          [&](Id index) { return is_axis(index, kernel.rows.size() - 1); }))
    return std::nullopt;
  for (const Stage& stage : kernel.stages) {
    if (!stage.fold || stage.fold->order != Reduction::Order::chain || stage.digits.empty())
      continue;
    if (std::ranges::any_of(indices, [&](Id index) { return is_axis(index, stage.digits.back()); }))
      return order_along(kernel, shape, indices, stage.digits.back(), groups);
  }
  return std::nullopt;
}

// Whether vectors run along the positions of a window, as an image's row, in a fold in chain order.
bool runs_along_window(const Kernel& kernel) {
  const auto vector_axis = static_cast<std::uint32_t>(kernel.rows.size() - 1);
  for (const Stage& stage : kernel.stages) {
    if (!stage.fold || stage.fold->order != Reduction::Order::chain) continue;
    for (Id load : scalar::reachable(kernel.arena, stage.fold->elements)) {
      if (!scalar::is_load(kernel.arena[load].primitive)) continue;
      for (Id index : kernel.arena.load_indices(load)) {
        bool has_vectors = false, has_steps = false;
        for (Id id : scalar::reachable(kernel.arena, std::span(&index, 1))) {
          const scalar::Node& node = kernel.arena[id];
          if (node.primitive != Primitive::axis) continue;
          has_vectors = has_vectors || node.payload == vector_axis;
          has_steps = has_steps || std::ranges::count(stage.digits, node.payload) > 0;
        }
        if (has_vectors && has_steps) return true;
      }
    }
  }
  return false;
}

// The axis that vectors run along: that of the stages, if a fold is in lanes order.
std::optional<std::uint32_t> axis_in_lanes(const Kernel& kernel) {
  for (const Stage& stage : kernel.stages)
    if (stage.fold && stage.fold->order == Reduction::Order::lanes) return stage.axis;
  return std::nullopt;
}

// Whether a register tile reads each element that is loaded but once, and turns what it reads
// (schedule.h): a copy would be as much work again.
bool is_turned_in_registers(const Kernel& kernel, Id load) {
  std::span<const Id> indices = kernel.arena.load_indices(load);
  auto axis_of = [&](Id index) -> std::optional<std::uint32_t> {
    const scalar::Node& node = kernel.arena[index];
    if (node.primitive != Primitive::axis) return std::nullopt;
    return static_cast<std::uint32_t>(node.payload);
  };
  std::vector<bool> read(kernel.rows.size());
  std::optional<std::uint32_t> innermost;
  for (Id index : indices) {
    std::optional<std::uint32_t> axis = axis_of(index);
    if (axis) innermost = axis;
    if (axis && *axis < read.size()) read[*axis] = true;
  }
  std::int64_t uses = 1;
  for (std::size_t axis = 0; axis < read.size(); ++axis) {
    if (read[axis]) continue;
    const Dim& extent = kernel.rows[axis];
    if (!extent.is_constant() || extent.value() > kTileRows) return false;
    uses *= extent.value();
  }
  return uses <= kMostTileRows &&
         std::any_of(kernel.stages.begin(), kernel.stages.end(), [&](const Stage& stage) {
           if (!stage.fold || is_written_out(kernel, stage, 1)) return false;
           const std::uint32_t step = stage.digits.empty() ? *stage.axis : stage.digits.back();
           const Dim& steps = kernel.arena.axis_extent(step);
           return step == innermost && (!steps.is_constant() || steps.value() >= kTurnedSteps);
         });
}

// Removes the parameters that nothing reads or writes any more, and renumbers the others.
void drop_unused(BuiltKernel& built, std::vector<PackedCopy>& copies) {
  Kernel& kernel = built.kernel;
  std::vector<bool> used(kernel.parameters.size());
  for (Id id : scalar::reachable(kernel.arena, roots_of(kernel))) {
    const scalar::Node& node = kernel.arena[id];
    if (scalar::is_load(node.primitive)) used[node.payload] = true;
  }
  for (const Stage& stage : kernel.stages)
    for (const Store& store : stage.stores) used[store.parameter] = true;
  std::vector<std::uint32_t> number(used.size());
  std::uint32_t next = 0;
  for (std::size_t i = 0; i < used.size(); ++i) {
    number[i] = next;
    if (!used[i]) continue;
    if (next != i) {
      kernel.parameters[next] = std::move(kernel.parameters[i]);
      built.values[next] = built.values[i];
    }
    ++next;
  }
  if (next == used.size()) return;
  kernel.parameters.resize(next);
  built.values.resize(next);
  for (PackedCopy& copy : copies) copy.parameter = number[copy.parameter];
  renumber_parameters(kernel, number);
}

}  // namespace

std::vector<PackedCopy> pack_operands(BuiltKernel& built,
                                      const std::function<bool(ValueId)>& is_weight,
                                      const Processor& processor, std::vector<PackedCopy> copies) {
  Kernel& kernel = built.kernel;
  for (PackedCopy& copy : pack_windows(built, is_weight)) copies.push_back(std::move(copy));
  auto folds = [](const Stage& stage) { return stage.fold.has_value(); };
  // A derivative need not depend on all that it is given: what was loaded in vain is no parameter.
  if (kernel.rows.empty() || std::none_of(kernel.stages.begin(), kernel.stages.end(), folds)) {
    drop_unused(built, copies);
    return copies;
  }
  const std::optional<std::uint32_t> lanes_axis = axis_in_lanes(kernel);
  const auto vector_axis = lanes_axis.value_or(static_cast<std::uint32_t>(kernel.rows.size() - 1));
  const Dim columns = kernel.rows.back();
  auto original_count = static_cast<std::uint32_t>(kernel.parameters.size());
  const bool has_window =
      std::ranges::any_of(kernel.stages, [](const Stage& stage) { return !stage.digits.empty(); });
  const bool along_window = runs_along_window(kernel);
  const std::vector<bool> none, groups = lanes_axis ? none : group_axes(kernel);
  auto order_of = [&](const Arena& from, Id id) {
    const scalar::Node& node = from[id];
    bool may_copy =
        node.primitive == Primitive::load && node.payload < original_count &&
        built.values[node.payload].valid() &&
        (is_weight(built.values[node.payload]) ||
         (!is_turned_in_registers(kernel, id) && !turns_in_panel(kernel, id, processor))) &&
        (!lanes_axis || is_weight(built.values[node.payload]) ||
         pays_in_lanes(kernel, from.operands(id)));
    return may_copy
               ? order_along(kernel, kernel.parameters[node.payload].type.shape, from.operands(id),
                             vector_axis,
                             has_window || is_weight(built.values[node.payload]) ? groups : none)
               : std::nullopt;
  };

  auto is_cut = [&](const Arena& from, Id id) {
    // What has these columns alone, as a bias, is one run of memory as it is.
    auto counts = [](const Dim& dim) { return dim != Dim(1); };
    const auto parameter = static_cast<std::uint32_t>(from[id].payload);
    const Shape& shape = kernel.parameters[parameter].type.shape;
    // What lies as it is read, and is no weight, the kernel itself copies where that pays
    // (choose_panel.h).
    return std::count_if(shape.begin(), shape.end(), counts) > 1 &&
           (is_weight(built.values[parameter]) || !is_innermost(shape, order_of(from, id)->back()));
  };

  const bool cuts = cuts_product(built, is_weight, processor, copies);
  std::int64_t panel = 0;
  for (const Stage& stage : kernel.stages) {
    if (!stage.fold || lanes_axis) continue;
    for (Id id : scalar::reachable(kernel.arena, stage.fold->elements)) {
      if (panel == 0 && order_of(kernel.arena, id) && is_cut(kernel.arena, id))
        panel = panel_width(kernel, stage, processor);
    }
  }
  std::vector<Id> memo;
  rewrite(kernel, [&](const Arena& from, Id id, Arena& into) -> Id {
    auto order = order_of(from, id);
    const scalar::Node& node = from[id];
    const auto parameter = static_cast<std::uint32_t>(node.payload);
    // Columns within groups lie in panels in any case: of a tile's columns, or of a group's.
    const bool in_groups =
        order && from[from.operand(id, order->back())].primitive != Primitive::axis;
    const std::int64_t width = !order || !is_cut(from, id) ? 0
                               : panel == 0 && in_groups   ? columns.value()
                                                           : panel;
    if (!order && !cuts && node.primitive == Primitive::load && parameter < original_count &&
        built.values[parameter].valid() && !is_weight(built.values[parameter]))
      order = order_along_far_steps(kernel, id, kernel.parameters[parameter].type.shape,
                                    far_step_bytes(processor.core));
    if (!order && node.primitive == Primitive::load && parameter < original_count && !lanes_axis &&
        built.values[parameter].valid() &&
        (is_weight(built.values[parameter]) ||
         (along_window && estimated_size(uses_of(kernel, from.operands(id))) >= kFilterUses)))
      order = order_along_window(kernel, id, kernel.parameters[parameter].type.shape, groups);
    if (!order) return {};
    const TensorType type = kernel.parameters[parameter].type;
    if (width == 0 && is_innermost(type.shape, order->back())) return {};
    auto found = std::find_if(copies.begin(), copies.end(), [&](const PackedCopy& copy) {
      return copy.source == built.values[parameter] && copy.order == *order && copy.panel == width;
    });
    if (found == copies.end()) {
      PackedCopy copy{built.values[parameter],
                      static_cast<std::uint32_t>(kernel.parameters.size()),
                      {type.dtype, {}},
                      *order,
                      width};
      for (std::uint32_t dimension : *order) copy.type.shape.push_back(type.shape[dimension]);
      if (width != 0) {
        copy.type.shape.back() = Dim(width);
        const Dim& all = in_groups ? type.shape[order->back()] : columns;
        copy.type.shape.insert(copy.type.shape.begin(), Dim(all.value() / width));
      }
      std::string name = kernel.parameters[parameter].name;
      kernel.parameters.push_back({name.empty() ? name : name + "_packed", copy.type, false});
      copies.push_back(std::move(copy));
      found = copies.end() - 1;
    }
    std::vector<Id> indices;
    for (std::uint32_t dimension : *order) {
      const Id index = from.operand(id, dimension);
      indices.push_back(type.shape[dimension] == Dim(1) && from[index].primitive != Primitive::axis
                            ? into.index(0)
                            : scalar::rebuild(from, index, into, memo, [](Id) { return Id(); }));
      // The copy may be one with a frame, that windows read.
      const std::int64_t low = found->low.empty() ? 0 : found->low[indices.size() - 1];
      if (low != 0)
        indices.back() = scalar::simplify_index(
            into, into.make(Primitive::add, {indices.back(), into.index(low)}));
    }
    if (width != 0) {
      Id column = indices.back();
      auto part = [&](Primitive primitive) {
        return scalar::simplify_index(into, into.make(primitive, {column, into.index(width)}));
      };
      indices.back() = part(Primitive::modulo);
      indices.insert(indices.begin(), part(Primitive::floor_div));
    }
    return into.load(found->parameter, type.dtype, indices);
  });
  if (panel != 0)
    cut_row(kernel, vector_axis, {Dim(columns.value() / panel), Dim(panel)}, {Dim(panel), Dim(1)});
  built.values.resize(kernel.parameters.size());
  drop_unused(built, copies);
  return copies;
}

}  // namespace weir
