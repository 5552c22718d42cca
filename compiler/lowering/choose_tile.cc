#include "compiler/lowering/choose_tile.h"

#include <algorithm>
#include <bit>

#include "compiler/lowering/cache_line.h"
#include "compiler/lowering/choose_streams.h"
#include "compiler/lowering/choose_tile_axes.h"
#include "compiler/lowering/find_overlap.h"
#include "compiler/lowering/keep_guards.h"
#include "ir/scalar/affine.h"

namespace weir {
namespace {

using scalar::Arena;
using scalar::Id;
using scalar::Primitive;

// What a step of a tiled fold may cost for each field of the tile, beside the step itself.
constexpr int kTileBodyCost = 8;
// Nor are more multiply-adds in a row than this.
constexpr std::int64_t kWrittenOutFields = 160;
// What follows a fold may cost, for all fields of a tile, to be written out for them.
constexpr std::int64_t kTogetherCost = 160;
// And behind folds of so many steps, beside which the way through memory is nothing.
constexpr std::int64_t kManySteps = 512, kTogetherCostOfMany = 24;
// Operations of steps that are written out for all fields of a tile, beyond which a tile has fewer
// rows, as many as make all tiles alike, or there are none: what rows share is loaded once for two
// of them, too.
constexpr std::int64_t kWrittenOutOperations = 160;
// Vector operations that each level of a tree over the lanes of a vector is worth.
constexpr int kLaneTreeLevel = 3;
// Steps after which a row of a tile reads what another one has read, at most, for both to be written
// out together.
constexpr std::int64_t kStepsBetween = 2;
// Vectors of an image's row that is not cut into blocks.
constexpr std::int64_t kRowVectors = 16;
// With fewer tiles than this each is a unit.
constexpr std::int64_t kFewTiles = 8;
// Groups of rows, at least, where a unit is all columns of one: so threads share them evenly.
constexpr std::int64_t kLeastGroups = 32;
// Of a map in tiles that transpose: vectors of a unit, enough that working out where it is costs
// little; and what an element may cost, for it is written out for each row.
constexpr std::int64_t kTransposedVectors = 4;
constexpr std::int64_t kTransposedBodyCost = 24;

class TileChooser {
 public:
  TileChooser(Schedule& schedule, const Processor& processor)
      : schedule_(schedule), processor_(processor) {
    for (const Stage& stage : stages())
      in_lanes_ = in_lanes_ || (stage.fold && stage.fold->order == Reduction::Order::lanes);
  }

  void run() {
    estimate();
    choose_unroll();
    bool transposes = std::any_of(schedule_.loads.begin(), schedule_.loads.end(),
                                  [](const auto& load) { return load.second.along_rows; });
    if (transposes) {
      choose_transposed();
    } else {
      choose_fold_tile();
    }
    estimate_work();
  }

 private:
  const Arena& arena() const { return schedule_.kernel.arena; }
  const std::vector<Stage>& stages() const { return schedule_.kernel.stages; }

  int body_cost(const std::vector<Id>& roots) const {
    int cost = 0;
    for (Id id : scalar::reachable(arena(), roots))
      cost += scalar::info(arena()[id].primitive).cost;
    return cost;
  }

  // Without the addresses that are a stride or nothing along the vectors.
  int value_cost(const std::vector<Id>& roots) const {
    std::vector<bool> needed(arena().size());
    for (Id root : roots) needed[root.index] = true;
    int cost = 0;
    for (std::size_t i = arena().size(); i-- > 0;) {
      if (!needed[i]) continue;
      const Id id{static_cast<std::uint32_t>(i)};
      cost += scalar::info(arena()[id].primitive).cost;
      const auto load = schedule_.loads.find(id.index);
      const bool is_computed =
          load != schedule_.loads.end() && load->second.kind == Access::Kind::computed;
      for (Id operand : is_computed ? arena().operands(id) : arena().value_operands(id))
        needed[operand.index] = true;
    }
    return cost;
  }

  // What a map reads and writes for each element.
  std::int64_t moved_bytes(const Stage& stage, const std::vector<Id>& roots) const {
    std::int64_t bytes = 0;
    for (Id id : scalar::reachable(arena(), roots))
      if (scalar::is_load(arena()[id].primitive) && schedule_.varies[id.index])
        bytes += byte_size(arena()[id].type);
    for (const Store& store : stage.stores)
      bytes += byte_size(schedule_.kernel.parameters[store.parameter].type.dtype);
    return bytes;
  }

  void estimate() {
    for (const Stage& stage : stages()) {
      body_cost_ += stage_cost(stage);
      if (stage.fold) only_maps_ = false;
    }
    for (const KernelParameter& parameter : schedule_.kernel.parameters)
      schedule_.bytes = schedule_.bytes +
                        element_count(parameter.type.shape) * Dim(byte_size(parameter.type.dtype));
  }

  static std::vector<Id> roots_of(const Stage& stage) {
    std::vector<Id> roots;
    if (stage.fold) {
      roots = stage.fold->elements;
      roots.insert(roots.end(), stage.fold->step.begin(), stage.fold->step.end());
    }
    for (const Store& store : stage.stores) roots.push_back(store.value);
    return roots;
  }

  std::int64_t stage_cost(const Stage& stage) const {
    return body_cost(roots_of(stage)) + static_cast<std::int64_t>(stage.stores.size());
  }

  // Of a field of a tile: its multiply-adds, beside which what rows and columns share is loaded.
  std::int64_t field_cost(const Fold& fold) const {
    const std::int64_t rows = schedule_.rows_at_once, columns = schedule_.tile_unroll;
    const std::int64_t at_once = std::max(processor_.core.fma_bytes, 1);
    const std::int64_t steps =
        body_cost(fold.step) * std::max<std::int64_t>(processor_.vectors.bytes / at_once, 1);
    const std::int64_t shared = step_cost(fold.elements, rows, columns);
    return std::max(steps, (shared + rows * columns / 2) / (rows * columns));
  }

  // Of the tree over the lanes of a vector, for one row: each of its levels shuffles, and waits.
  std::int64_t lane_tree_cost() const {
    return std::int64_t{kLaneTreeLevel} * schedule_.width *
           std::bit_width(static_cast<unsigned>(schedule_.width) - 1);
  }

  void estimate_work() {
    Dim row_count = 1;
    for (const Dim& row : schedule_.kernel.rows) row_count = row_count * row;
    for (const Stage& stage : stages()) {
      std::int64_t cost = stage_cost(stage);
      if (!stage.fold)
        cost = std::max(cost, moved_bytes(stage, roots_of(stage)) * schedule_.width / kBytesOfUnit);
      else if (schedule_.is_tile())
        cost = field_cost(*stage.fold);
      else if (stage.fold->order == Reduction::Order::lanes && !schedule_.vector_row)
        schedule_.work = schedule_.work + row_count * Dim(lane_tree_cost());
      Dim points = stage.axis ? arena().axis_extent(*stage.axis) : Dim(1);
      schedule_.work = schedule_.work + row_count * points * Dim(cost);
    }
  }

  void choose_unroll() {
    // Maps along an axis of their own beside rows: steps in order, many for each row.
    bool in_order =
        only_maps_ && std::any_of(stages().begin(), stages().end(),
                                  [](const Stage& stage) { return stage.axis.has_value(); });
    int unroll = 1;
    if (in_lanes_) {
      unroll = body_cost_ <= 24 ? 4 : body_cost_ <= 60 ? 2 : 1;
    } else if (only_maps_) {
      unroll = body_cost_ <= 16 ? 4 : body_cost_ <= 48 ? 2 : 1;
    } else {
      unroll = 4;
    }
    if (schedule_.width == 1) unroll = only_maps_ ? 1 : 4;
    // One row folded in a chain: there is no vector axis to unroll along.
    if (!schedule_.vector_row && !in_lanes_) unroll = 1;
    most_columns_ = unroll;
    if (schedule_.vector_row && schedule_.vector_row->extent.is_constant()) {
      std::int64_t vectors =
          (schedule_.vector_row->extent.value() + schedule_.width - 1) / schedule_.width;
      most_columns_ = std::clamp<std::int64_t>(vectors, 1, unroll);
      while (unroll > 1 && unroll > vectors) unroll /= 2;
    }
    schedule_.unroll = unroll;
    if (schedule_.vector_row) {
      std::int64_t step = static_cast<std::int64_t>(schedule_.width) * unroll;
      schedule_.block =
          std::max<std::int64_t>(only_maps_ && !in_order ? 2048 : 256, step) / step * step;
      // Columns of folds in lanes have little to share, and the blocks of a single row are run
      // through as one, however small they are: so threads find work in few columns.
      if (in_lanes_ || ((!only_maps_ || in_order) && schedule_.rows.empty()))
        schedule_.block = step;
    }
    if (only_maps_ && !in_order) choose_streams(schedule_, processor_.core, body_cost_);
  }

  // What is computed at every step of a tile: not what a window alone decides, what is the same for
  // all rows or columns once for all of them, and of addresses only what they were made into.
  std::int64_t step_cost(const std::vector<Id>& elements, std::int64_t rows,
                         std::int64_t columns) const {
    std::vector<bool> seen(arena().size());
    std::vector<Id> open;
    auto visit = [&](Id id) {
      if (!seen[id.index] && schedule_.levels[id.index] == Level::stage) open.push_back(id);
      seen[id.index] = true;
    };
    for (Id element : elements) visit(element);
    std::int64_t cost = 0;
    while (!open.empty()) {
      Id id = open.back();
      open.pop_back();
      // Nearly all steps are free of it.
      if (schedule_.step_bounds.contains(id.index)) continue;
      cost += scalar::info(arena()[id].primitive).cost *
              (schedule_.varies_by_row[id.index] ? rows : 1) *
              (schedule_.varies[id.index] ? columns : 1);
      if (auto bound = schedule_.bounds.find(id.index); bound != schedule_.bounds.end()) {
        visit(bound->second.offset);
        continue;
      }
      for (Id operand : arena().value_operands(id)) visit(operand);
      if (scalar::is_load(arena()[id].primitive)) visit(schedule_.loads.at(id.index).offset);
    }
    return cost;
  }

  // Of a fold that is written out for as many rows as a tile has.
  std::optional<RowOverlap> overlap_of(const Stage& stage) const {
    if (schedule_.tile_axes > 1 || !is_written_out(schedule_.kernel, stage, kTileRows))
      return std::nullopt;
    return find_overlap(schedule_, stage);
  }

  // Sums that are under way at a time.
  std::int64_t under_way() const {
    const DType type = schedule_.kernel.locals[stages().front().fold->locals.front()];
    return processor_.core.fmas_under_way(schedule_.width * byte_size(type));
  }

  // Whether the rows of a tile of several axes share what they load at different steps, if there
  // are registers for that beside its sums.
  bool slides_over(std::int64_t rows) const {
    const Stage& first = stages().front();
    return schedule_.tile_axes > 1 && first.fold && 2 * rows <= processor_.vectors.count - 4 &&
           slides_along_steps(schedule_, first, kStepsBetween);
  }

  // A tile pays where something is loaded that all of its rows share: then a step of the fold has
  // as many loads as the tile has rows and columns, and as many multiply-adds as it has fields. It
  // pays, too, where its rows are stored together.
  void choose_fold_tile() {
    if (!schedule_.vector_row || schedule_.width == 1 || schedule_.rows.empty()) return;
    auto [rows, columns] = tile_shape(schedule_, processor_, schedule_.tile_axes);
    columns = std::min(columns, most_columns_);
    if (rows < 2) return;
    const bool interleaves = stores_between(schedule_, rows);
    const bool slides = slides_over(rows);
    if (slides) columns = std::min(columns, (under_way() + rows - 1) / rows);
    bool maps = false, shares = interleaves, splits = false;
    std::vector<Id> stored;
    for (const Stage& stage : stages()) {
      if (!stage.fold) {
        maps = true;
        for (const Store& store : stage.stores) stored.push_back(store.value);
        continue;
      }
      const Fold& fold = *stage.fold;
      splits = splits || !fold.partials.empty();
      if (maps || fold.order != Reduction::Order::chain || fold.locals.size() != 1) return;
      // Windows that overlap share what they load only if their steps stand in a row. Beside the
      // window's filters 16 registers hold the sums of one vector, of few rows at a time, and 32
      // those of two.
      const std::optional<RowOverlap> overlap = overlap_of(stage);
      if (overlap) columns = std::min<std::int64_t>(columns, schedule_.unroll);
      if (overlap && !has_many_registers(processor_)) columns = 1;
      if (overlap)
        while (columns > 1 && !is_written_out(schedule_.kernel, stage, rows * columns))
          columns /= 2;
      if (!interleaves && step_cost(fold.elements, rows, columns) > kTileBodyCost * rows * columns)
        return;
      for (Id id : scalar::reachable(arena(), fold.elements)) {
        if (arena()[id].primitive == Primitive::local) return;
        shares = shares || overlap ||
                 (scalar::is_load(arena()[id].primitive) && schedule_.varies[id.index] &&
                  !schedule_.varies_by_row[id.index]);
      }
    }
    if (!shares) return;
    if (!interleaves) rows = rows_to_write_out(rows, columns);
    if (rows < 2) return;
    if (stages().front().fold) schedule_.overlap = overlap_of(stages().front());
    schedule_.rows_at_once = static_cast<int>(rows);
    // Chunk results have no place beyond the last row, nor does a row there read what others do.
    if (!splits && !schedule_.overlap && !schedule_.known_rows())
      schedule_.rows_fewer = static_cast<int>(rows / 3);
    schedule_.rows_together = value_cost(stored) * rows * columns <=
                              (all_have_many_steps() ? kTogetherCostOfMany : kTogetherCost);
    schedule_.tile_unroll = static_cast<int>(columns);
    schedule_.slides = slides && columns == 1;
    const bool is_step =
        schedule_.tile_axes > 1 || schedule_.unroll % schedule_.tile_unroll != 0 || has_few_tiles();
    schedule_.block = static_cast<std::int64_t>(schedule_.width) *
                      (is_step ? schedule_.tile_unroll : schedule_.unroll);
    // A row of an image that is one block is vectors in places that are known ahead, and most of
    // them are free of the frame.
    const Dim& extent = schedule_.vector_row->extent;
    if ((schedule_.overlap || interleaves || slides) && extent.is_constant() &&
        extent.value() <= kRowVectors * schedule_.width)
      schedule_.block = std::max(schedule_.block, kRowVectors * schedule_.width);
    // Under guards that change from step to step few rows share a vector under a mask.
    if (has_row_of_guards(rows) || has_far_results(rows))
      schedule_.block = std::max(schedule_.block, extent.value());
  }

  // Whether results had better be written whole rows at a time: they take more than half of the
  // second cache, and the columns of all steps no more than that, which stay there meanwhile. Block
  // by block a group of rows writes a few lines of each row, and the next block others of the same
  // pages.
  bool has_far_results(std::int64_t rows) const {
    const std::vector<Stage>& all = stages();
    if (schedule_.tile_axes > 1 || schedule_.overlap || schedule_.kernel.across ||
        !all.front().fold ||
        std::ranges::count_if(all, [](const Stage& stage) { return stage.fold.has_value(); }) != 1)
      return false;
    const Stage& stage = all.front();
    const std::optional<std::int64_t> columns = schedule_.vector_row->extent.constant(),
                                      steps = arena().axis_extent(*stage.axis).constant(),
                                      high = schedule_.rows.back().extent.constant();
    if (!stage.digits.empty() || !stage.fold->partials.empty() || !columns || !steps || !high)
      return false;
    for (const auto& [id, access] : schedule_.loads)
      if (access.along_steps) return false;
    const double row_bytes = static_cast<double>(*columns) *
                             byte_size(schedule_.kernel.locals[stage.fold->locals.front()]);
    const double half = static_cast<double>(processor_.core.second.bytes) / 2;
    return *high / rows >= kLeastGroups && static_cast<double>(*steps) * row_bytes <= half &&
           static_cast<double>(*high) * row_bytes > half;
  }

  // Whether few groups of rows, with many others outside of them, ask along an image's row of known
  // length whether they are within.
  bool has_row_of_guards(std::int64_t rows) const {
    if (processor_.vectors.bytes != 64 || schedule_.overlap || schedule_.tile_axes > 1 ||
        schedule_.bounds.empty() || !schedule_.vector_row->extent.is_constant() ||
        schedule_.known_rows().value_or(INT64_MAX) > kGroupsOfRow * rows)
      return false;
    Dim outside = 1;
    for (std::size_t i = 0; i + 1 < schedule_.rows.size(); ++i)
      outside = outside * schedule_.rows[i].extent;
    return !outside.is_constant() || outside.value() >= kRowsOfImage;
  }

  bool all_have_many_steps() const {
    return std::ranges::all_of(stages(), [&](const Stage& stage) {
      if (!stage.fold) return true;
      const std::optional<std::int64_t> steps = arena().axis_extent(*stage.axis).constant();
      return steps && *steps >= kManySteps;
    });
  }

  // Beside loads and their indices.
  std::int64_t operations(const std::vector<Id>& roots) const {
    std::int64_t count = 0;
    for (Id id : scalar::reachable(arena(), roots)) {
      const scalar::Node& node = arena()[id];
      count += scalar::info(node.primitive).cost > 0 && !scalar::is_load(node.primitive) &&
               node.type != DType::i64;
    }
    return count;
  }

  // As many of a tile's rows as make little code where all steps are written out for each of its
  // fields.
  std::int64_t rows_to_write_out(std::int64_t rows, std::int64_t columns) const {
    if (schedule_.tile_axes > 1) return rows;
    for (const Stage& stage : stages()) {
      if (!stage.fold || !is_written_out(schedule_.kernel, stage, rows * columns) ||
          overlap_of(stage))
        continue;
      const std::int64_t steps = arena().axis_extent(*stage.axis).value();
      const std::int64_t each = operations(stage.fold->elements) + operations(stage.fold->step);
      if (steps * each * rows * columns <= kWrittenOutOperations) continue;
      const Dim& extent = schedule_.rows.back().extent;
      while (rows > 1 && (steps * each * rows * columns > kWrittenOutOperations ||
                          !extent.is_constant() || extent.value() % rows != 0))
        --rows;
    }
    return rows;
  }

  // Whether there are so few tiles that those of a block had better be units of their own: as long
  // as these are whole lines, which no two threads should write.
  bool has_few_tiles() const {
    const Dim& columns = schedule_.vector_row->extent;
    const std::int64_t wide = std::int64_t{schedule_.width} * schedule_.tile_unroll;
    if (!columns.is_constant() || !stages().front().fold) return false;
    const DType type = schedule_.kernel.locals[stages().front().fold->locals.front()];
    if (wide * byte_size(type) % kLineBytes != 0) return false;
    std::int64_t tiles = (columns.value() + wide - 1) / wide;
    for (const LoopAxis& row : schedule_.rows) {
      if (!row.extent.is_constant()) return false;
      const std::int64_t high = &row == &schedule_.rows.back() ? schedule_.rows_at_once : 1;
      tiles *= (row.extent.value() + high - 1) / high;
      if (tiles >= kFewTiles) return false;
    }
    return tiles > 1;
  }

  void choose_transposed() {
    std::int64_t rows = schedule_.width;
    if (const Dim& extent = schedule_.rows.back().extent; extent.is_constant())
      rows = std::min(rows, extent.value());
    if (rows < 2 || body_cost_ > kTransposedBodyCost) return;
    schedule_.rows_at_once = static_cast<int>(rows);
    schedule_.unroll = schedule_.tile_unroll = 1;
    schedule_.block = schedule_.width * kTransposedVectors;
    schedule_.streams = false;
  }

  Schedule& schedule_;
  const Processor& processor_;
  bool in_lanes_ =
      false;  // folds go in lanes, and the vector axis is that of the stages, or of the rows
  bool only_maps_ = true;
  std::int64_t body_cost_ = 0;
  std::int64_t most_columns_ = 1;  // of a tile, in vectors; set by choose_unroll
};

}  // namespace

bool is_written_out(const Kernel& kernel, const Stage& stage, std::int64_t fields) {
  const Dim& steps = kernel.arena.axis_extent(*stage.axis);
  // Where one digit has no point there are 0 steps, whatever the others have.
  const bool is_known = std::all_of(
      stage.digits.begin(), stage.digits.end(),
      [&](std::uint32_t digit) { return kernel.arena.axis_extent(digit).is_constant(); });
  return !stage.digits.empty() && is_known && steps.is_constant() &&
         steps.value() <= kWrittenOutSteps && steps.value() * fields <= kWrittenOutFields;
}

void choose_tile(Schedule& schedule, const Processor& processor) {
  TileChooser(schedule, processor).run();
}

}  // namespace weir
