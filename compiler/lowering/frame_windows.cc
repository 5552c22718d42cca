#include "compiler/lowering/frame_windows.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "compiler/lowering/elements.h"
#include "compiler/lowering/estimated_size.h"
#include "compiler/lowering/reads_axis.h"
#include "ir/scalar/affine.h"

namespace weir {
namespace {

using scalar::Affine;
using scalar::Arena;
using scalar::Id;
using scalar::Primitive;

// Where the guards change along the innermost loop of a fold, that is cut instead (step_emitter.cc)
// if it has so many steps. Cutting a short one costs as much as its steps.
constexpr double kLongLoop = 64;

// How far a load's indices reach beyond its parameter.
struct Frame {
  std::vector<std::int64_t> low, high;

  bool is_empty() const {
    auto is_zero = [](std::int64_t zeros) { return zeros == 0; };
    return std::ranges::all_of(low, is_zero) && std::ranges::all_of(high, is_zero);
  }
  friend bool operator==(const Frame&, const Frame&) = default;
};

std::vector<Id> parts_of(const Arena& arena, Id condition) {
  std::vector<Id> parts, open{condition};
  while (!open.empty()) {
    Id id = open.back();
    open.pop_back();
    if (arena[id].primitive == Primitive::bit_and)
      for (Id operand : arena.operands(id)) open.push_back(operand);
    else
      parts.push_back(id);
  }
  return parts;
}

// An index as a sum, the same for all ways in which it may be written.
Affine canonical(Arena& arena, Id index) {
  return scalar::decompose(arena, scalar::simplify_index(arena, index));
}

// What is less than 0 where a comparison of indices holds.
std::optional<Affine> negative_where(Arena& arena, Id comparison) {
  const Primitive primitive = arena[comparison].primitive;
  if (primitive != Primitive::lt && primitive != Primitive::le) return std::nullopt;
  Id low = arena.operand(comparison, 0), high = arena.operand(comparison, 1);
  if (arena[low].type != DType::i64) return std::nullopt;
  Affine difference = canonical(arena, low) - canonical(arena, high);
  if (primitive == Primitive::le) difference.constant = difference.constant - Dim(1);
  return difference;
}

// The least and the greatest value of a sum of axes and quotients of such sums, where it is known.
std::optional<std::pair<Dim, Dim>> range_of(const Arena& arena, const Affine& index) {
  Dim low = index.constant, high = index.constant;
  for (const auto& [atom, coefficient] : index.terms) {
    if (!coefficient.is_constant()) return std::nullopt;
    std::pair<Dim, Dim> own{0, 0};
    if (arena[atom].primitive == Primitive::axis) {
      own.second = arena.axis_extent(arena[atom].payload) - Dim(1);
    } else if (arena[atom].primitive == Primitive::floor_div) {
      const Affine divisor = scalar::decompose(arena, arena.operand(atom, 1));
      auto dividend = range_of(arena, scalar::decompose(arena, arena.operand(atom, 0)));
      if (!dividend || !divisor.is_constant() || !divisor.constant.is_constant() ||
          !dividend->first.is_constant() || !dividend->second.is_constant())
        return std::nullopt;
      auto quotient = [&](const Dim& dim) {
        const std::int64_t by = divisor.constant.value(), value = dim.value();
        return Dim(value / by - (value % by < 0 ? 1 : 0));
      };
      own = {quotient(dividend->first), quotient(dividend->second)};
    } else {
      return std::nullopt;
    }
    if (coefficient.value() < 0) std::swap(own.first, own.second);
    low = low + own.first * coefficient;
    high = high + own.second * coefficient;
  }
  return std::pair(low, high);
}

// The frame with which a load needs no guard, if that asks for nothing but indices within the
// parameter, and for what `known` says: steps at which that does not hold change nothing.
std::optional<Frame> frame_of(const Kernel& kernel, Id load, const std::vector<Id>& known) {
  Arena arena = kernel.arena;
  const Shape& shape = kernel.parameters[arena[load].payload].type.shape;
  std::vector<Affine> indices;
  for (std::size_t i = 0; i < shape.size(); ++i)
    indices.push_back(canonical(arena, kernel.arena.load_indices(load)[i]));
  Frame frame{std::vector<std::int64_t>(shape.size()), std::vector<std::int64_t>(shape.size())};
  for (Id part : parts_of(arena, arena.operand(load, 0))) {
    if (std::find(known.begin(), known.end(), part) != known.end()) continue;
    std::optional<Affine> negative = negative_where(arena, part);
    bool found = false;
    for (std::size_t i = 0; negative && !found && i < shape.size(); ++i) {
      Affine below, above = indices[i];  // both are negative within the parameter
      below.constant = Dim(-1);
      below = below - indices[i];
      above.constant = above.constant - shape[i];
      if (*negative != below && *negative != above) continue;
      const auto range = range_of(arena, indices[i]);
      if (!range) return std::nullopt;
      std::optional<std::int64_t> beyond = *negative == below
                                               ? (Dim(0) - range->first).constant()
                                               : (range->second + Dim(1) - shape[i]).constant();
      if (!beyond) return std::nullopt;
      std::int64_t& own = *negative == below ? frame.low[i] : frame.high[i];
      own = std::max(own, *beyond);
      found = true;
    }
    if (!found) return std::nullopt;
  }
  return frame;
}

// Whether some of these conditions may be what keeps indices within their parameters.
bool limits_indices(const Kernel& kernel, const std::vector<Id>& conditions) {
  Arena arena = kernel.arena;
  return std::ranges::any_of(conditions,
                             [&](Id part) { return negative_where(arena, part).has_value(); });
}

bool is_zero(const Arena& arena, Id id) {
  return arena.is_constant(id) && arena.bits(id).value == 0;
}

}  // namespace

std::vector<FramedWindow> frame_windows(
    Kernel& kernel, const std::function<bool(std::uint32_t parameter)>& may_copy, double reads) {
  std::vector<FramedWindow> framed;
  const Arena& arena = kernel.arena;
  struct Framed {
    Id load;
    Frame frame;
    std::uint32_t parameter;
  };
  std::vector<Framed> loads;
  for (const Stage& stage : kernel.stages) {
    if (!stage.fold || stage.fold->order != Reduction::Order::chain || stage.digits.empty())
      continue;
    const bool is_long = estimated_size(arena.axis_extent(stage.digits.back())) >= kLongLoop;
    std::vector<Id> known;
    if (std::optional<Id> condition = step_condition(kernel, *stage.fold))
      known = parts_of(arena, *condition);
    for (Id id : scalar::reachable(arena, stage.fold->elements)) {
      const scalar::Node& node = arena[id];
      if (node.primitive != Primitive::load_if || !is_zero(arena, arena.operand(id, 1)) ||
          kernel.parameters[node.payload].written ||
          (reads_axis(arena, arena.operand(id, 0), stage.digits.back()) && is_long))
        continue;
      const auto source = static_cast<std::uint32_t>(node.payload);
      std::optional<Frame> frame = frame_of(kernel, id, known);
      if (!frame) continue;
      // Windows that never reach beyond the image, as where the border is cut off, only lose their
      // guards.
      if (frame->is_empty() && !limits_indices(kernel, known)) {
        loads.push_back({id, std::move(*frame), source});
        continue;
      }
      if (!may_copy(source)) continue;
      KernelParameter own = kernel.parameters[source];
      for (std::size_t i = 0; i < own.type.shape.size(); ++i)
        own.type.shape[i] = own.type.shape[i] + Dim(frame->low[i] + frame->high[i]);
      if (reads_of_each(kernel, stage, own.type.shape) < reads) continue;
      auto same = std::find_if(loads.begin(), loads.end(), [&](const Framed& other) {
        return arena[other.load].payload == source && other.frame == *frame;
      });
      auto parameter = static_cast<std::uint32_t>(kernel.parameters.size());
      if (same != loads.end()) {
        parameter = same->parameter;
      } else {
        if (!own.name.empty()) own.name += "_framed";
        kernel.parameters.push_back(std::move(own));
        framed.push_back({source, parameter, frame->low});
      }
      loads.push_back({id, std::move(*frame), parameter});
    }
  }
  if (loads.empty()) return framed;
  std::vector<Id> memo;
  rewrite(kernel, [&](const Arena& from, Id id, Arena& into) -> Id {
    auto found = std::find_if(loads.begin(), loads.end(),
                              [&](const Framed& load) { return load.load == id; });
    if (found == loads.end()) return {};
    std::vector<Id> indices;
    for (std::size_t i = 0; i < found->frame.low.size(); ++i) {
      Id index =
          scalar::rebuild(from, from.load_indices(id)[i], into, memo, [](Id) { return Id(); });
      if (found->frame.low[i] != 0)
        index = scalar::simplify_index(
            into, into.make(Primitive::add, {index, into.index(found->frame.low[i])}));
      indices.push_back(index);
    }
    return into.load(found->parameter, from[id].type, indices);
  });
  return framed;
}

void put_outer_steps_first(const Arena& arena, const Stage& stage, std::span<const Id> indices,
                           std::vector<std::uint32_t>& order) {
  const std::span<const std::uint32_t> digits = stage.digits;
  if (digits.size() < 2) return;
  auto is_outer = [&](std::uint32_t dimension) {
    const scalar::Node& node = arena[indices[dimension]];
    return node.primitive == Primitive::axis && node.payload == digits.front();
  };
  auto is_within = [&](std::uint32_t dimension) {
    return std::ranges::any_of(digits.subspan(1), [&](std::uint32_t digit) {
      return reads_axis(arena, indices[dimension], digit);
    });
  };
  const auto outer = std::find_if(order.begin(), order.end() - 1, is_outer);
  const auto within = std::find_if(order.begin(), outer, is_within);
  if (outer != order.end() - 1 && within != outer) std::rotate(within, outer, outer + 1);
}

std::vector<std::uint32_t> order_of_framed(const Kernel& kernel, std::uint32_t parameter) {
  const Arena& arena = kernel.arena;
  std::vector<std::uint32_t> order;
  const Shape& shape = kernel.parameters[parameter].type.shape;
  for (const Stage& stage : kernel.stages) {
    if (!stage.fold || kernel.rows.empty()) continue;
    for (Id id : scalar::reachable(arena, stage.fold->elements)) {
      if (!scalar::is_load(arena[id].primitive) || arena[id].payload != parameter) continue;
      std::span<const Id> indices = arena.load_indices(id);
      auto along = [&](std::uint32_t axis) {
        return std::find_if(indices.begin(), indices.end(),
                            [&](Id index) { return reads_axis(arena, index, axis); });
      };
      auto inner = along(static_cast<std::uint32_t>(kernel.rows.size() - 1));
      if (inner == indices.end()) inner = along(stage.digits.back());
      if (inner == indices.end()) return order;
      const auto dimension = static_cast<std::uint32_t>(inner - indices.begin());
      if (std::all_of(shape.begin() + dimension + 1, shape.end(),
                      [](const Dim& dim) { return dim == Dim(1); }))
        return order;
      for (std::uint32_t i = 0; i < shape.size(); ++i)
        if (i != dimension) order.push_back(i);
      order.push_back(dimension);
      put_outer_steps_first(arena, stage, indices, order);
      return order;
    }
  }
  return order;
}

}  // namespace weir
