#include "compiler/rematerialize/keep_choices.h"

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "compiler/lowering/estimated_size.h"
#include "compiler/passes/graph_rewriter.h"
#include "compiler/rematerialize/pass_boundary.h"
#include "compiler/rematerialize/sign.h"
#include "ir/notes.h"
#include "ir/op.h"
#include "ir/registry.h"

namespace weir {
namespace {

constexpr std::int64_t kNone = 255;  // no choice, in a byte
constexpr double kBit = 0.125;       // of a byte

class ChoiceKeeper {
 public:
  ChoiceKeeper(const Graph& graph, bool fuse) : boundary_(graph, fuse), graph_(graph) {}

  std::optional<Graph> run() && {
    find_choices();
    std::erase_if(counts_, [&](const auto& choice) { return !is_worth(choice.first); });
    if (counts_.empty()) return std::nullopt;
    find_signs();
    return rewritten();
  }

 private:
  // Values that are numbers of choices to all who read them, and that the backward pass computes of
  // the forward pass; nothing else that the same node gives is read.
  void find_choices() {
    std::vector<bool> is_read(graph_.value_count()), is_otherwise(graph_.value_count());
    for (const Graph::Output& output : graph_.outputs()) is_otherwise[output.value.index] = true;
    for (const Node& node : graph_.nodes()) {
      std::optional<ChoiceOperand> choice;
      if (node.op->choice_operand) {
        const std::vector<TensorType> types = types_of(graph_, node.operands);
        choice = node.op->choice_operand({node.op, types, node.attributes});
      }
      for (std::size_t k = 0; k < node.operands.size(); ++k) {
        const ValueId value = node.operands[k];
        is_read[value.index] = true;
        if (!choice || choice->operand != k || choice->count > kNone || !is_candidate(value) ||
            counts_.emplace(value, choice->count).first->second != choice->count)
          is_otherwise[value.index] = true;
      }
    }
    std::erase_if(counts_, [&](const auto& choice) {
      return std::ranges::any_of(boundary_.producer(choice.first)->results, [&](ValueId result) {
        return is_otherwise[result.index] || (result != choice.first && is_read[result.index]);
      });
    });
  }

  bool is_candidate(ValueId value) const {
    const Node* node = boundary_.producer(value);
    return node && boundary_.is_backward(value) && byte_size(graph_.type(value).dtype) > 1 &&
           std::ranges::none_of(node->operands,
                                [&](ValueId operand) { return boundary_.is_backward(operand); });
  }

  // Whether the bytes of the choices, and a bit for the sign of each element that they were made
  // among, are fewer than those of what need not be kept then.
  bool is_worth(ValueId choice) {
    const NodeId maker = graph_.value(choice).producer;
    const std::vector<bool> kept = boundary_.kept([&](NodeId node, std::size_t operand) {
      return node != maker && !(boundary_.backward[node.index] &&
                                reads_sign_alone(graph_, graph_.node(node), operand));
    });
    double freed = 0;
    boundary_.each_load(maker, [&](ValueId load) {
      if (boundary_.group(load) < 0 || boundary_.is_backward(load) || kept[load.index]) return;
      const TensorType& type = graph_.type(load);
      freed += estimated_size(element_count(type.shape)) *
               (static_cast<double>(byte_size(type.dtype)) - kBit);
    });
    return freed > estimated_size(element_count(graph_.type(choice).shape));
  }

  // Where a gradient has been put back to what was chosen, and then asks of what was chosen among
  // for its sign: the sign of the chosen, put back likewise, says the same, if the next layer keeps
  // that anyway. Elsewhere the gradient is +0, and any sign will do.
  void find_signs() {
    const std::vector<bool> kept = boundary_.kept([&](NodeId node, std::size_t operand) {
      return !(boundary_.backward[node.index] &&
               reads_sign_alone(graph_, graph_.node(node), operand)) &&
             std::ranges::none_of(graph_.node(node).results,
                                  [&](ValueId result) { return counts_.contains(result); });
    });
    for (std::uint32_t i = 0; i < graph_.nodes().size(); ++i) {
      const Node& node = graph_.nodes()[i];
      if (!boundary_.backward[i] || node.operands.size() != 2) continue;
      for (std::size_t k : {0, 1}) {
        const Node* spreader = boundary_.producer(node.operands[1 - k]);
        if (!spreader || spreader->operands.size() != 2 ||
            !counts_.contains(spreader->operands[1]) ||
            !ignores_sign_at_zero(graph_, node, k, 1 - k))
          continue;
        const std::optional<ValueId> chosen = chosen_of(*spreader, node.operands[k]);
        if (!chosen || *chosen >= node.results[0]) continue;
        if (std::ranges::all_of(boundary_.loads_of(*chosen),
                                [&](ValueId load) { return kept[load.index]; }))
          signs_.emplace(node.results[0], Sign{k, 1 - k, *chosen});
      }
    }
  }

  // What was chosen among elements with x's signs, by the numbers that the node brings others back
  // by.
  std::optional<ValueId> chosen_of(const Node& spreader, ValueId x) {
    const Node& chooser = *boundary_.producer(spreader.operands[1]);
    if (chooser.operands.size() != 1 || chooser.results.back() != spreader.operands[1])
      return std::nullopt;
    const ValueId among = chooser.operands[0];
    if (among != x) {
      const Node* made = boundary_.producer(among);
      if (!made || made->operands.size() != 1 || made->operands[0] != x ||
          !keeps_sign(graph_, *made))
        return std::nullopt;
    }
    for (const Node& node : graph_.nodes()) {
      if (!node.op->way_back || node.operands != chooser.operands ||
          boundary_.is_backward(node.results[0]))
        continue;
      const std::vector<TensorType> types = types_of(graph_, node.operands);
      std::optional<WayBack> back = node.op->way_back({node.op, types, node.attributes});
      if (back && is(chooser, back->chooser, std::move(back->chooser_attributes)) &&
          is(spreader, back->spreader, std::move(back->spreader_attributes)))
        return node.results[0];
    }
    return std::nullopt;
  }

  static bool is(const Node& node, std::string_view op, Attributes attributes) {
    if (node.op->name != op) return false;
    complete_attributes(node.op->attributes, attributes);
    return node.attributes == attributes;
  }

  Graph rewritten() {
    // By value: the choices that can be made as soon as it is there.
    std::multimap<ValueId, ValueId> behind;
    for (const auto& [choice, count] : counts_)
      behind.emplace(std::ranges::max(boundary_.producer(choice)->operands), choice);
    GraphRewriter rewriter(graph_);
    auto choose_behind = [&](ValueId value) {
      auto [first, last] = behind.equal_range(value);
      for (; first != last; ++first) kept_.emplace(first->second, make(rewriter, first->second));
    };
    for (std::uint32_t i = 0; i < graph_.value_count(); ++i)
      if (!boundary_.producer({i})) choose_behind({i});
    for (const Node& node : graph_.nodes()) {
      if (std::ranges::any_of(node.results,
                              [&](ValueId result) { return counts_.contains(result); }))
        continue;
      std::vector<ValueId> operands;
      bool chooses = false;
      for (ValueId operand : node.operands) {
        const bool is_choice = counts_.contains(operand);
        operands.push_back(is_choice ? kept_.at(operand) : rewriter.mapped(operand));
        chooses = chooses || is_choice;
      }
      if (const auto sign = signs_.find(node.results[0]); sign != signs_.end()) {
        const Node& spreader = *boundary_.producer(node.operands[sign->second.gradient]);
        operands[sign->second.operand] = rewriter.add(
            *spreader.op, {rewriter.mapped(sign->second.chosen), kept_.at(spreader.operands[1])},
            spreader.attributes, node.location, "");
        chooses = true;
      }
      if (chooses) {
        rewriter.replace(node.results[0],
                         rewriter.add(*node.op, std::move(operands), node.attributes, node.location,
                                      graph_.value(node.results[0]).name));
      } else {
        rewriter.copy(node);
      }
      for (ValueId result : node.results) choose_behind(result);
    }
    return std::move(rewriter).finish();
  }

  // In the forward pass: the choice, or kNone in place of what is none, in a byte.
  ValueId make(GraphRewriter& rewriter, ValueId choice) const {
    const Value& value = graph_.value(choice);
    const Node& node = *boundary_.producer(choice);
    Location location = node.location;
    std::string_view note = location.note;
    note.remove_prefix(marks_of(note).size());
    location.note = std::string(note.substr(std::min(note.find_first_not_of(' '), note.size())));
    const NodeId made =
        rewriter.target().add_node(*node.op, rewriter.mapped(node.operands), node.attributes,
                                   location, std::vector<std::string>(node.results.size()));
    const ValueId number =
        rewriter.target().node(made).results[static_cast<std::size_t>(value.result_index)];
    auto add = [&](const char* op, std::vector<ValueId> operands, Attributes attributes = {},
                   const std::string& name = "") {
      return rewriter.add(get_op(op), std::move(operands), std::move(attributes), location, name);
    };
    auto constant = [&](std::int64_t element) {
      Tensor tensor(value.type.dtype, {});
      tensor.set_bits(0, scalar::from_i64(element));
      return add("constant", {}, {{"value", std::make_shared<const Tensor>(std::move(tensor))}});
    };
    const ValueId is_one =
        add("logical_and", {add("greater_equal", {number, constant(0)}),
                            add("less", {number, constant(counts_.at(choice))})});
    const ValueId byte =
        add("cast", {add("select", {is_one, number, constant(kNone)})}, {{"dtype", DType::u8}});
    return add("keep", {byte}, {}, value.name);
  }

  // A node's operand that is asked for its sign, the one with a gradient that was put back, and
  // what was chosen.
  struct Sign {
    std::size_t operand, gradient;
    ValueId chosen;
  };

  PassBoundary boundary_;
  const Graph& graph_;
  std::map<ValueId, Sign> signs_;           // by the result of the node that asks
  std::map<ValueId, std::int64_t> counts_;  // how many choices there are, by the value that is one
  std::map<ValueId, ValueId> kept_;         // of the new graph
};

}  // namespace

std::optional<Graph> keep_choices(const Graph& graph, bool fuse) {
  return ChoiceKeeper(graph, fuse).run();
}

}  // namespace weir
