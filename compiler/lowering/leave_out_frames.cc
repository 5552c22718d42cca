#include "compiler/lowering/leave_out_frames.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "compiler/lowering/reads_axis.h"
#include "ir/scalar/affine.h"

namespace weir {
namespace {

using scalar::Affine;
using scalar::Arena;
using scalar::Id;
using scalar::Primitive;

// The part of the steps that a side of the frame has, at least, to be worth asking for it.
constexpr double kLeastPart = 1.0 / 64;
// Steps that are taken together, at least.
constexpr std::int64_t kLeastSteps = 32;
// Points of a row and of a window that are counted one by one.
constexpr std::int64_t kMostPoints = 4096;

// Whether a step adds the product of both elements.
bool adds_product(const Arena& arena, const Fold& fold) {
  auto is_argument = [&](Id id, std::uint64_t number) {
    return arena[id].primitive == Primitive::argument && arena[id].payload == number;
  };
  if (fold.step.size() != 1 || fold.elements.size() != 2) return false;
  const Id step = fold.step[0];
  return arena[step].primitive == Primitive::fma && is_argument(arena.operand(step, 0), 1) &&
         is_argument(arena.operand(step, 1), 2) && is_argument(arena.operand(step, 2), 0);
}

// The part of an axis' points and a window's at which an index, a sum of both, is outside of
// begin ... end - 1; 0 if it is another sum, or one of too many points.
double part_outside(const Arena& arena, const Affine& index, std::int64_t begin, std::int64_t end) {
  if (index.terms.size() != 2 || !index.constant.is_constant()) return 0;
  std::array<std::int64_t, 2> extents{}, strides{};
  for (std::size_t i = 0; i < 2; ++i) {
    const auto& [atom, stride] = index.terms[i];
    if (arena[atom].primitive != Primitive::axis || !stride.is_constant()) return 0;
    extents[i] = arena.axis_extent(arena[atom].payload).constant().value_or(kMostPoints + 1);
    strides[i] = stride.value();
    if (extents[i] > kMostPoints) return 0;
  }
  if (extents[0] * extents[1] > kMostPoints) return 0;
  std::int64_t outside = 0;
  for (std::int64_t i = 0; i < extents[0]; ++i) {
    for (std::int64_t k = 0; k < extents[1]; ++k) {
      const std::int64_t at = index.constant.value() + i * strides[0] + k * strides[1];
      outside += at < begin || at >= end;
    }
  }
  return static_cast<double>(outside) / static_cast<double>(extents[0] * extents[1]);
}

class FrameLeaver {
 public:
  FrameLeaver(BuiltKernel& built, std::vector<PackedCopy>& copies,
              const std::function<bool(ValueId)>& is_weight)
      : built_(built), copies_(copies), is_weight_(is_weight) {}

  void run() {
    for (Stage& stage : kernel().stages)
      if (stage.fold) leave_out(stage);
    kernel().locations.resize(arena().size());
  }

 private:
  Kernel& kernel() { return built_.kernel; }
  Arena& arena() { return built_.kernel.arena; }

  void leave_out(Stage& stage) {
    Fold& fold = *stage.fold;
    if (fold.order != Reduction::Order::chain || stage.digits.size() < 2 ||
        !adds_product(arena(), fold) || kernel().rows.empty())
      return;
    const std::uint32_t channel = stage.digits.back();
    const std::int64_t channels = arena().axis_extent(channel).constant().value_or(0);
    const std::optional<std::int64_t> steps = arena().axis_extent(*stage.axis).constant();
    // Those of a tap are all in one chunk.
    if (channels < kLeastSteps ||
        (fold.chunk % channels != 0 && steps.value_or(fold.chunk + 1) > fold.chunk))
      return;
    for (const std::size_t image : {std::size_t{0}, std::size_t{1}}) {
      const std::optional<Id> inside = inside_frame(fold.elements[image], channel);
      if (!inside) continue;
      if (const std::optional<Id> sum = sum_of(fold.elements[1 - image], channel, channels))
        fold.frame = FrameSteps{*inside, *sum};
      return;
    }
  }

  const PackedCopy* copy_of(Id load) const {
    const Arena& arena = built_.kernel.arena;
    if (arena[load].primitive != Primitive::load || arena[load].type != DType::f32) return nullptr;
    const auto copy = std::ranges::find_if(copies_, [&](const PackedCopy& one) {
      return one.parameter == arena[load].payload && one.type.dtype == DType::f32;
    });
    return copy == copies_.end() ? nullptr : &*copy;
  }

  // Where a load reads within the frame of its copy, as far as its channels and columns do not
  // decide it.
  std::optional<Id> inside_frame(Id load, std::uint32_t channel) {
    const PackedCopy* copy = copy_of(load);
    if (copy == nullptr || copy->low.empty() || copy->panel != 0) return std::nullopt;
    const std::vector<Id> indices(arena().load_indices(load).begin(),
                                  arena().load_indices(load).end());
    std::optional<Id> inside;
    auto ask = [&](Primitive comparison, Id left, Id right) {
      const Id holds = arena().make(comparison, {left, right});
      inside = inside ? arena().make(Primitive::bit_and, {*inside, holds}) : holds;
    };
    for (std::size_t i = 0; i < copy->low.size(); ++i) {
      const std::optional<std::int64_t> extent = copy->type.shape[i].constant();
      if (!extent || copy->low[i] + copy->high[i] == 0 ||
          reads_axis(arena(), indices[i], channel) ||
          reads_axis(arena(), indices[i], static_cast<std::uint32_t>(kernel().rows.size() - 1)))
        continue;
      const std::int64_t begin = copy->low[i], end = *extent - copy->high[i];
      if (part_outside(arena(), scalar::decompose(arena(), indices[i]), begin, end) < kLeastPart)
        continue;
      if (begin > 0) ask(Primitive::le, arena().index(begin), indices[i]);
      if (copy->high[i] > 0) ask(Primitive::lt, indices[i], arena().index(end));
    }
    return inside;
  }

  // What a tap's filters, which a load reads, make of zeros.
  std::optional<Id> sum_of(Id load, std::uint32_t channel, std::int64_t channels) {
    const PackedCopy* filters = copy_of(load);
    if (filters == nullptr || !filters->low.empty() || !is_weight_(filters->source))
      return std::nullopt;
    std::vector<Id> indices(arena().load_indices(load).begin(), arena().load_indices(load).end());
    const auto along = std::ranges::find_if(
        indices, [&](Id index) { return reads_axis(arena(), index, channel); });
    const std::size_t first = filters->panel == 0 ? 0 : 1;  // of the source's dimensions
    const auto dimension = static_cast<std::size_t>(along - indices.begin());
    if (along == indices.end() || dimension < first || dimension + 1 == indices.size() ||
        arena()[*along].primitive != Primitive::axis ||
        filters->type.shape[dimension] != Dim(channels) ||
        std::count_if(
            indices.begin(), indices.end(),
            [&](Id index) { return reads_axis(arena(), index, channel); }) != 1)
      return std::nullopt;
    PackedCopy sums = *filters;
    sums.parameter = static_cast<std::uint32_t>(kernel().parameters.size());
    sums.times_zero = sums.order[dimension - first];
    sums.order.erase(sums.order.begin() + static_cast<std::ptrdiff_t>(dimension - first));
    sums.type.shape.erase(sums.type.shape.begin() + static_cast<std::ptrdiff_t>(dimension));
    indices.erase(along);
    std::string name = built_.kernel.parameters[filters->parameter].name;
    if (!name.empty()) name += "_times_zero";
    kernel().parameters.push_back({std::move(name), sums.type});
    built_.values.resize(kernel().parameters.size());
    const Id sum = arena().load(sums.parameter, sums.type.dtype, indices);
    copies_.push_back(std::move(sums));
    return sum;
  }

  BuiltKernel& built_;
  std::vector<PackedCopy>& copies_;
  const std::function<bool(ValueId)>& is_weight_;
};

}  // namespace

void leave_out_frames(BuiltKernel& built, std::vector<PackedCopy>& copies,
                      const std::function<bool(ValueId)>& is_weight) {
  FrameLeaver(built, copies, is_weight).run();
}

}  // namespace weir
