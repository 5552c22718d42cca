// Cotangents on their way backwards, and the zeros that are put into them last.
//
// Some pointwise gradients are zero for a part of the elements, whatever the cotangent is: those of
// select, relu, clip, maximum. Where a gradient further back is infinite or NaN, as that of sqrt at
// 0, zero times it is NaN, although the element has no share in the result. So a gradient that can
// be zero is not applied where it stands. It becomes a mask that travels beside the value through
// pointwise gradients and movement, and is applied where such a chain ends. Pointwise gradients
// scale each element on its own, so the order in which they are applied is free; applied last, the
// mask makes zero of whatever became of the elements that it is zero for. Those it lets pass are
// exactly what they would be without it: no NaN is hidden.
//
// Where contributions under several masks are added, all that is known of the sum is that it is
// zero where each of them is, so it masks itself: zero where the sum is. The same holds for a sum
// over axes that a mask varies along.
#pragma once

#include <cstdint>
#include <map>
#include <tuple>
#include <utility>
#include <vector>

#include "ir/builder.h"
#include "ir/op.h"

namespace weir {

struct Mask {
  // What it is the gradient of: a value of the graph and the number of the operand. Masks of one
  // value with the same id are the same.
  using Id = std::pair<std::uint32_t, std::size_t>;
  static constexpr std::size_t kSum = SIZE_MAX;

  Id id;
  // An op that takes the value as operand number `hole`; for a sum that masks itself, the sum
  // alone.
  const OpDef* op = nullptr;
  Attributes attributes = {};
  std::vector<Var> operands = {};
  std::size_t hole = 0;
  bool selects = false;  // the op chooses between the value and zero
  Location location = {};

  bool is_sum() const { return op == nullptr; }
};

// The value with its masks applied, in any order, is the cotangent. Masks stand in order of their
// ids and broadcast to the value's shape.
struct Cotangent {
  Var value;
  std::vector<Mask> masks;

  bool valid() const { return value.valid(); }
};

// Cotangents in one graph under construction.
class Cotangents {
 public:
  explicit Cotangents(GraphBuilder& builder) : builder_(builder) {}

  // The cotangent as one value. The same nodes serve however often it is asked for.
  Var applied(const Cotangent& cotangent);
  // A cotangent with one mask more.
  static Cotangent masked(Cotangent cotangent, Mask mask);
  Cotangent sum(std::vector<Cotangent> parts);
  // The sum over what was broadcast to the cotangent's shape from `shape`.
  Cotangent sum_to(Cotangent cotangent, const Shape& shape);

 private:
  Var apply(const Mask& mask, Var value);
  Cotangent masked_by_itself(Cotangent sum);
  // Two parts of one select, joined: select(c, a, 0) + select(c, 0, b) is select(c, a, b).
  bool join(Cotangent& a, const Cotangent& b);

  GraphBuilder& builder_;
  std::map<std::tuple<std::uint32_t, Mask::Id>, Var> applied_;  // by value and mask
};

}  // namespace weir
