#include "compiler/lowering/schedule.h"

#include <algorithm>
#include <map>

#include "compiler/lowering/cache_line.h"
#include "compiler/lowering/choose_far_columns.h"
#include "compiler/lowering/choose_panel.h"
#include "compiler/lowering/choose_tile.h"
#include "compiler/lowering/choose_tile_axes.h"
#include "compiler/lowering/classify_access.h"
#include "compiler/lowering/expand_kernel.h"
#include "compiler/lowering/find_bounds.h"
#include "compiler/lowering/find_levels.h"
#include "compiler/lowering/join_digits.h"
#include "compiler/lowering/linear_offset.h"
#include "compiler/lowering/rows_by_stage.h"
#include "ir/scalar/affine.h"
#include "ir/scalar/subexpressions.h"

namespace weir {
namespace {

using scalar::Affine;
using scalar::Arena;
using scalar::Id;
using scalar::Primitive;

class Scheduler {
 public:
  Scheduler(const Kernel& kernel, const Processor& processor) : processor_(processor) {
    result_.kernel = kernel;
  }

  Schedule run() {
    expand_kernel(result_.kernel);
    join_digits(result_.kernel);
    collect_values();
    collect_offsets();
    collapse_rows();
    choose_vector_axis();
    classify_accesses();
    if (!result_.kernel.across) choose_transposed_axis();
    std::vector<Id> loads;
    for (const auto& [id, offset] : load_offsets_) loads.push_back(id);
    find_bounds(result_, vector_is_stage_, loads);
    result_.tile_axes = choose_tile_axes(result_, processor_);
    find_levels(result_, vector_is_stage_);
    find_loads_along_steps();
    choose_tile(result_, processor_);
    // Where no tile of several axes pays, as its rows share nothing, one of the last axis may.
    if (result_.rows_at_once == 1 && result_.tile_axes > 1) {
      result_.tile_axes = 1;
      find_levels(result_, vector_is_stage_);
      find_loads_along_steps();
      choose_tile(result_, processor_);
    }
    choose_panel(result_, processor_.core);
    choose_far_columns(result_, processor_.core);
    result_.rows_by_stage = rows_by_stage(result_);
    return std::move(result_);
  }

 private:
  Arena& arena() { return result_.kernel.arena; }
  std::vector<Stage>& stages() { return result_.kernel.stages; }
  std::span<RowFolds::Sum> sums() {
    std::optional<RowFolds>& across = result_.kernel.across;
    return across ? std::span<RowFolds::Sum>(across->sums) : std::span<RowFolds::Sum>();
  }

  // All nodes that are computed as values, as opposed to addresses, and the axes among them.
  void collect_values() {
    needed_.assign(arena().size(), false);
    for (const Stage& stage : stages()) {
      if (stage.fold) {
        for (Id id : stage.fold->elements) needed_[id.index] = true;
        for (Id id : stage.fold->step) needed_[id.index] = true;
        for (Id id : stage.fold->merge) needed_[id.index] = true;
        if (const std::optional<FrameSteps>& frame = stage.fold->frame)
          needed_[frame->inside.index] = needed_[frame->sum.index] = true;
      }
      for (const Store& store : stage.stores) needed_[store.value.index] = true;
    }
    for (const RowFolds::Sum& sum : sums()) {
      for (Id id : sum.fold.elements) needed_[id.index] = true;
      for (Id id : sum.fold.step) needed_[id.index] = true;
    }
    for (std::size_t i = arena().size(); i-- > 0;) {
      if (!needed_[i]) continue;
      for (Id operand : arena().value_operands(Id{static_cast<std::uint32_t>(i)}))
        needed_[operand.index] = true;
    }
  }

  // The part of an address that is no axis: it keeps its axes, and what it loads has an address of
  // its own.
  void look_into(Id atom) {
    for (Id id : scalar::reachable(arena(), std::span(&atom, 1))) {
      if (arena()[id].primitive == Primitive::axis)
        pinned_.insert_or_assign(static_cast<std::uint32_t>(arena()[id].payload), true);
      if (scalar::is_load(arena()[id].primitive)) in_address_[id.index] = true;
    }
  }

  void collect_offsets() {
    in_address_.assign(needed_.size(), false);
    auto add = [&](std::uint32_t parameter, std::span<const Id> indices) {
      Affine offset =
          linear_offset(arena(), result_.kernel.parameters[parameter].type.shape, indices);
      for (const auto& [atom, coefficient] : offset.terms)
        if (arena()[atom].primitive != Primitive::axis) look_into(atom);
      offsets_.push_back(std::move(offset));
      return offsets_.size() - 1;
    };
    for (const Stage& stage : stages()) {
      store_offsets_.emplace_back();
      for (const Store& store : stage.stores)
        store_offsets_.back().push_back(add(store.parameter, store.indices));
    }
    // The number of a chunk is a quotient of its axis, which therefore stays an axis of its own.
    for (const RowFolds::Sum& sum : sums()) {
      std::vector<Id> indices = sum.indices;
      // Where a lane of sums side by side lies is left to the code.
      if (result_.kernel.across->axis + 1 == result_.kernel.rows.size())
        indices.back() = arena().index(0);
      sum_offsets_.push_back(add(sum.parameter, indices));
      pinned_.insert_or_assign(result_.kernel.across->axis, true);
    }
    // Loads before those in their addresses.
    for (std::size_t i = needed_.size(); i-- > 0;) {
      Id id{static_cast<std::uint32_t>(i)};
      const scalar::Node node = arena()[id];
      if (needed_[i] && node.primitive == Primitive::axis)
        pinned_.insert_or_assign(static_cast<std::uint32_t>(node.payload), true);
      if ((needed_[i] || in_address_[i]) && scalar::is_load(node.primitive))
        load_offsets_.emplace_back(
            id, add(static_cast<std::uint32_t>(node.payload), arena().load_indices(id)));
    }
  }

  Dim coefficient(const Affine& affine, std::uint32_t axis) {
    for (const auto& [atom, value] : affine.terms)
      if (arena()[atom].primitive == Primitive::axis && arena()[atom].payload == axis) return value;
    return 0;
  }

  void erase_axis(Affine& affine, std::uint32_t axis) {
    std::erase_if(affine.terms, [&](const auto& term) {
      const scalar::Node& node = arena()[term.first];
      return node.primitive == Primitive::axis && node.payload == axis;
    });
  }

  void add_axis(Affine& affine, const LoopAxis& axis, const Dim& stride) {
    if (stride != Dim(0)) affine.terms.emplace_back(arena().axis(axis.number, axis.extent), stride);
  }

  void collapse_rows() {
    next_axis_ = unused_axis(result_.kernel);
    for (std::uint32_t i = 0; i < result_.kernel.rows.size(); ++i)
      result_.rows.push_back({i, result_.kernel.rows[i]});
    for (std::size_t i = result_.rows.size(); i-- > 1;) {
      LoopAxis outer = result_.rows[i - 1], inner = result_.rows[i];
      if (pinned_.contains(outer.number) || pinned_.contains(inner.number)) continue;
      bool linear = std::all_of(offsets_.begin(), offsets_.end(), [&](const Affine& offset) {
        return coefficient(offset, outer.number) ==
               coefficient(offset, inner.number) * inner.extent;
      });
      if (!linear) continue;
      LoopAxis joined{next_axis_++, outer.extent * inner.extent};
      for (Affine& offset : offsets_) {
        Dim stride = coefficient(offset, inner.number);
        erase_axis(offset, outer.number);
        erase_axis(offset, inner.number);
        add_axis(offset, joined, stride);
      }
      result_.rows[i - 1] = joined;
      result_.rows.erase(result_.rows.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }

  void choose_vector_axis() {
    bool lanes = false, parts = false;
    for (const Stage& stage : stages()) {
      parts = parts || stage.is_part;
      if (stage.fold) lanes = lanes || stage.fold->order == Reduction::Order::lanes;
    }
    // Beside folds in chain order no map has an axis, so maps run along a row axis, but for parts.
    int width = processor_.vectors.lanes(vector_type(lanes || parts));
    vector_is_stage_ = parts || (lanes && !lies_along_columns());
    if (vector_is_stage_) {
      Dim longest = 0;
      for (const Stage& stage : stages())
        if (stage.axis && (parts || stage.fold)) longest = arena().axis_extent(*stage.axis);
      result_.width = fitting_width(width, longest);
      return;
    }
    if (result_.rows.empty()) return;
    result_.vector_row = result_.rows.back();
    result_.rows.pop_back();
    result_.width = fitting_width(width, result_.vector_row->extent);
  }

  // Whether vectors run along the last row axis although folds go in lanes: all that these read
  // lies along it, and would be gathered along the steps.
  bool lies_along_columns() {
    if (result_.rows.empty()) return false;
    for (const Stage& stage : stages())
      if (stage.fold ? stage.fold->order != Reduction::Order::lanes || !stage.digits.empty()
                     : stage.axis.has_value())
        return false;
    const LoopAxis& columns = result_.rows.back();
    auto is_columns = [&](Id id) {
      return arena()[id].primitive == Primitive::axis && arena()[id].payload == columns.number;
    };
    bool any = false;
    for (const auto& [id, number] : load_offsets_) {
      const Affine& offset = offsets_[number];
      bool by_step = false, along_steps = false;
      for (const auto& [atom, value] : offset.terms) {
        by_step = by_step || level_of_index(result_.kernel, atom) == Level::stage;
        along_steps =
            along_steps || (arena()[atom].primitive == Primitive::axis && value == Dim(1) &&
                            level_of_index(result_.kernel, atom) == Level::stage);
        const std::vector<Id> reached = scalar::reachable(arena(), std::span(&atom, 1));
        if (!is_columns(atom) && std::any_of(reached.begin(), reached.end(), is_columns))
          return false;
      }
      if (!by_step) continue;
      if (along_steps || coefficient(offset, columns.number) != Dim(1)) return false;
      any = true;
    }
    return any && columns.extent.is_constant() &&
           columns.extent.value() >= processor_.vectors.lanes(vector_type(true));
  }

  // The type whose elements fill a vector: one of 4 bytes where there is any, so that f64 beside
  // f32 takes two vectors and f16 beside it half of one, and otherwise the widest. Where vectors
  // run along a row axis, an index that is the same in all lanes, as in a guard, is no vector.
  DType vector_type(bool along_steps) {
    auto rank = [](DType type) { return byte_size(type) == 4 ? 9 : byte_size(type); };
    std::vector<bool> is_vector(needed_.size(), along_steps || result_.rows.empty());
    DType chosen = DType::boolean, any = DType::boolean;
    auto add = [&](DType& to, DType type) {
      if (to == DType::boolean || rank(type) > rank(to)) to = type;
    };
    for (std::size_t i = 0; i < needed_.size(); ++i) {
      Id id{static_cast<std::uint32_t>(i)};
      const scalar::Node& node = arena()[id];
      is_vector[i] =
          is_vector[i] || node.primitive == Primitive::local ||
          (node.primitive == Primitive::axis && node.payload == result_.rows.back().number);
      for (Id operand : arena().operands(id))
        is_vector[i] = is_vector[i] || is_vector[operand.index];
      if (!needed_[i] || node.type == DType::boolean) continue;
      add(any, node.type);
      if (is_vector[i] || node.type != DType::i64) add(chosen, node.type);
    }
    return chosen == DType::boolean ? any : chosen;
  }

  static int fitting_width(int width, const Dim& extent) {
    if (!extent.is_constant()) return width;
    while (width > 1 && width / 2 >= extent.value()) width /= 2;
    return width;
  }

  void classify_accesses() {
    for (const auto& [id, offset] : load_offsets_) {
      Access access = classify_access(result_, vector_is_stage_, offsets_[offset]);
      part_by_step(result_.kernel, access);
      result_.loads.emplace(id.index, access);
    }
    for (const auto& stage : store_offsets_) {
      result_.stores.emplace_back();
      for (std::size_t offset : stage) {
        Access access = classify_access(result_, vector_is_stage_, offsets_[offset]);
        access.interleaves = is_near(access) && !result_.rows.empty() &&
                             result_.rows.back().extent == access.stride &&
                             coefficient(offsets_[offset], result_.rows.back().number) == Dim(1);
        result_.stores.back().push_back(std::move(access));
      }
    }
    for (std::size_t offset : sum_offsets_) {
      result_.sums.push_back(classify_access(result_, vector_is_stage_, offsets_[offset]));
      const RowFolds& across = *result_.kernel.across;
      const bool side_by_side = result_.vector_row && result_.vector_row->number == across.axis;
      WEIR_CHECK(result_.vector_row && !result_.rows.empty() &&
                     (side_by_side ? result_.sums.back().kind == Access::Kind::uniform &&
                                         across.lanes % result_.width == 0
                                   : result_.sums.back().kind == Access::Kind::contiguous),
                 print(result_.kernel));
    }
  }

  // Of maps that read some operands with a stride along the vector axis: the row axis along which
  // most of these are contiguous becomes the innermost of the rows.
  void choose_transposed_axis() {
    if (!result_.vector_row || result_.width == 1 || result_.rows.empty()) return;
    for (const Stage& stage : stages())
      if (stage.fold || stage.axis) return;
    for (const auto& stage : result_.stores)
      for (const Access& access : stage)
        if (access.kind != Access::Kind::contiguous) return;
    auto is_along = [&](const std::pair<Id, std::size_t>& load, const LoopAxis& axis) {
      return result_.loads.at(load.first.index).kind == Access::Kind::strided &&
             coefficient(offsets_[load.second], axis.number) == Dim(1);
    };
    std::size_t best = 0;
    std::ptrdiff_t most = 0;
    for (std::size_t i = 0; i < result_.rows.size(); ++i) {
      auto count = std::count_if(load_offsets_.begin(), load_offsets_.end(),
                                 [&](const auto& load) { return is_along(load, result_.rows[i]); });
      if (count <= most) continue;
      best = i;
      most = count;
    }
    if (most == 0) return;
    auto chosen = result_.rows.begin() + static_cast<std::ptrdiff_t>(best);
    std::rotate(chosen, chosen + 1, result_.rows.end());
    part_transposed_axis();
    for (const auto& load : load_offsets_)
      if (is_along(load, result_.rows.back())) result_.loads.at(load.first.index).along_rows = true;
  }

  // Where the results of neighbours along another row axis share a line, these follow one another
  // for as many points of the transposed axis as a line of an operand has: all of its points would
  // come between them, and the line would be gone from the caches.
  void part_transposed_axis() {
    if (result_.rows.size() < 2) return;
    const LoopAxis all = result_.rows.back();
    const LoopAxis& before = result_.rows[result_.rows.size() - 2];
    std::int64_t part = 0;
    for (std::size_t stage = 0; stage < stages().size(); ++stage) {
      for (std::size_t i = 0; i < stages()[stage].stores.size(); ++i) {
        const Store& store = stages()[stage].stores[i];
        const std::int64_t bytes = byte_size(result_.kernel.parameters[store.parameter].type.dtype);
        const std::optional<std::int64_t> apart =
            coefficient(offsets_[store_offsets_[stage][i]], before.number).constant();
        if (apart && *apart > 0 && *apart * bytes < kLineBytes) part = kLineBytes / bytes;
      }
    }
    if (part == 0 || pinned_.contains(all.number) || !all.extent.is_constant() ||
        all.extent.value() <= part || all.extent.value() % part != 0)
      return;
    const LoopAxis parts{next_axis_++, all.extent.value() / part};
    const LoopAxis within{next_axis_++, part};
    for (Affine& offset : offsets_) {
      const Dim stride = coefficient(offset, all.number);
      erase_axis(offset, all.number);
      add_axis(offset, parts, stride * Dim(part));
      add_axis(offset, within, stride);
    }
    result_.rows.back() = within;
    result_.rows.insert(result_.rows.end() - 2, parts);
    result_.loads.clear();
    result_.stores.clear();
    classify_accesses();
  }

  // Of folds along rows of vectors: what is read along the steps, and would be gathered.
  void find_loads_along_steps() {
    if (!result_.vector_row || result_.width == 1) return;
    for (const Stage& stage : stages()) {
      if (!stage.fold) continue;
      const std::uint32_t axis = stage.digits.empty() ? *stage.axis : stage.digits.back();
      for (Id id : scalar::reachable(arena(), stage.fold->elements)) {
        if (arena()[id].primitive != Primitive::load || arena()[id].type == DType::boolean)
          continue;
        Access& access = result_.loads.at(id.index);
        if (access.kind != Access::Kind::strided || is_near(access) || !access.inside.valid())
          continue;
        const scalar::Node& inside = arena()[access.inside];
        access.along_steps = inside.primitive == Primitive::axis && inside.payload == axis &&
                             !result_.varies_by_row[id.index];
      }
    }
  }

  const Processor& processor_;
  Schedule result_;
  std::vector<bool> needed_;
  std::vector<bool> in_address_;
  std::map<std::uint32_t, bool> pinned_;
  std::uint32_t next_axis_ = 0;  // a number that no axis has
  std::vector<Affine> offsets_;
  std::vector<std::pair<Id, std::size_t>> load_offsets_;
  std::vector<std::vector<std::size_t>> store_offsets_;
  std::vector<std::size_t> sum_offsets_;
  bool vector_is_stage_ = false;
};

}  // namespace

std::optional<std::size_t> Schedule::tile_axis(std::uint32_t axis) const {
  for (std::size_t i = 0; i < rows.size() && i < static_cast<std::size_t>(tile_axes); ++i)
    if (rows[rows.size() - 1 - i].number == axis) return i;
  return std::nullopt;
}

bool Schedule::folds_outside() const {
  return kernel.across && (rows.empty() || rows.back().number != kernel.across->axis);
}

std::size_t Schedule::rows_of_units() const {
  if (!folds_outside()) return rows.size();
  const auto axis = std::ranges::find(rows, kernel.across->axis, &LoopAxis::number);
  if (axis != rows.end()) return static_cast<std::size_t>(axis - rows.begin());
  // Across the vector axis, within which only a tile's rows lie.
  return rows_at_once > 1 ? rows.size() - static_cast<std::size_t>(tile_axes) : rows.size();
}

std::optional<std::int64_t> Schedule::known_rows() const {
  std::optional<std::int64_t> all = rows.back().extent.constant();
  if (!kernel.across || folds_outside() || !all || *all <= kernel.across->chunk) return all;
  if (*all % kernel.across->chunk == 0) return kernel.across->chunk;
  // What is left of the last chunk is what is left of all of them.
  if (kernel.across->chunk % rows_at_once == 0) return all;
  return std::nullopt;
}

std::int64_t Schedule::tile_position(std::size_t tile_axis, std::int64_t row) const {
  for (std::size_t i = 0; i < tile_axis; ++i) row /= rows[rows.size() - 1 - i].extent.value();
  return row % rows[rows.size() - 1 - tile_axis].extent.value();
}

Schedule make_schedule(const Kernel& kernel, const Processor& processor) {
  return Scheduler(kernel, processor).run();
}

}  // namespace weir
