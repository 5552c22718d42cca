#include "compiler/autodiff/cotangent.h"

#include <algorithm>

#include "ir/ops/helpers.h"

namespace weir {
namespace {

bool same_masks(const Cotangent& a, const Cotangent& b) {
  return std::equal(a.masks.begin(), a.masks.end(), b.masks.begin(), b.masks.end(),
                    [](const Mask& x, const Mask& y) { return x.id == y.id; });
}

// Whether the mask is the same along all of these axes of the value.
bool is_uniform(const Mask& mask, std::span<const std::size_t> axes, std::size_t rank) {
  for (std::size_t k = 0; k < mask.operands.size(); ++k) {
    if (k == mask.hole && !mask.is_sum()) continue;
    const Shape& shape = mask.operands[k].shape();
    for (std::size_t axis : axes)
      if (axis + shape.size() >= rank && shape[axis + shape.size() - rank] != Dim(1)) return false;
  }
  return true;
}

}  // namespace

Var Cotangents::apply(const Mask& mask, Var value) {
  // A sum is zero where it is zero already.
  if (mask.is_sum() && mask.operands[0].id() == value.id()) return value;
  Var& result = applied_[{value.id().index, mask.id}];
  if (result.valid()) return result;
  std::optional<Location> pinned = builder_.pinned_location();
  builder_.pin_location(mask.location);
  if (mask.is_sum()) {
    Var zero = builder_.scalar(value.dtype(), 0);
    Var passes = builder_.apply("not_equal", {mask.operands[0], zero});
    result = builder_.apply("select", {passes, value, zero});
  } else {
    std::vector<Var> operands = mask.operands;
    operands[mask.hole] = value;
    result = builder_.apply(*mask.op, std::move(operands), mask.attributes);
  }
  builder_.pin_location(std::move(pinned));
  return result;
}

Var Cotangents::applied(const Cotangent& cotangent) {
  Var value = cotangent.value;
  for (const Mask& mask : cotangent.masks) value = apply(mask, value);
  return value;
}

Cotangent Cotangents::masked(Cotangent cotangent, Mask mask) {
  auto place = std::lower_bound(cotangent.masks.begin(), cotangent.masks.end(), mask.id,
                                [](const Mask& m, Mask::Id id) { return m.id < id; });
  cotangent.masks.insert(place, std::move(mask));
  return cotangent;
}

Cotangent Cotangents::masked_by_itself(Cotangent sum) {
  Var value = sum.value;
  Mask mask{.id = {value.id().index, Mask::kSum},
            .operands = {value},
            .location = builder_.graph().value(value.id()).location};
  return masked(std::move(sum), std::move(mask));
}

bool Cotangents::join(Cotangent& a, const Cotangent& b) {
  if (a.masks.size() != b.masks.size()) return false;
  std::optional<std::size_t> differs;
  for (std::size_t i = 0; i < a.masks.size(); ++i) {
    if (a.masks[i].id == b.masks[i].id) continue;
    if (differs) return false;
    differs = i;
  }
  if (!differs) return false;
  const Mask &x = a.masks[*differs], &y = b.masks[*differs];
  if (!x.selects || !y.selects || x.id.first != y.id.first || x.hole == y.hole) return false;
  std::vector<Var> operands = x.operands;
  operands[x.hole] = a.value;
  operands[y.hole] = b.value;
  a.value = builder_.apply(*x.op, std::move(operands));
  a.masks.erase(a.masks.begin() + static_cast<std::ptrdiff_t>(*differs));
  return true;
}

Cotangent Cotangents::sum(std::vector<Cotangent> parts) {
  if (parts.size() == 1) return std::move(parts.front());
  auto add = [&](Var a, Var b) { return builder_.apply("add", {a, b}); };
  for (bool changed = true; changed;) {
    changed = false;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      for (std::size_t j = i + 1; j < parts.size();) {
        bool same = same_masks(parts[i], parts[j]);
        if (same) parts[i].value = add(parts[i].value, parts[j].value);
        if (!same && !join(parts[i], parts[j])) {
          ++j;
          continue;
        }
        parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(j));
        changed = true;
      }
    }
  }
  if (parts.size() == 1) return std::move(parts.front());
  Var total;
  bool all_masked = true;
  for (const Cotangent& part : parts) {
    Var value = applied(part);
    total = total.valid() ? add(total, value) : value;
    all_masked = all_masked && !part.masks.empty();
  }
  return all_masked ? masked_by_itself({total, {}}) : Cotangent{total, {}};
}

Cotangent Cotangents::sum_to(Cotangent cotangent, const Shape& shape) {
  const Shape from = cotangent.value.shape();
  if (from == shape) return cotangent;
  std::vector<std::size_t> axes;
  std::size_t added = from.size() - shape.size();
  for (std::size_t i = 0; i < from.size(); ++i)
    if (i < added || shape[i - added] != from[i]) axes.push_back(i);
  std::vector<Mask> kept;
  for (Mask& mask : cotangent.masks) {
    if (is_uniform(mask, axes, from.size())) {
      kept.push_back(std::move(mask));
    } else {
      cotangent.value = apply(mask, cotangent.value);
    }
  }
  bool masks_itself = kept.size() < cotangent.masks.size();
  Cotangent result{ops::sum_to(builder_, cotangent.value, shape), {}};
  for (Mask& mask : kept) {
    for (std::size_t k = 0; k < mask.operands.size(); ++k) {
      if (k == mask.hole && !mask.is_sum()) continue;
      const Shape& whole = mask.operands[k].shape();
      if (whole.size() <= shape.size()) continue;
      // What is left out are axes of size 1.
      Shape part(whole.end() - static_cast<std::ptrdiff_t>(shape.size()), whole.end());
      mask.operands[k] = ops::reshape_to(builder_, mask.operands[k], part);
    }
    result = masked(std::move(result), std::move(mask));
  }
  return masks_itself ? masked_by_itself(std::move(result)) : result;
}

}  // namespace weir
