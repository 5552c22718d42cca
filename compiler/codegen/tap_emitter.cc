// The part of the kernel emitter that loads what the taps of a window have in common. Windows a few
// elements apart, with a vector of windows in its lanes: each tap reads every stride-th element, and
// all of them together a run of neighbours. One by one, each would load the run's whole vectors for
// the elements that it picks; together they are loaded once.

#include <algorithm>
#include <numeric>

#include "compiler/codegen/kernel_emitter.h"
#include "ir/scalar/affine.h"

namespace weir {

using scalar::Id;
using scalar::Primitive;

namespace {

// Whether elements at neighbouring points of the axis are neighbours.
bool goes_by_one(const scalar::Arena& arena, const Access& access, std::uint32_t axis) {
  for (const auto& [atom, coefficient] : scalar::decompose(arena, access.offset).terms)
    if (arena[atom].primitive == Primitive::axis && arena[atom].payload == axis)
      return coefficient == Dim(1);
  return false;
}

// The lanes of a mask that is known ahead; all of them without one.
std::optional<std::vector<bool>> known_lanes(llvm::Value* mask, int width) {
  std::vector<bool> lanes(static_cast<std::size_t>(width), true);
  if (mask == nullptr) return lanes;
  auto* constant = llvm::dyn_cast<llvm::Constant>(mask);
  for (int lane = 0; constant && lane < width; ++lane) {
    llvm::Constant* one = mask->getType()->isVectorTy()
                              ? constant->getAggregateElement(static_cast<unsigned>(lane))
                              : constant;
    if (one == nullptr || !llvm::isa<llvm::ConstantInt>(one)) return std::nullopt;
    lanes[static_cast<std::size_t>(lane)] = one->isOneValue();
  }
  return constant ? std::optional(lanes) : std::nullopt;
}

}  // namespace

// Which elements of a run the taps touch, counted from the first tap's in the first lane; nothing
// if that is not known ahead, or if an element is one tap's and another tap's frame.
std::optional<std::vector<bool>> KernelEmitter::touched_by_taps(
    const Access& access, const Lanes& lanes, std::int64_t taps,
    const std::function<LoadGuard(std::int64_t tap)>& guard_at) {
  const std::int64_t stride = access.stride.value();
  const auto count = static_cast<std::size_t>(stride * (lanes.width - 1) + taps);
  std::vector<bool> touched(count), left_out(count);
  const std::optional<std::vector<bool>> here = known_lanes(lanes.mask, lanes.width);
  if (!here) return std::nullopt;
  for (std::int64_t tap = 0; tap < taps; ++tap) {
    const LoadGuard guard = guard_at(tap);
    const std::optional<std::vector<bool>> holds = known_lanes(guard.of_each, lanes.width);
    if (guard.of_all || !holds || (guard.of_each && !guard.zero_otherwise)) return std::nullopt;
    for (int lane = 0; lane < lanes.width; ++lane) {
      const auto i = static_cast<std::size_t>(lane);
      if ((*here)[i])
        ((*holds)[i] ? touched : left_out)[static_cast<std::size_t>(stride * lane + tap)] = true;
    }
  }
  for (std::size_t i = 0; i < count; ++i)
    if (touched[i] && left_out[i]) return std::nullopt;
  return touched;
}

// What a load gives at each point of an axis of the window, if vectors of it are picked from a run
// that all of these points have in common; nothing otherwise.
std::vector<KernelEmitter::Values> KernelEmitter::load_taps(Id id, const Lanes& lanes,
                                                            std::uint32_t axis) {
  const Access& access = schedule_.loads.at(id.index);
  if (lanes.width == 1 || rows_ > 1 || !is_near(access) || loaded_type(id) == DType::boolean ||
      values_.contains(stay_key(id)) || !goes_by_one(kernel_.arena, access, axis) ||
      kernel_.arena.axis_extent(axis).value() < access.stride.value())
    return {};
  std::vector<Values> loaded(static_cast<std::size_t>(kernel_.arena.axis_extent(axis).value()));
  llvm::Value* const point = axes_.at(axis);
  for (int slot = 0; slot < lanes.slots; ++slot) {
    const std::optional<std::vector<bool>> touched =
        touched_by_taps(access, lanes, std::ssize(loaded), [&](std::int64_t tap) {
          Scope scope(*this);
          axes_[axis] = i64(tap);
          return guard_of(id, access, lanes, slot, 0);
        });
    const bool needs_mask = touched && std::ranges::find(*touched, false) != touched->end();
    if (!touched || (needs_mask && !masks_)) {
      loaded.clear();
      break;
    }
    Scope scope(*this);
    axes_[axis] = i64(0);
    const Run run = load_run(loaded_type(id), lanes.width,
                             element_address(id, access, lanes, slot, 0), *touched, needs_mask);
    const Values picked = pick_taps(run, access.stride.value(), std::ssize(loaded));
    for (std::size_t tap = 0; tap < loaded.size(); ++tap) loaded[tap].push_back(picked[tap]);
  }
  axes_[axis] = point;
  return loaded;
}

// The same where the taps are rows of a tile, those of its innermost axis: what the load gives for
// each row, or nothing.
KernelEmitter::Values KernelEmitter::load_taps_of_rows(Id id, const Lanes& lanes) {
  const Access& access = schedule_.loads.at(id.index);
  const LoopAxis& axis = schedule_.rows.back();
  if (!schedule_.slides || rows_ != schedule_.rows_at_once || lanes.width == 1 ||
      lanes.slots != 1 || !is_near(access) || loaded_type(id) == DType::boolean ||
      values_.contains(stay_key(id)) || !goes_by_one(kernel_.arena, access, axis.number) ||
      axis.extent.value() < access.stride.value())
    return {};
  const auto taps = static_cast<int>(axis.extent.value());
  Values loaded;
  for (int first = 0; first < rows_; first += taps) {
    const std::optional<std::vector<bool>> touched =
        touched_by_taps(access, lanes, taps, [&](std::int64_t tap) {
          return guard_of(id, access, lanes, 0, first + static_cast<int>(tap));
        });
    const bool needs_mask = touched && std::ranges::find(*touched, false) != touched->end();
    if (!touched || (needs_mask && !masks_)) return {};
    const Run run = load_run(loaded_type(id), lanes.width,
                             element_address(id, access, lanes, 0, first), *touched, needs_mask);
    for (llvm::Value* picked : pick_taps(run, access.stride.value(), taps))
      loaded.push_back(picked);
  }
  return loaded;
}

// What each of so many taps picks from the run of all of them.
KernelEmitter::Values KernelEmitter::pick_taps(const Run& run, std::int64_t stride,
                                               std::int64_t taps) {
  Values picked;
  for (std::int64_t tap = 0; tap < taps; ++tap)
    picked.push_back(
        pick_tap(run, static_cast<int>(stride), static_cast<int>(tap),
                 tap < stride ? nullptr : picked[static_cast<std::size_t>(tap - stride)]));
  return picked;
}

// Whole vectors, the last of which ends with the run, and zeros where it is not touched.
KernelEmitter::Run KernelEmitter::load_run(DType dtype, int width, llvm::Value* where,
                                           const std::vector<bool>& touched, bool needs_mask) {
  llvm::Type *element = memory_type(dtype, 1), *type = memory_type(dtype, width);
  const llvm::Align align(static_cast<std::uint64_t>(byte_size(dtype)));
  const auto count = static_cast<int>(touched.size());
  Run run{width, {}, {}};
  for (int begin = 0; begin < count; begin += width) {
    const int first = std::min(begin, count - width);
    llvm::Value* from = b_.CreateConstGEP1_64(element, where, static_cast<std::uint64_t>(first));
    std::vector<llvm::Constant*> mask;
    for (int i = first; i < first + width; ++i)
      mask.push_back(b_.getInt1(touched[static_cast<std::size_t>(i)]));
    run.begins.push_back(first);
    run.vectors.push_back(
        needs_mask ? b_.CreateMaskedLoad(type, from, align, llvm::ConstantVector::get(mask),
                                         llvm::Constant::getNullValue(type))
                   : static_cast<llvm::Value*>(b_.CreateAlignedLoad(type, from, align)));
  }
  return run;
}

// Every stride-th element of a run from the tap on. But for its last lane that is what the tap a
// stride earlier picked, a lane later.
llvm::Value* KernelEmitter::pick_tap(const Run& run, int stride, int tap, llvm::Value* earlier) {
  constexpr int kNone = -1;
  const int last = stride * (run.width - 1) + tap;
  if (earlier != nullptr) {
    std::vector<int> order(static_cast<std::size_t>(run.width));
    std::iota(order.begin(), order.end(), 1);
    // Of more taps than lanes it need not be in the last vector.
    std::size_t holder = run.vectors.size() - 1;
    while (run.begins[holder] > last) --holder;
    order.back() = run.width + last - run.begins[holder];
    return b_.CreateShuffleVector(earlier, run.vectors[holder], order);
  }
  llvm::Value* picked = run.vectors[0];
  for (std::size_t i = 1; i < run.vectors.size() && last >= static_cast<int>(i) * run.width; ++i) {
    std::vector<int> order;
    for (int lane = 0; lane < run.width; ++lane) {
      const int at = stride * lane + tap, here = at - run.begins[i];
      if (at < static_cast<int>(i) * run.width)
        order.push_back(i == 1 ? at : lane);
      else
        order.push_back(here < run.width ? run.width + here : kNone);
    }
    picked = b_.CreateShuffleVector(picked, run.vectors[i], order);
  }
  return picked;
}

}  // namespace weir
