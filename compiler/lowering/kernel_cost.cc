#include "compiler/lowering/kernel_cost.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#include "compiler/lowering/choose_tile.h"
#include "compiler/lowering/choose_tile_axes.h"
#include "compiler/lowering/estimated_size.h"
#include "compiler/lowering/part_results.h"
#include "compiler/lowering/schedule.h"
#include "compiler/lowering/split_groups.h"
#include "ir/scalar/affine.h"

namespace weir {
namespace {

using scalar::Arena;
using scalar::Id;
using scalar::Primitive;

// Elements beside which those cost that lie apart, about those of a vector.
constexpr double kLanes = 16;
// Rows of a register tile, about, and vectors of a row, where they are most: what all of them read
// is loaded once.
constexpr double kRows = 6;
constexpr double kVectors = 4;
// An element that is spread over a vector; one of a window for few whole vectors of AVX-512, whose
// multiply-adds do it by themselves, while vectors along the image would cross lines; and times as
// much where each step of a fold finds it in another line of the caches.
constexpr double kSpread = 0.5, kSpreadByItself = 0.35;
constexpr double kFar = 2;
// What each step of a fold finds on another page, where nothing is read ahead: an element that is
// spread, and a vector.
constexpr double kApart = 1.5, kApartVector = 2;
constexpr double kPage = 1024;
// An element whose line the first cache has lost since it was there for the one beside it, and the
// second one, too; and one that is written, for which the line comes and goes.
constexpr double kLost = 3;
constexpr double kLostTwice = 8;
constexpr double kLostStore = 16;
// Lines of so many elements of four bytes; of each cache, about, so many elements after which a set
// comes again, and lines of a set.
constexpr double kLine = 16;
constexpr std::int64_t kFirstWay = 1024, kSecondWay = 16 * 1024;
constexpr double kFirstWays = 8, kSecondWays = 16;
// A guard that differs from lane to lane, and one that is the same in all.
constexpr double kMask = 3;
constexpr double kGuard = 0.25;
// What other axes have to be better by.
constexpr double kMargin = 1.2;
// A vector of results that is stored between those of other rows.
constexpr double kInterleaved = 2;
// So many elements of a window for each result make its copy (pack_windows.h) and the store nothing
// beside the sums, as in gradients of filters.
constexpr double kFewResults = 16;
// Columns that fill vectors, with little left over.
constexpr double kEnoughColumns = 12;
// What a map stores apart, beyond what it costs to load so: that can be turned in squares.
constexpr double kScattered = 1;
// A dimension that is known only at the call.
constexpr std::int64_t kSymbol = 61;

double size_of(const Dim& dim) { return estimated_size(dim, kSymbol); }

std::uint64_t bit(std::uint64_t axis) { return std::uint64_t{1} << axis; }

bool is_turned(const Kernel& kernel, const Store& store) {
  std::vector<std::uint64_t> axes;
  for (Id index : store.indices) {
    const scalar::Node& node = kernel.arena[index];
    if (node.primitive == Primitive::axis && node.payload < kernel.rows.size())
      axes.push_back(node.payload);
  }
  return !std::ranges::is_sorted(axes);
}

}  // namespace

KernelCost::KernelCost(const Kernel& kernel,
                       const std::function<bool(std::uint32_t parameter)>& may_copy,
                       const VectorRegisters& vectors)
    : kernel_(kernel),
      may_copy_(may_copy),
      group_axes_(group_axes(kernel)),
      lanes_(vectors.lanes(DType::f32)),
      most_vectors_(static_cast<double>(tile_vectors(vectors))),
      spreads_by_itself_(vectors.bytes == 64),
      parts_results_(may_part_results(kernel)),
      moved_(kernel.parameters.size()) {
  const std::uint32_t axes = unused_axis(kernel);
  std::size_t folds = 0;
  bool own_axes = false, in_lanes = false, are_windows = true;
  const Stage* fold = nullptr;
  for (const Stage& stage : kernel.stages) {
    if (!stage.fold) {
      own_axes = own_axes || stage.axis.has_value();
      continue;
    }
    ++folds;
    fold = &stage;
    window_ = window_ || !stage.digits.empty();
    are_windows = are_windows && !stage.digits.empty();
    in_lanes = in_lanes || stage.fold->order == Reduction::Order::lanes;
  }
  // A single result in steps one by one costs the same however its operands lie.
  if (axes > 64 || (kernel.rows.empty() && !in_lanes)) return;
  if (!kernel.rows.empty()) vector_axis_ = static_cast<std::uint32_t>(kernel.rows.size() - 1);
  if (in_lanes) {
    vector_axis_ = *fold->axis;
  } else if (!own_axes && (folds <= 1 || are_windows)) {
    kind_ = folds == 0 ? Kind::maps : Kind::fold;
  }
  extents_.assign(axes, 1);
  for (std::size_t i = 0; i < kernel.rows.size(); ++i) {
    extents_[i] = size_of(kernel.rows[i]);
    points_ *= extents_[i];
  }
  for (const KernelParameter& parameter : kernel.parameters) {
    std::vector<double> strides(parameter.type.shape.size(), 1);
    for (std::size_t i = strides.size(); i-- > 1;)
      strides[i - 1] = strides[i] * size_of(parameter.type.shape[i]);
    strides_.push_back(std::move(strides));
  }
  for (const Stage& stage : kernel.stages) {
    double times = 1, inner = 1;
    if (stage.axis) {
      times = extents_[*stage.axis] = std::max(1.0, size_of(kernel.arena.axis_extent(*stage.axis)));
      for (std::uint32_t digit : stage.digits)
        inner = extents_[digit] = std::max(1.0, size_of(kernel.arena.axis_extent(digit)));
    }
    if (stage.fold) {
      step_axis_ = stage.digits.empty() ? *stage.axis : stage.digits.back();
      steps_ += times;
      for (Id element : stage.fold->elements) add_loads(element, true, times, inner);
    }
    for (const Store& store : stage.stores) {
      add_loads(store.value, false, times, 1);
      is_turned_ = is_turned_ || is_turned(kernel, store);
      Access access;
      access.times = times;
      access.is_store = true;
      add(store.parameter, store.indices, access);
    }
  }
  if (folds == 1) find_remainders(*fold->fold);
  if (!kernel.rows.empty() && lies_along(vector_axis_))
    for (Access& access : accesses_) access.may_turn = access.may_copy = false;
  // What is read in another way, too, is not turned.
  for (Access& access : accesses_)
    access.may_turn =
        access.may_turn && std::ranges::count(accesses_, access.parameter, &Access::parameter) == 1;
  for (Access& access : accesses_) find_lines(access);
}

// A local is one of all rows.
std::uint64_t KernelCost::axes_of(Id root) const {
  std::uint64_t axes = 0;
  for (Id id : scalar::reachable(kernel_.arena, std::span(&root, 1))) {
    const scalar::Node& node = kernel_.arena[id];
    if (node.primitive == Primitive::local) axes |= bit(kernel_.rows.size()) - 1;
    if (node.primitive == Primitive::axis) axes |= bit(node.payload);
  }
  return axes;
}

void KernelCost::find_remainders(const Fold& fold) {
  const std::optional<Id> condition = step_condition(kernel_, fold);
  if (!condition) return;
  for (Id id : scalar::reachable(kernel_.arena, std::span(&*condition, 1))) {
    if (kernel_.arena[id].primitive != Primitive::modulo) continue;
    const scalar::Affine divisor = scalar::decompose(kernel_.arena, kernel_.arena.operand(id, 1));
    const std::optional<std::int64_t> by = divisor.constant.constant();
    if (divisor.is_constant() && by && *by > 1)
      remainders_.push_back({static_cast<double>(*by), axes_of(id)});
  }
}

// A remainder that differs from lane to lane leaves no step out.
double KernelCost::part_of_steps(const TileAxes& axes) const {
  double part = 1;
  for (const Remainder& remainder : remainders_)
    if ((remainder.axes & bit(axes.axis)) == 0) part /= remainder.divisor;
  return part;
}

void KernelCost::add(std::uint32_t parameter, std::span<const Id> indices, Access access) {
  const Arena& arena = kernel_.arena;
  access.parameter = parameter;
  for (Id id : indices) {
    Index index;
    index.coefficients.assign(extents_.size(), 0);
    index.is_axis = axis_within_group(kernel_, group_axes_, id).has_value();
    for (const auto& [atom, coefficient] : scalar::decompose(arena, id).terms) {
      if (arena[atom].primitive == Primitive::axis) {
        index.coefficients[arena[atom].payload] = size_of(coefficient);
        index.all |= bit(arena[atom].payload);
      } else {
        index.other |= axes_of(atom);
      }
    }
    index.all |= index.other;
    access.indices.push_back(std::move(index));
  }
  accesses_.push_back(std::move(access));
}

// `inner`: steps of the innermost loop, which a guard does not count that they have no part in.
void KernelCost::add_loads(Id root, bool in_fold, double times, double inner) {
  for (Id id : scalar::reachable(kernel_.arena, std::span(&root, 1))) {
    const scalar::Node& node = kernel_.arena[id];
    if (!scalar::is_load(node.primitive)) continue;
    std::span<const Id> indices = kernel_.arena.load_indices(id);
    Access access;
    access.times = access.guard_times = times;
    access.in_fold = in_fold;
    access.guarded = node.primitive == Primitive::load_if;
    if (access.guarded) {
      access.guard = axes_of(kernel_.arena.operand(id, 0));
      for (const Stage& stage : kernel_.stages)
        if (in_fold && !stage.digits.empty() && (access.guard & bit(stage.digits.back())) == 0)
          access.guard_times = times / inner;
    }
    auto parameter = static_cast<std::uint32_t>(node.payload);
    access.is_copied = in_fold && !access.guarded && may_copy_(parameter);
    access.may_copy = in_fold && !access.guarded && (window_ || access.is_copied);
    access.may_turn =
        in_fold && access.guarded && window_ && kind_ == Kind::fold &&
        size_of(element_count(kernel_.parameters[parameter].type.shape)) >= kFewResults * points_;
    add(parameter, indices, access);
  }
}

void KernelCost::set_order(std::uint32_t parameter, const std::vector<std::uint32_t>& order) {
  if (extents_.empty()) return;
  const Shape& shape = kernel_.parameters[parameter].type.shape;
  moved_[parameter] = !std::is_sorted(order.begin(), order.end());
  double stride = 1;
  for (std::size_t i = order.size(); i-- > 0;) {
    strides_[parameter][order[i]] = stride;
    stride *= size_of(shape[order[i]]);
  }
  for (Access& access : accesses_)
    if (access.parameter == parameter) find_lines(access);
}

// The loops over rows lie outside of those of a fold, each axis within the one before it.
void KernelCost::find_lines(Access& access) const {
  access.within_line = 0;
  access.lines_between = 1;
  access.lines_apart = 0;
  std::vector<double> strides(extents_.size());
  const Shape& shape = kernel_.parameters[access.parameter].type.shape;
  for (std::size_t i = 0; i < access.indices.size(); ++i) {
    if (shape[i] == Dim(1)) continue;
    const double stride = strides_[access.parameter][i];
    for (std::uint32_t axis = 0; axis < extents_.size(); ++axis) {
      const bool is_other = (access.indices[i].other & bit(axis)) != 0;
      strides[axis] += is_other ? stride : access.indices[i].coefficients[axis] * stride;
      if (is_other && stride < kLine) access.within_line |= bit(axis);
    }
  }
  for (std::uint32_t axis = 0; axis < extents_.size(); ++axis)
    if (strides[axis] != 0 && std::abs(strides[axis]) < kLine) access.within_line |= bit(axis);
  const std::size_t inner = access.in_fold ? extents_.size() : kernel_.rows.size();
  for (auto axis = static_cast<std::size_t>(std::bit_width(access.within_line)); axis < inner;
       ++axis) {
    if (strides[axis] == 0) continue;
    access.lines_between *= extents_[axis];
    access.lines_apart =
        std::gcd(access.lines_apart, static_cast<std::int64_t>(std::abs(strides[axis])));
  }
}

// The vectors' axis lies within all rows, and what a tile has at once is read together.
double KernelCost::cost_of_lost_line(const Access& access, const TileAxes& axes, double stride,
                                     bool tiled) const {
  if (access.within_line == 0 || (access.within_line & bit(axes.axis)) != 0 ||
      is_in_squares(access, axes.axis))
    return 0;
  std::uint64_t together = access.in_fold ? bit(step_axis_) : 0;
  if (tiled) together |= bit(axes.row);
  // Sums in lanes run along the last row axis where they can.
  if (kind_ == Kind::fixed && !kernel_.rows.empty()) together |= bit(kernel_.rows.size() - 1);
  double lines = 1;
  std::int64_t apart = 0;
  if ((access.within_line & together) == 0) {
    lines = access.lines_between;
    apart = access.lines_apart;
  }
  const bool is_counted = lines > 1 && (access.within_line >> axes.axis) == 0;
  if (stride != 0 && !is_counted) {
    lines *= extents_[axes.axis];
    apart = std::gcd(apart, static_cast<std::int64_t>(std::abs(stride)));
  }
  auto keeps = [&](std::int64_t way, double ways) {
    return lines <= ways * static_cast<double>(way) /
                        std::max(static_cast<double>(std::gcd(apart, way)), kLine);
  };
  if (keeps(kFirstWay, kFirstWays)) return 0;
  return access.is_store ? kLostStore : keeps(kSecondWay, kSecondWays) ? kLost : kLostTwice;
}

std::vector<double> KernelCost::store_strides() const {
  std::vector<double> strides(kernel_.rows.size());
  auto store = std::find_if(accesses_.begin(), accesses_.end(),
                            [](const Access& access) { return access.is_store; });
  if (store == accesses_.end()) return strides;
  for (std::size_t axis = 0; axis < strides.size(); ++axis)
    for (std::size_t i = 0; i < store->indices.size(); ++i)
      strides[axis] += store->indices[i].coefficients[axis] * strides_[store->parameter][i];
  return strides;
}

TileAxes KernelCost::given() const {
  if (kernel_.rows.empty()) return {};
  auto last = static_cast<std::uint32_t>(kernel_.rows.size() - 1);
  std::uint32_t first = first_joined(last);
  return {first == 0 ? last : first - 1, last};
}

std::uint32_t KernelCost::first_joined(std::uint32_t axis) const {
  if (axis >= kernel_.rows.size()) return axis;
  while (axis > 0 && joins(axis - 1, axis)) --axis;
  return axis;
}

TileAxes KernelCost::best() const {
  TileAxes best = given();
  if (kind_ == Kind::fixed || (!window_ && !is_moved())) return best;
  const TileAxes as_given = best;
  double least = of_point(best) / kMargin;
  for (std::uint32_t axis = as_given.axis + 1; axis-- > 0;) {
    // A symbol may be 1 when the program is called; and the place of several axes that are one is
    // given.
    if (axis != as_given.axis && !kernel_.rows[axis].is_constant()) continue;
    for (std::uint32_t row = as_given.axis + 1; row-- > 0;) {
      if ((row >= first_joined(axis) && row <= axis) || TileAxes{row, axis} == as_given) continue;
      if (row < as_given.row && !kernel_.rows[row].is_constant()) continue;
      double cost = of_point({row, axis});
      if (cost >= least) continue;
      least = cost;
      best = {row, axis};
    }
  }
  return best;
}

// Whether all that a fold reads lies along an axis, of which whole vectors are read: along another
// one it would have to be copied, and nothing would be read less often.
bool KernelCost::lies_along(std::uint32_t axis) const {
  if (kind_ != Kind::fold || extents_[axis] < kEnoughColumns) return false;
  return std::ranges::all_of(accesses_, [&](const Access& access) {
    if (!access.in_fold) return true;
    double stride = 0;
    for (std::size_t i = 0; i < access.indices.size(); ++i) {
      if ((access.indices[i].other & bit(axis)) != 0) return false;
      stride += access.indices[i].coefficients[axis] * strides_[access.parameter][i];
    }
    return stride >= 1 && stride <= static_cast<double>(kNearStride);
  });
}

double KernelCost::of_point(const TileAxes& axes) const {
  if (extents_.empty()) return 0;
  TileAxes used = axes;
  if (kind_ == Kind::fixed) used.axis = vector_axis_;
  // Rows share something that is read along the vectors, or there is no tile.
  bool tiled = used.row != used.axis &&
               std::any_of(accesses_.begin(), accesses_.end(), [&](const Access& access) {
                 return access.in_fold && (axes_of(access) & bit(used.row)) == 0 &&
                        (axes_of(access) & bit(used.axis)) != 0;
               });
  double rows = tiled ? std::clamp(extents_[used.row], 1.0, kRows) : 1;
  const double part = part_of_steps(used);
  double cost = steps_ * part;
  for (const Access& access : accesses_)
    cost += access_cost(access, used, rows) * (access.in_fold ? part : 1);
  return cost / lanes_along(used.axis);
}

// Elements of a vector that are of use.
double KernelCost::lanes_along(std::uint32_t axis) const {
  double extent = extents_[axis];
  for (std::uint32_t outer = first_joined(axis); outer < axis; ++outer) extent *= extents_[outer];
  return std::max(extent, 1.0) / std::ceil(std::max(extent, 1.0) / kLanes);
}

// Whether all accesses walk through two row axes in one stride.
bool KernelCost::joins(std::uint32_t outer, std::uint32_t inner) const {
  if (inner >= kernel_.rows.size()) return false;
  for (const Access& access : accesses_) {
    if ((access.guard & (bit(outer) | bit(inner))) != 0) return false;
    double of_outer = 0, of_inner = 0;
    for (std::size_t i = 0; i < access.indices.size(); ++i) {
      const Index& index = access.indices[i];
      if ((index.other & (bit(outer) | bit(inner))) != 0) return false;
      of_outer += index.coefficients[outer] * strides_[access.parameter][i];
      of_inner += index.coefficients[inner] * strides_[access.parameter][i];
    }
    if (of_outer != of_inner * extents_[inner]) return false;
  }
  return true;
}

// What a map loads apart, and what it alone stores behind a fold, which is then left to a map: all
// of a line at once.
bool KernelCost::is_in_squares(const Access& access, std::uint32_t axis) const {
  if (!access.is_store) return kind_ == Kind::maps;
  return parts_results_ && extents_[axis] >= kLanes &&
         std::ranges::count(accesses_, true, &Access::is_store) == 1;
}

std::uint64_t KernelCost::axes_of(const Access& access) {
  std::uint64_t axes = 0;
  for (const Index& index : access.indices) axes |= index.all;
  return axes;
}

double KernelCost::access_cost(const Access& access, const TileAxes& axes, double rows) const {
  double guard = 0;
  if (access.guarded) {
    bool shared = (access.guard & bit(axes.row)) == 0;
    guard = access.guard_times * ((access.guard & bit(axes.axis)) != 0 ? kMask : kGuard) /
            (shared ? rows : 1);
  }
  double stride = 0, of_step = 0, of_row = 0;
  bool plain = access.may_copy, shared = access.in_fold, computed = false;
  std::size_t along = 0, across = 0;  // dimensions that are the vectors' axis, or depend on it
  const Shape& shape = kernel_.parameters[access.parameter].type.shape;
  for (std::size_t i = 0; i < access.indices.size(); ++i) {
    if (shape[i] == Dim(1)) continue;
    const Index& index = access.indices[i];
    plain = plain && index.is_axis;
    if ((index.all & bit(axes.axis)) != 0) ++(index.is_axis ? along : across);
    shared = shared && (index.all & bit(axes.row)) == 0;
    stride += index.coefficients[axes.axis] * strides_[access.parameter][i];
    of_row += index.coefficients[axes.row] * strides_[access.parameter][i];
    if (access.in_fold) of_step += index.coefficients[step_axis_] * strides_[access.parameter][i];
    computed = computed || (index.other & bit(axes.axis)) != 0;
  }
  double part = shared ? 1 / rows : 1;
  double vectors =
      access.in_fold
          ? kVectors * std::clamp(std::ceil(extents_[axes.axis] / lanes_), 1.0, most_vectors_) /
                most_vectors_
          : 1;
  double spread = kSpread / vectors;
  if (spreads_by_itself_ && !plain && std::fmod(extents_[axes.axis], lanes_) == 0)
    spread = std::min(spread, std::max(kSpreadByItself / vectors, kSpread / most_vectors_));
  // Neighbours that are close together are picked from as many vectors as they are apart.
  const bool is_near = stride >= 2 && stride <= static_cast<double>(kNearStride);
  const bool interleaves = access.is_store && is_near && of_row == 1 &&
                           extents_[axes.row] == stride && steps_ > 0 &&
                           steps_ <= static_cast<double>(kWrittenOutSteps);
  // A copy that is made for the kernel has the steps side by side.
  const double apart = of_step < kPage || access.is_copied ? 1 : kApart;
  const bool turns = access.may_turn && along == 1 && across == 0;
  const double lost = cost_of_lost_line(access, axes, stride, rows > 1);
  double each = computed ? kLanes * (1 + lost)
                : turns  ? part
                : stride == 0
                    ? (spread * (of_step < kLanes ? 1 : kFar * apart) + lost / vectors) * part
                : plain                       ? part
                : stride == 1                 ? part * (of_step < kPage ? 1 : kApartVector)
                : interleaves                 ? kInterleaved
                : is_near && !access.is_store ? (stride + 1) * part
                : access.is_store && kind_ == Kind::maps ? kLanes * (1 + lost) + kScattered
                                                         : kLanes * (1 + lost);
  return guard + access.times * each;
}

}  // namespace weir
