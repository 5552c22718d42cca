#include "compiler/autodiff/waiting_contributions.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "ir/notes.h"
#include "ir/ops/helpers.h"

namespace weir {
namespace {

// Contributions that are added one by one.
constexpr std::size_t kFewContributions = 8;

OpInstance instance_of_node(const Node& node, std::span<const TensorType> types) {
  return {node.op, types, node.attributes};
}

std::optional<AxisRange> part_read(const Graph& graph, const Node& node) {
  if (!node.op->part) return std::nullopt;
  const std::vector<TensorType> types = types_of(graph, node.operands);
  return node.op->part(instance_of_node(node, types));
}

}  // namespace

WaitingContributions::WaitingContributions(const Graph& graph, GraphBuilder& builder)
    : graph_(graph),
      builder_(builder),
      uses_(graph.value_count()),
      part_uses_(graph.value_count()),
      waiting_(graph.value_count()) {
  for (const Node& node : graph.nodes()) {
    for (ValueId operand : node.operands) ++uses_[operand.index];
    if (part_read(graph, node)) ++part_uses_[node.operands[0].index];
  }
}

bool WaitingContributions::keep(const Node& node, std::size_t number, Var cotangent) {
  const ValueId value = node.operands[number];
  if (uses_[value.index] > 1 && part_uses_[value.index] == uses_[value.index]) {
    waiting_[value.index].parts.push_back({&node, *part_read(graph_, node), cotangent});
    return true;
  }
  if (uses_[value.index] <= kFewContributions || !node.op->operand_axis || node.op->takes_images ||
      std::ranges::count(node.operands, value) != 1)
    return false;
  const std::vector<TensorType> types = types_of(graph_, node.operands);
  for (std::size_t axis = 0; axis < cotangent.shape().size(); ++axis) {
    const auto beside = node.op->operand_axis(instance_of_node(node, types), axis);
    if (!beside || beside->operand == number) continue;
    waiting_[value.index].products.push_back({&node, number, *beside, axis, cotangent});
    return true;
  }
  return false;
}

bool WaitingContributions::keep_broadcast(ValueId value, Var cotangent) {
  const TensorType& type = graph_.type(value);
  if (uses_[value.index] <= kFewContributions || cotangent.dtype() != type.dtype ||
      cotangent.shape().size() <= type.shape.size())
    return false;
  waiting_[value.index].broadcasts.push_back(cotangent);
  return true;
}

bool WaitingContributions::any(ValueId value) const {
  const auto& [parts, products, broadcasts] = waiting_[value.index];
  return !parts.empty() || !products.empty() || !broadcasts.empty();
}

std::vector<Var> WaitingContributions::take(ValueId value) {
  auto [parts, products, broadcasts] = std::exchange(waiting_[value.index], {});
  std::vector<Var> taken = parts_of(value, std::move(parts));
  for (const std::vector<Var>& more :
       {products_of(std::move(products)), sums_of(value, broadcasts)})
    taken.insert(taken.end(), more.begin(), more.end());
  return taken;
}

std::vector<Var> WaitingContributions::parts_of(ValueId value, std::vector<Part> parts) {
  const Shape& whole = graph_.type(value).shape;
  auto framed = [&](const Part& part) {
    const std::vector<Var> operands = operands_of(*part.node);
    return by_rule(*part.node, 0, operands, part.cotangent);
  };
  if (parts.empty()) return {};
  std::vector<std::pair<std::int64_t, const Part*>> sorted;  // by their distance from the first one
  for (const Part& part : parts)
    if (const auto from = (part.range.start - parts[0].range.start).constant())
      sorted.emplace_back(*from, &part);
  std::ranges::sort(sorted);
  std::vector<Var> joined;
  Dim end = 0;
  const std::size_t axis = parts[0].range.axis;
  bool is_concat = parts.size() > 1 && sorted.size() == parts.size(), has_gaps = false;
  auto fill_to = [&](const Dim& start) {
    if (start == end) return;
    Shape gap = whole;
    gap[axis] = start - end;
    has_gaps = true;
    joined.push_back(
        ops::broadcast_to(builder_, builder_.scalar(graph_.type(value).dtype, 0), gap));
  };
  for (const auto& [from, part] : sorted) {
    const std::optional<std::int64_t> gap = (part->range.start - end).constant();
    is_concat = is_concat && part->range.axis == axis && gap && *gap >= 0;
    if (!is_concat) break;
    fill_to(part->range.start);
    joined.push_back(part->cotangent);
    end = part->range.limit;
  }
  is_concat = is_concat && (whole[axis] - end).constant().value_or(-1) >= 0;
  if (is_concat) fill_to(whole[axis]);
  if (is_concat && (!has_gaps || parts.size() > kFewContributions))
    return {concat(std::move(joined), axis)};
  std::vector<Var> all;
  for (const Part& part : parts) all.push_back(framed(part));
  return all;
}

bool WaitingContributions::is_alike(const Product& a, const Product& b) const {
  if (a.node->op != b.node->op || a.number != b.number || a.axis != b.axis ||
      !(a.node->attributes == b.node->attributes) || !(a.cotangent.type() == b.cotangent.type()) ||
      a.node->operands.size() != b.node->operands.size())
    return false;
  for (std::size_t k = 0; k < a.node->operands.size(); ++k) {
    const ValueId one = a.node->operands[k], other = b.node->operands[k];
    const bool fits = k == a.beside.operand ? graph_.type(one) == graph_.type(other) : one == other;
    if (!fits) return false;
  }
  return true;
}

std::vector<Var> WaitingContributions::products_of(std::vector<Product> products) {
  std::vector<Var> all;
  while (!products.empty()) {
    const Product first = products[0];
    std::vector<Product> alike, others;
    for (const Product& product : products)
      (is_alike(first, product) ? alike : others).push_back(product);
    if (alike.size() <= kFewContributions) {
      for (const Product& product : alike) {
        const std::vector<Var> operands = operands_of(*product.node);
        all.push_back(by_rule(*product.node, product.number, operands, product.cotangent));
      }
    } else {
      std::vector<Var> beside, cotangents;
      for (auto product = alike.rbegin(); product != alike.rend(); ++product) {
        beside.emplace_back(builder_, product->node->operands[first.beside.operand]);
        cotangents.push_back(product->cotangent);
      }
      std::vector<Var> operands = operands_of(*first.node);
      operands[first.beside.operand] = concat(std::move(beside), first.beside.axis);
      const Var cotangent = concat(std::move(cotangents), first.axis);
      all.push_back(by_rule(*first.node, first.number, operands, cotangent));
    }
    products = std::move(others);
  }
  return all;
}

std::vector<Var> WaitingContributions::sums_of(ValueId value, const std::vector<Var>& broadcasts) {
  const Shape& shape = graph_.type(value).shape;
  std::vector<Var> rest = broadcasts, all;
  while (!rest.empty()) {
    const TensorType type = rest[0].type();
    std::vector<Var> alike, others;
    for (Var one : rest) (one.type() == type ? alike : others).push_back(one);
    rest = std::move(others);
    if (alike.size() > kFewContributions) {
      std::ranges::reverse(alike);
      alike = {concat(std::move(alike), 0)};
    }
    for (Var one : alike) all.push_back(ops::sum_to(builder_, one, shape));
  }
  return all;
}

Var WaitingContributions::by_rule(const Node& node, std::size_t number,
                                  std::span<const Var> operands, Var cotangent) {
  std::vector<TensorType> types;
  for (const Var& operand : operands) types.push_back(operand.type());
  const OpInstance instance = instance_of_node(node, types);
  auto wanted = std::make_unique<bool[]>(operands.size());
  wanted[number] = true;
  const bool reached = true;
  // Neither parts nor products look at what their results are, but for the shape, which is the
  // cotangent's.
  return node.op->gradient.rule({builder_,
                                 instance,
                                 operands,
                                 {&cotangent, 1},
                                 {&cotangent, 1},
                                 {wanted.get(), operands.size()},
                                 {&reached, 1}})[number];
}

std::vector<Var> WaitingContributions::operands_of(const Node& node) {
  std::vector<Var> operands;
  for (ValueId operand : node.operands) operands.emplace_back(builder_, operand);
  return operands;
}

// Of reshapes that put an axis of 1 before all others, it is the reshape of the concat of what they
// reshape: another concat may be of the same.
Var WaitingContributions::concat(std::vector<Var> values, std::size_t axis) {
  const Graph& graph = builder_.graph();
  std::vector<Var> inside;
  for (Var value : values) {
    const Value& info = graph.value(value.id());
    const Node* node = info.kind == Value::Kind::result ? &graph.node(info.producer) : nullptr;
    if (axis != 0 || !node || !node->op->keeps_order) break;
    const Shape &from = graph.type(node->operands[0]).shape, &shape = value.shape();
    if (from.empty() || shape.size() != from.size() + 1 || shape[0] != Dim(1) ||
        !std::equal(from.begin(), from.end(), shape.begin() + 1))
      break;
    inside.emplace_back(builder_, node->operands[0]);
  }
  const bool is_reshaped = inside.size() == values.size();
  Shape shape = values[0].shape();
  shape[axis] = 0;
  for (Var value : values) shape[axis] = shape[axis] + value.shape()[axis];
  Var joined = builder_.apply("concat", is_reshaped ? std::move(inside) : std::move(values),
                              {{"axis", static_cast<std::int64_t>(axis)}});
  return is_reshaped ? ops::reshape_to(builder_, joined, shape) : joined;
}

}  // namespace weir
