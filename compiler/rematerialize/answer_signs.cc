#include "compiler/rematerialize/answer_signs.h"

#include <algorithm>
#include <map>
#include <unordered_map>

#include "compiler/lowering/estimated_size.h"
#include "compiler/passes/graph_rewriter.h"
#include "compiler/rematerialize/pass_boundary.h"
#include "compiler/rematerialize/sign.h"
#include "ir/op.h"
#include "ir/registry.h"

namespace weir {
namespace {

// Packing is a pass of its own over a mask, which starts once and reads a byte for each element.
constexpr double kLeastSaving = 2048;  // bytes that are worth it

// The axis along which a mask is packed, if it is: the first of more than one element. Along the
// last, neighbours in a vector would share a byte. Where several sizes are known only at the call,
// as all of an image, the quotient is one symbol more in each term of what the program's memory
// takes, of which there may not be many; and sizes that may come out negative, as those of a
// window's positions, are none that unpacked bits can be cut to.
std::optional<std::size_t> packed_axis(const Shape& shape) {
  if (std::ranges::count_if(shape, [](const Dim& size) { return !size.is_constant(); }) > 1 ||
      !std::ranges::all_of(shape, [](const Dim& size) { return never_negative(size); }))
    return std::nullopt;
  for (std::size_t axis = 0; axis + 1 < shape.size(); ++axis) {
    if (shape[axis] == Dim(1)) continue;
    Shape packed = shape;
    packed[axis] = floor_quotient(shape[axis] + Dim(7), 8);
    double saved = estimated_size(element_count(shape)) - estimated_size(element_count(packed));
    return saved >= kLeastSaving ? std::optional(axis) : std::nullopt;
  }
  return std::nullopt;
}

class SignChooser {
 public:
  SignChooser(const Graph& graph, bool fuse) : boundary_(graph, fuse), graph_(graph) {}

  std::optional<Graph> run() && {
    find_questions();
    if (asked_.empty()) return std::nullopt;
    find_users();
    std::vector<bool> kept = boundary_.kept(
        [&](NodeId node, std::size_t operand) { return !questions_.contains(key(node, operand)); });
    for (ValueId x : asked_) choose(x, kept);
    if (outputs_.empty() && masks_.empty()) return std::nullopt;
    return rewritten();
  }

 private:
  static std::uint64_t key(NodeId node, std::size_t operand) {
    return (std::uint64_t{node.index} << 32) | operand;
  }

  void find_questions() {
    std::vector<bool> seen(graph_.value_count());
    for (std::uint32_t i = 0; i < graph_.nodes().size(); ++i) {
      const Node& node = graph_.nodes()[i];
      if (!boundary_.backward[i]) continue;
      for (std::size_t k = 0; k < node.operands.size(); ++k) {
        ValueId x = node.operands[k];
        const Node* from = boundary_.producer(x);
        if (!from || from->op->data || boundary_.is_backward(x)) continue;
        const SignQuestions asked = sign_questions(graph_, node, k);
        if (!asked.above && !asked.not_above) continue;
        questions_.emplace(key({i}, k), x);
        SignQuestions& of_x = asked_of_[x];
        of_x.above = of_x.above || asked.above;
        of_x.not_above = of_x.not_above || asked.not_above;
        if (!seen[x.index]) asked_.push_back(x);
        seen[x.index] = true;
      }
    }
  }

  // `kept` is what the backward pass loads for everything but the questions.
  void choose(ValueId x, const std::vector<bool>& kept) {
    auto is_kept = [&](ValueId value) { return kept[value.index]; };
    std::vector<ValueId> loads = boundary_.loads_of(x);
    const bool is_there = std::all_of(loads.begin(), loads.end(), is_kept);
    auto [first, last] = users_.equal_range(x);
    for (; first != last; ++first) {
      ValueId y = graph_.node(first->second).results[0];
      std::vector<ValueId> of_y = boundary_.loads_of(y);
      // Where x can be computed again of what is kept, the output is asked if it is less to read
      // and lies as x would: what windows go over has a layout of its own, and often a frame.
      if (is_there && (of_y.size() >= loads.size() || is_image_[y.index])) continue;
      if (is_output(y) || std::all_of(of_y.begin(), of_y.end(), is_kept)) {
        outputs_.emplace(x, y);
        return;
      }
    }
    if (is_there) return;
    // One bit answers one question: for NaN both answers are no.
    const SignQuestions asked = asked_of_.at(x);
    if (asked.above && asked.not_above) return;
    const Dim count = element_count(graph_.type(x).shape);
    bool worth = std::any_of(loads.begin(), loads.end(), [&](ValueId load) {
      const TensorType& type = graph_.type(load);
      return !is_kept(load) && byte_size(type.dtype) > 1 && element_count(type.shape) == count;
    });
    if (worth) masks_.emplace(x, ValueId{});
  }

  void find_users() {
    std::vector<bool> asked(graph_.value_count());
    is_image_.resize(graph_.value_count());
    for (const Node& node : graph_.nodes())
      for (ValueId operand : node.operands)
        if (node.op->takes_images) is_image_[operand.index] = true;
    for (ValueId value : asked_) asked[value.index] = true;
    for (std::uint32_t i = 0; i < graph_.nodes().size(); ++i) {
      const Node& node = graph_.nodes()[i];
      if (!boundary_.backward[i] && node.operands.size() == 1 && asked[node.operands[0].index] &&
          keeps_sign(graph_, node))
        users_.emplace(node.operands[0], NodeId{i});
    }
  }

  bool is_output(ValueId value) const {
    return std::any_of(graph_.outputs().begin(), graph_.outputs().end(),
                       [&](const Graph::Output& output) { return output.value == value; });
  }

  Graph rewritten() {
    GraphRewriter rewriter(graph_);
    for (std::uint32_t i = 0; i < graph_.nodes().size(); ++i) {
      const Node& node = graph_.nodes()[i];
      std::vector<ValueId> operands = rewriter.mapped(node.operands);
      bool changed = false;
      for (std::size_t k = 0; k < operands.size(); ++k) {
        if (!questions_.contains(key({i}, k))) continue;
        if (auto output = outputs_.find(node.operands[k]); output != outputs_.end()) {
          operands[k] = rewriter.mapped(output->second);
        } else if (auto mask = masks_.find(node.operands[k]); mask != masks_.end()) {
          operands[k] = from_mask(rewriter, mask->second, graph_.type(node.operands[k]), node);
        } else {
          continue;
        }
        changed = true;
      }
      if (changed) {
        rewriter.replace(node.results[0],
                         rewriter.add(*node.op, std::move(operands), node.attributes, node.location,
                                      graph_.value(node.results[0]).name));
      } else {
        rewriter.copy(node);
      }
      for (ValueId result : node.results)
        if (auto mask = masks_.find(result); mask != masks_.end())
          mask->second = make_mask(rewriter, result);
    }
    return std::move(rewriter).finish();
  }

  ValueId make_mask(GraphRewriter& rewriter, ValueId x) const {
    const Value& value = graph_.value(x);
    Tensor zero(value.type.dtype, {});
    ValueId constant = rewriter.add(get_op("constant"), {},
                                    {{"value", std::make_shared<const Tensor>(std::move(zero))}},
                                    value.location, "");
    auto compare = [&](const char* op) {
      return rewriter.add(get_op(op), {rewriter.mapped(x), constant}, {}, value.location, "");
    };
    ValueId above =
        asked_of_.at(x).above
            ? compare("greater")
            : rewriter.add(get_op("logical_not"), {compare("less_equal")}, {}, value.location, "");
    std::string name = value.name.empty() ? "" : value.name + "_mask";
    std::optional<std::size_t> axis = packed_axis(value.type.shape);
    ValueId mask =
        rewriter.add(get_op("keep"), {above}, {}, value.location, axis ? std::string() : name);
    if (!axis) return mask;
    return rewriter.add(get_op("pack_bits"), {mask}, {{"axis", static_cast<std::int64_t>(*axis)}},
                        value.location, name);
  }

  // As a value of which the question that is asked of x has the same answer: 1 or 0.
  static ValueId from_mask(GraphRewriter& rewriter, ValueId mask, const TensorType& x,
                           const Node& reader) {
    auto add = [&](const char* op, Attributes attributes) {
      mask = rewriter.add(get_op(op), {mask}, std::move(attributes), reader.location, "");
    };
    if (std::optional<std::size_t> axis = packed_axis(x.shape)) {
      add("unpack_bits", {{"axis", static_cast<std::int64_t>(*axis)}});
      if (rewriter.target().type(mask).shape != x.shape)
        add("slice", {{"starts", Shape(x.shape.size(), Dim(0))}, {"limits", x.shape}});
    }
    add("cast", {{"dtype", x.dtype}});
    return mask;
  }

  PassBoundary boundary_;
  const Graph& graph_;
  std::unordered_map<std::uint64_t, ValueId> questions_;  // by node and operand: x
  std::vector<ValueId> asked_;                            // each x once
  std::unordered_map<ValueId, SignQuestions> asked_of_;   // by x: of all its nodes
  // By x: nodes of the forward pass whose result has its sign.
  std::multimap<ValueId, NodeId> users_;
  std::vector<bool> is_image_;                    // by value: whether windows go over it
  std::unordered_map<ValueId, ValueId> outputs_;  // by x: y
  std::unordered_map<ValueId, ValueId> masks_;    // by x: the mask, once it is made
};

}  // namespace

std::optional<Graph> answer_signs(const Graph& graph, bool fuse) {
  return SignChooser(graph, fuse).run();
}

}  // namespace weir
