#include "compiler/lowering/choose_members.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include "compiler/lowering/elements.h"
#include "ir/notes.h"
#include "ir/op.h"

namespace weir {
namespace {

// Costs are in the units of PrimitiveInfo::cost.
constexpr int kMaxInlineCost = 300;         // beyond it an expression is cut by storing it
constexpr int kMaxInlineMoves = 16;         // likewise, of moves that are read through in a row
constexpr int kRecomputeCost = 6;           // what a second computation may cost instead of a store
constexpr int kBroadcastCost = 8;           // likewise, for a computation that a broadcast repeats
constexpr std::int64_t kSmallValue = 4096;  // elements that may wait in memory for a distant use

// Whether some operand element is read for more than one result element, or in more than one step.
bool repeats(const Graph& graph, const Node& node, ValueId operand) {
  Dim count = element_count(graph.type(node.results[0]).shape);
  if (node.op->steps) {
    std::vector<TensorType> types = types_of(graph, node.operands);
    Steps steps = node.op->steps(instance_of(node, types));
    if (!steps.start || node.operands[*steps.start] != operand)
      count = element_count(steps.extents);
  }
  return element_count(graph.type(operand).shape) != count;
}

// Whether an op over windows would read its images through a reshape of rows that are computed.
// They have a layout of their own only where they are stored; and the rows are the business of the
// product that they come from.
bool is_flat(const Graph& graph, const Node& node, ValueId operand) {
  const Value& value = graph.value(operand);
  if (!node.op->takes_images || value.kind != Value::Kind::result) return false;
  const Node& reshape = graph.node(value.producer);
  return reshape.op->keeps_order && graph.type(reshape.operands[0]).shape.size() == 2 &&
         value.type.shape.size() > 2 && value.type.shape[1] != Dim(1) &&
         graph.value(reshape.operands[0]).kind == Value::Kind::result;
}

// Whether an op over windows reads filters that are a part of others: a copy of what a kernel reads
// is made of all of a value.
bool is_part_of_filters(const Graph& graph, const Node& node, ValueId operand) {
  const Value& value = graph.value(operand);
  return node.op->takes_images && node.op->is_contraction && operand == node.operands[1] &&
         value.kind == Value::Kind::result && graph.node(value.producer).op->part;
}

// Whether the epilogue of a contraction of the backward pass may compute and store this in place of
// what it computes, which nothing else reads, and of which readers would need another value as well,
// as the mask of a gradient is of two. What is of the product alone its readers compute on their
// way, as copies do.
bool may_be_epilogue(const Planner& planner, ValueId value) {
  const Graph& graph = planner.graph;
  bool reads_others = false;
  for (bool is_first = true;; is_first = false) {
    const Value& info = graph.value(value);
    if (info.kind != Value::Kind::result) return false;
    if (!is_first && (planner.use_count[value.index] != 1 || planner.is_output[value.index]))
      return false;
    const Node& node = graph.node(info.producer);
    if (node.op->is_contraction)
      return reads_others && std::string_view(node.location.note).starts_with(kGradientOf);
    if (!node.op->pointwise) return false;
    // Of several operands the last one is the cotangent of a gradient.
    std::optional<ValueId> next;
    for (ValueId operand : node.operands) {
      if (graph.type(operand).shape != info.type.shape) continue;
      reads_others = reads_others || (next && *next != operand);
      next = operand;
    }
    if (!next) return false;
    value = *next;
  }
}

}  // namespace

void choose_members(Planner& planner) {
  const Graph& graph = planner.graph;
  std::vector<bool> member(graph.nodes().size());
  // By node, when inline: the most moves, and other ops without a cost, on a way to what it reads.
  // Their cost does not bound them, and every one makes the indices of the next longer.
  std::vector<int> moves(graph.nodes().size());
  // By node: whether it is a single element that reads no memory, but sizes, as what a mean is
  // divided by. That is computed once in a kernel, before its loops.
  std::vector<bool> of_sizes(graph.nodes().size());
  auto is_of_sizes = [&](ValueId value) {
    const Value& info = graph.value(value);
    return info.kind == Value::Kind::result && of_sizes[info.producer.index];
  };
  auto inline_moves = [&](ValueId value) {
    const Value& info = graph.value(value);
    if (info.kind != Value::Kind::result || member[info.producer.index]) return 0;
    return moves[info.producer.index];
  };
  auto inline_cost = [&](ValueId value) {
    const Value& info = graph.value(value);
    if (info.kind != Value::Kind::result || member[info.producer.index]) return 0;
    return planner.cost[info.producer.index];
  };
  auto store = [&](ValueId value) {
    const Value& info = graph.value(value);
    if (info.kind != Value::Kind::result) return;
    if (planner.plan.group_of[info.producer.index] != FusionPlan::kSource)
      member[info.producer.index] = true;
  };
  for (std::size_t i = 0; i < graph.nodes().size(); ++i) {
    const Node& node = graph.nodes()[i];
    const bool is_single = element_count(graph.type(node.results[0]).shape) == Dim(1);
    if (node.op->data) {
      planner.plan.group_of[i] = FusionPlan::kSource;
      of_sizes[i] = is_single;
      continue;
    }
    bool folds = planner.has_reduction(node);
    std::vector<TensorType> types = types_of(graph, node.operands);
    for (ValueId operand : node.operands) {
      int operand_cost = inline_cost(operand);
      const bool is_part = is_part_of_filters(graph, node, operand);
      if (operand_cost == 0 && !(folds && (is_part || is_flat(graph, node, operand)))) continue;
      if (folds) {
        // A contraction reads its operands many times; a plain reduction reads each element once.
        Dim reduced = 1;
        for (const Dim& extent :
             node.op->comprehension({node.op, types, node.attributes}).reduce_extents)
          reduced = reduced * extent;
        Dim points = reduced * element_count(graph.type(node.results[0]).shape);
        if (element_count(graph.type(operand).shape) == points) continue;
        store(operand);
        if (is_flat(graph, node, operand))
          store(graph.node(graph.value(operand).producer).operands[0]);
      } else if (operand_cost >= kBroadcastCost && repeats(graph, node, operand)) {
        store(operand);
      }
    }
    const int own = planner.own_cost(node);
    const int own_moves = node.op->is_movement || own == 0 ? 1 : 0;
    for (ValueId operand : node.operands) {
      if (own_moves + inline_moves(operand) > kMaxInlineMoves) store(operand);
      moves[i] = std::max(moves[i], own_moves + inline_moves(operand));
    }
    const bool parted = planner.is_parted(node);
    int total = own;
    for (ValueId operand : node.operands) total += inline_cost(operand);
    if (total > kMaxInlineCost && !parted) {
      // Cut below: the costliest operands become values of their own.
      for (ValueId operand : node.operands)
        if (inline_cost(operand) > kMaxInlineCost / 4) store(operand);
      total = own;
      for (ValueId operand : node.operands) total += inline_cost(operand);
    }
    of_sizes[i] = is_single && !folds && !node.op->steps && !node.op->is_stored &&
                  std::ranges::all_of(node.operands, is_of_sizes);
    if (of_sizes[i]) total = 0;
    planner.cost[i] = total;
    int uses = 0;
    bool output = false;
    for (ValueId result : node.results) {
      uses += planner.use_count[result.index];
      output = output || planner.is_output[result.index] || planner.is_checked[result.index];
    }
    const bool stays = uses > 1 && may_be_epilogue(planner, node.results[0]);
    if (uses > 1 && node.op->keeps_order && may_be_epilogue(planner, node.operands[0]))
      store(node.operands[0]);
    member[i] = folds || parted || node.op->steps || node.op->is_stored || output ||
                !planner.options.fuse || (uses > 1 && total > kRecomputeCost) || stays;
  }
  for (std::size_t i = 0; i < member.size(); ++i)
    if (member[i]) planner.plan.group_of[i] = INT32_MAX;  // a member, group to be chosen
}

std::vector<std::uint32_t> order_of_nodes(const Planner& planner) {
  const Graph& graph = planner.graph;
  const std::size_t count = graph.nodes().size();
  std::vector<bool> of_params(count), of_singles(count), reads(count);
  std::vector<std::uint32_t> first, others;
  for (std::uint32_t i = 0; i < count; ++i) {
    const Node& node = graph.nodes()[i];
    of_params[i] = of_singles[i] =
        planner.options.checked.empty() || planner.options.checked[i].empty();
    for (ValueId operand : node.operands) {
      const Value& value = graph.value(operand);
      if (value.kind == Value::Kind::result) {
        of_params[i] = of_params[i] && of_params[value.producer.index];
        of_singles[i] = of_singles[i] && of_singles[value.producer.index];
        reads[i] = reads[i] || reads[value.producer.index];
      } else {
        of_params[i] =
            of_params[i] && value.kind == Value::Kind::param && !graph.is_updated(operand);
        of_singles[i] = of_singles[i] && element_count(value.type.shape) == Dim(1);
        reads[i] = true;
      }
    }
    auto are_small = [&](std::int64_t most) {
      return std::all_of(node.results.begin(), node.results.end(), [&](ValueId result) {
        std::optional<std::int64_t> elements = element_count(graph.type(result).shape).constant();
        return elements && *elements <= most;
      });
    };
    bool early = of_params[i] || of_singles[i];
    if (planner.is_member(NodeId{i})) {
      of_params[i] = of_params[i] && reads[i] && are_small(kSmallValue);
      of_singles[i] = of_singles[i] && reads[i] && are_small(1);
      early = of_params[i] || of_singles[i];
    }
    (early ? first : others).push_back(i);
  }
  first.insert(first.end(), others.begin(), others.end());
  return first;
}

}  // namespace weir
