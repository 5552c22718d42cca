#include "compiler/autodiff/waiting_contributions.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "ir/notes.h"
#include "ir/ops/helpers.h"

namespace weir {
namespace {

// Contributions that are added one by one.
constexpr std::size_t kFewContributions = 8;
// What comes back for a bias in one step has so many rows at most, if it waits: of more, all that
// would have to be kept is more than one sum after the other reads.
constexpr double kMostRows = 64;
// What is little to keep, for values of any size.
constexpr double kFewElements = 1 << 14;
// A dimension that is not known is taken to be a batch.
constexpr std::int64_t kBatch = 16;

double elements_about(const Shape& shape) {
  double count = 1;
  for (const Dim& dim : shape) count *= static_cast<double>(dim.constant().value_or(kBatch));
  return count;
}

// Those that are alike, in the order of the first of each kind. What has not the same key is not.
template <class T, class Key, class Alike>
std::vector<std::vector<T>> kinds_of(const std::vector<T>& all, Key&& key, Alike&& alike) {
  std::vector<std::vector<T>> kinds;
  std::unordered_map<std::string, std::vector<std::size_t>> by_key;
  for (const T& one : all) {
    std::vector<std::size_t>& candidates = by_key[key(one)];
    const auto kind = std::ranges::find_if(
        candidates, [&](std::size_t number) { return alike(kinds[number].front(), one); });
    if (kind != candidates.end()) {
      kinds[*kind].push_back(one);
    } else {
      candidates.push_back(kinds.size());
      kinds.push_back({one});
    }
  }
  return kinds;
}

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
  const TensorType& type = graph_.type(value);
  const std::vector<TensorType> types = types_of(graph_, node.operands);
  for (std::size_t axis = 0; axis < cotangent.shape().size(); ++axis) {
    const auto beside = node.op->operand_axis(instance_of_node(node, types), axis);
    if (!beside || beside->operand == number) continue;
    // A product of their own writes and adds as much as the value has.
    const ValueId other = node.operands[beside->operand];
    if (elements_about(cotangent.shape()) + elements_about(graph_.type(other).shape) >
        std::max(elements_about(type.shape), kFewElements))
      return false;
    waiting_[value.index].products.push_back({&node, number, *beside, axis, cotangent});
    return true;
  }
  return false;
}

bool WaitingContributions::keep_broadcast(ValueId value, Var cotangent) {
  const TensorType& type = graph_.type(value);
  if (uses_[value.index] <= kFewContributions || cotangent.dtype() != type.dtype ||
      cotangent.shape().size() <= type.shape.size() ||
      elements_about(cotangent.shape()) >
          std::max(kMostRows * elements_about(type.shape), kFewElements))
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
  for (const std::vector<Var>& more : {products_of(products), sums_of(value, broadcasts)})
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

std::vector<Var> WaitingContributions::products_of(const std::vector<Product>& products) {
  std::vector<Var> all;
  const auto kinds = kinds_of(
      products,
      [](const Product& one) {
        return fmt::format("{} {} {} {}", one.node->op->name, one.number, one.axis,
                           to_string(one.cotangent.type()));
      },
      [&](const Product& a, const Product& b) { return is_alike(a, b); });
  for (const std::vector<Product>& alike : kinds) {
    if (alike.size() <= kFewContributions) {
      for (const Product& product : alike) {
        const std::vector<Var> operands = operands_of(*product.node);
        all.push_back(by_rule(*product.node, product.number, operands, product.cotangent));
      }
      continue;
    }
    const Product& first = alike.front();
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
  return all;
}

std::vector<Var> WaitingContributions::sums_of(ValueId value, const std::vector<Var>& broadcasts) {
  const Shape& shape = graph_.type(value).shape;
  std::vector<Var> all;
  auto kinds = kinds_of(
      broadcasts, [](Var one) { return to_string(one.type()); }, [](Var, Var) { return true; });
  for (std::vector<Var>& alike : kinds) {
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
