#include "compiler/passes/split_contractions.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "compiler/passes/graph_rewriter.h"
#include "ir/notes.h"
#include "ir/op.h"
#include "ir/ops/helpers.h"
#include "ir/registry.h"

namespace weir {
namespace {

// Parts that a contraction is split into wherever one of them gains by it; and the most of them, if
// they have so many elements each along the axis: 16 of two channels took 1.6 of the time of one
// contraction, and 8 of eight no longer than that.
constexpr std::int64_t kFewParts = 2, kMostParts = 8, kWidth = 4;

bool is_of_gradient(const Node& node) {
  return std::string_view(node.location.note).starts_with(kGradientOf);
}

bool is_same(const AxisRange& a, const AxisRange& b) {
  return a.axis == b.axis && a.start == b.start && a.limit == b.limit;
}

class Splitter {
 public:
  explicit Splitter(const Graph& graph)
      : graph_(graph),
        readers_(graph.value_count()),
        is_output_(graph.value_count()),
        latest_(graph.value_count()),
        parts_(graph.value_count()) {}

  // Whether there is something to split.
  bool finds_any() {
    const auto count = static_cast<std::uint32_t>(graph_.nodes().size());
    for (std::uint32_t i = 0; i < count; ++i) {
      for (ValueId operand : graph_.nodes()[i].operands) readers_[operand.index].push_back({i});
      find_latest(i);
    }
    for (const Graph::Output& output : graph_.outputs()) is_output_[output.value.index] = true;
    for (std::uint32_t i = count; i-- > 0;) find_parts(NodeId{i});
    bool any = false;
    for (std::uint32_t i = 0; i < count; ++i) any = keeps_parts(NodeId{i}) || any;
    return any;
  }

  Graph rewritten() const {
    GraphRewriter rewriter(graph_);
    std::vector<std::vector<ValueId>> values(graph_.value_count());  // by value: of its parts
    auto value_of = [&](ValueId whole, const AxisRange& part) {
      const std::vector<AxisRange>& parts = parts_[whole.index];
      const auto found =
          std::ranges::find_if(parts, [&](const AxisRange& other) { return is_same(other, part); });
      return values[whole.index][static_cast<std::size_t>(found - parts.begin())];
    };
    for (const Node& node : graph_.nodes()) {
      const ValueId result = node.results[0];
      for (const AxisRange& part : parts_[result.index]) {
        std::vector<ValueId> operands;
        for (std::size_t k = 0; k < node.operands.size(); ++k) {
          const ValueId operand = node.operands[k];
          if (!parts_[operand.index].empty()) {
            operands.push_back(value_of(operand, part));
          } else if (const std::optional<AxisRange> cut = part_of_operand(node, k, part)) {
            operands.push_back(rewriter.add(get_op("slice"), {rewriter.mapped(operand)},
                                            ops::slice_attributes(graph_.type(operand).shape, *cut),
                                            node.location, ""));
          } else {
            operands.push_back(rewriter.mapped(operand));
          }
        }
        values[result.index].push_back(
            rewriter.add(*node.op, std::move(operands), node.attributes, node.location, ""));
      }
      if (!parts_[result.index].empty()) continue;
      const std::optional<AxisRange> part = part_that_is(node);
      if (part && !parts_[node.operands[0].index].empty()) {
        rewriter.replace(result, value_of(node.operands[0], *part));
      } else {
        rewriter.copy(node);
      }
    }
    return std::move(rewriter).finish();
  }

 private:
  // Which part of its operand a node is, if it is one.
  std::optional<AxisRange> part_that_is(const Node& node) const {
    if (!node.op->part) return std::nullopt;
    const std::vector<TensorType> types = types_of(graph_, node.operands);
    return node.op->part({node.op, types, node.attributes});
  }

  // The axis of a contraction's operand that one of its result comes from.
  std::optional<OperandAxis> operand_axis(const Node& node, std::size_t axis) const {
    const std::vector<TensorType> types = types_of(graph_, node.operands);
    return node.op->operand_axis({node.op, types, node.attributes}, axis);
  }

  // What of an operand a part of the result is made of; none if all of it.
  std::optional<AxisRange> part_of_operand(const Node& node, std::size_t operand,
                                           const AxisRange& part) const {
    if (node.op->operand_axis) {
      const OperandAxis of = *operand_axis(node, part.axis);
      if (of.operand != operand) return std::nullopt;
      return AxisRange{of.axis, part.start, part.limit};
    }
    const Shape& shape = graph_.type(node.operands[operand]).shape;
    const Shape& whole = graph_.type(node.results[0]).shape;
    const std::size_t missing = whole.size() - shape.size();
    if (part.axis < missing || shape[part.axis - missing] != whole[part.axis]) return std::nullopt;
    return AxisRange{part.axis - missing, part.start, part.limit};
  }

  // Number of the last node that a value is made of, but for what is pointwise or movement in
  // others, from 1 on; 0 if there is none.
  void find_latest(std::uint32_t number) {
    const Node& node = graph_.nodes()[number];
    std::uint32_t latest = node.op->data ? 0 : number + 1;
    if (!node.operands.empty() && (node.op->pointwise || node.op->is_movement)) {
      latest = 0;
      for (ValueId operand : node.operands) latest = std::max(latest, latest_[operand.index]);
    }
    for (ValueId result : node.results) latest_[result.index] = latest;
  }

  // Of the operands of a pointwise node that have its shape, the one that is computed last.
  ValueId last_operand(const Node& node) const {
    ValueId last;
    for (ValueId operand : node.operands)
      if (graph_.type(operand).shape == graph_.type(node.results[0]).shape &&
          (!last.valid() || latest_[last.index] < latest_[operand.index]))
        last = operand;
    return last;
  }

  // The parts in which a contraction's result is read, or what is pointwise in that, if it is read
  // in no other way.
  void find_parts(NodeId id) {
    const Node& node = graph_.node(id);
    const ValueId result = node.results[0];
    if (!is_of_gradient(node) || !(node.op->operand_axis || node.op->pointwise) ||
        is_output_[result.index])
      return;
    std::vector<AxisRange> parts;
    auto add = [&](const AxisRange& part) {
      if (!parts.empty() && parts[0].axis != part.axis) return false;
      if (std::ranges::none_of(parts, [&](const AxisRange& p) { return is_same(p, part); }))
        parts.push_back(part);
      return true;
    };
    for (NodeId reader_id : readers_[result.index]) {
      const Node& reader = graph_.node(reader_id);
      if (const std::optional<AxisRange> part = part_that_is(reader)) {
        if (!add(*part)) return;
        continue;
      }
      // What is pointwise in the result has the same parts; a contraction of it has others.
      const std::vector<AxisRange>& of_reader = parts_[reader.results[0].index];
      if (!reader.op->pointwise || of_reader.empty() || last_operand(reader) != result ||
          !std::ranges::all_of(of_reader, add))
        return;
    }
    if (parts.empty() || (node.op->operand_axis && !operand_axis(node, parts[0].axis))) return;
    parts_[result.index] = std::move(parts);
  }

  // Whether what reads a contraction's result, or is made of it, reads nothing else that is computed
  // later, and a slice of that has a pointwise gradient for which the same holds.
  bool has_epilogue(NodeId contraction, ValueId value) const {
    auto waits_for_it_alone = [&](const Node& node) {
      return node.op->pointwise && is_of_gradient(node) &&
             std::ranges::all_of(node.operands, [&](ValueId operand) {
               return latest_[operand.index] <= contraction.index + 1;
             });
    };
    return std::ranges::any_of(readers_[value.index], [&](NodeId id) {
      const Node& reader = graph_.node(id);
      if (!part_that_is(reader))
        return waits_for_it_alone(reader) && has_epilogue(contraction, reader.results[0]);
      return std::ranges::any_of(readers_[reader.results[0].index], [&](NodeId next) {
        return waits_for_it_alone(graph_.node(next));
      });
    });
  }

  // Whether as many contractions are worth it, each of which reads the other operand once more.
  bool are_few(const std::vector<AxisRange>& parts, ValueId whole) const {
    const auto count = static_cast<std::int64_t>(parts.size());
    const Dim& size = graph_.type(whole).shape[parts[0].axis];
    return count <= kFewParts ||
           (count <= kMostParts && size.constant().value_or(0) >= count * kWidth);
  }

  // Forgets the parts of what is not to be split.
  bool keeps_parts(NodeId id) {
    const Node& node = graph_.node(id);
    const ValueId result = node.results[0];
    std::vector<AxisRange>& parts = parts_[result.index];
    if (parts.empty()) return false;
    const bool keeps =
        node.op->operand_axis
            ? parts.size() == 1 || (are_few(parts, result) && has_epilogue(id, result))
            : last_operand(node).valid() && !parts_[last_operand(node).index].empty();
    if (!keeps) parts.clear();
    return keeps;
  }

  const Graph& graph_;
  std::vector<std::vector<NodeId>> readers_;   // by value; twice where it is two operands
  std::vector<bool> is_output_;                // by value
  std::vector<std::uint32_t> latest_;          // by value
  std::vector<std::vector<AxisRange>> parts_;  // by value: those in which it is to be computed
};

}  // namespace

Graph split_contractions(Graph graph) {
  Splitter splitter(graph);
  return splitter.finds_any() ? splitter.rewritten() : std::move(graph);
}

}  // namespace weir
