// Nodes are added to the new graph in order, so the operands of each are simplified already. The
// rules for its op are tried in turn, and the nodes of a replacement are added in the same way, so
// one walk reaches the fixed point.
#include "compiler/passes/simplify.h"

#include <algorithm>
#include <unordered_map>

#include "compiler/passes/dce.h"
#include "compiler/passes/graph_rewriter.h"
#include "compiler/passes/simplify_rules.h"
#include "compiler/passes/uniform_values.h"
#include "ir/registry.h"

namespace weir {
namespace {

using scalar::Bits;

// A node that is about to be added.
struct Candidate {
  const OpDef* op;
  std::vector<ValueId> operands;
  Attributes attributes;
  TensorType type;
};

// The rules, by the op at the root of their patterns.
class RuleTable {
 public:
  explicit RuleTable(std::span<const RewriteRule> rules) {
    for (const RewriteRule& rule : rules) {
      ParsedRule parsed(rule);
      by_root_[parsed.pattern.op].push_back(std::move(parsed));
    }
  }

  std::span<const ParsedRule> of(const OpDef& op) const {
    auto found = by_root_.find(&op);
    return found == by_root_.end() ? std::span<const ParsedRule>() : found->second;
  }

 private:
  std::unordered_map<const OpDef*, std::vector<ParsedRule>> by_root_;
};

// Finds patterns in a graph, whose nodes it is told of in order.
class Matcher {
 public:
  explicit Matcher(const Graph& graph) : graph_(graph) {}

  void learn(NodeId node) { uniform_.learn(graph_, node); }

  // Whether the rule applies to a node of its op with these operands and attributes.
  bool applies(const ParsedRule& rule, std::span<const ValueId> operands,
               const Attributes& attributes, RuleMatch& match) const {
    match.nodes.clear();
    match.values.clear();
    match.uniform.clear();
    return matches_node(rule.pattern, *rule.pattern.op, operands, attributes, match) &&
           (!rule.rule->applies || rule.rule->applies(match));
  }

 private:
  bool matches_node(const Pattern& pattern, const OpDef& op, std::span<const ValueId> operands,
                    const Attributes& attributes, RuleMatch& match) const {
    if (pattern.op != &op || pattern.operands.size() != operands.size()) return false;
    std::size_t place = match.nodes.size();
    match.nodes.emplace_back();
    for (std::size_t i = 0; i < operands.size(); ++i)
      if (!matches(pattern.operands[i], operands[i], match)) return false;
    match.nodes[place] = {&op, types_of(graph_, operands), attributes};
    return true;
  }

  bool matches(const Pattern& pattern, ValueId id, RuleMatch& match) const {
    const Value& value = graph_.value(id);
    if (pattern.kind == Pattern::Kind::op) {
      if (value.kind != Value::Kind::result) return false;
      const Node& node = graph_.node(value.producer);
      return node.results.size() == 1 &&
             matches_node(pattern, *node.op, node.operands, node.attributes, match);
    }
    std::optional<Bits> uniform = uniform_.find(id);
    if (pattern.kind == Pattern::Kind::literal)
      return uniform && uniform == pattern.bits(value.type.dtype);
    if (pattern.variable < match.values.size()) return match.values[pattern.variable] == id;
    match.values.push_back(id);
    match.uniform.push_back(uniform);
    return true;
  }

  const Graph& graph_;
  UniformValues uniform_;
};

// Whether a rule applies anywhere in a graph that none has been applied to.
bool any_applies(const Graph& graph, const RuleTable& rules) {
  Matcher matcher(graph);
  RuleMatch match;
  for (std::uint32_t i = 0; i < graph.nodes().size(); ++i) {
    const Node& node = graph.node({i});
    if (node.results.size() != 1) continue;
    std::span<const ParsedRule> candidates = rules.of(*node.op);
    if (!candidates.empty()) match.type = graph.type(node.results[0]);
    for (const ParsedRule& rule : candidates)
      if (matcher.applies(rule, node.operands, node.attributes, match)) return true;
    matcher.learn({i});
  }
  return false;
}

class Simplifier {
 public:
  Simplifier(const Graph& graph, const RuleTable& rules)
      : rewriter_(graph), rules_(rules), matcher_(rewriter_.target()) {}

  Graph run() {
    for (const Node& node : rewriter_.source().nodes()) visit(node);
    Graph result = std::move(rewriter_).finish();
    return rewritten_ ? dce(std::move(result)) : std::move(result);
  }

 private:
  void visit(const Node& node) {
    if (node.results.size() != 1) {
      rewriter_.copy(node);
      return;
    }
    location_ = &node.location;
    const Value& result = rewriter_.source().value(node.results[0]);
    Candidate candidate{node.op, rewriter_.mapped(node.operands), node.attributes, result.type};
    rewriter_.replace(node.results[0], add(std::move(candidate), result.name));
  }

  const Graph& graph() { return rewriter_.target(); }

  // The value of a node, or of what the rules make of it.
  ValueId add(Candidate candidate, const std::string& name = {}) {
    RuleMatch match{candidate.type, {}, {}, {}};
    for (const ParsedRule& rule : rules_.of(*candidate.op)) {
      if (!matcher_.applies(rule, candidate.operands, candidate.attributes, match)) continue;
      std::optional<ValueId> value = build(rule, match, name);
      if (value) value = broadcast_to(*value, candidate.type, name);
      if (!value) continue;
      rewritten_ = true;
      return *value;
    }
    ValueId value = rewriter_.add(*candidate.op, std::move(candidate.operands),
                                  std::move(candidate.attributes), *location_, name);
    matcher_.learn(graph().value(value).producer);
    return value;
  }

  // The value of the replacement; nothing if a literal in it does not fit.
  std::optional<ValueId> build(const ParsedRule& rule, const RuleMatch& match,
                               const std::string& name) {
    const Pattern& pattern = rule.replacement;
    if (pattern.kind != Pattern::Kind::op) return build_part(pattern, rule, match);
    std::optional<Candidate> root = build_node(pattern, rule, match);
    if (!root) return std::nullopt;
    return add(std::move(*root), name);
  }

  std::optional<ValueId> build_part(const Pattern& pattern, const ParsedRule& rule,
                                    const RuleMatch& match) {
    switch (pattern.kind) {
      case Pattern::Kind::variable:
        return match.values[pattern.variable];
      case Pattern::Kind::literal:
        return constant(match.type.dtype, pattern.bits(match.type.dtype));
      case Pattern::Kind::computed:
        return constant(match.type.dtype,
                        scalar::bits_of(match.type.dtype, rule.rule->constant(match)));
      case Pattern::Kind::op:
        break;
    }
    std::optional<Candidate> node = build_node(pattern, rule, match);
    if (!node) return std::nullopt;
    return add(std::move(*node));
  }

  std::optional<Candidate> build_node(const Pattern& pattern, const ParsedRule& rule,
                                      const RuleMatch& match) {
    Candidate node{pattern.op, {}, {}, {}};
    for (const Pattern& operand : pattern.operands) {
      std::optional<ValueId> value = build_part(operand, rule, match);
      if (!value) return std::nullopt;
      node.operands.push_back(*value);
    }
    if (&pattern == &rule.replacement && rule.rule->attributes) {
      node.attributes = rule.rule->attributes(match);
    } else {
      auto same_op = [&](const RuleMatch::Use& use) { return use.op == pattern.op; };
      auto use = std::find_if(match.nodes.begin(), match.nodes.end(), same_op);
      if (use != match.nodes.end()) node.attributes = use->attributes;
    }
    node.type =
        check_and_infer(*node.op, types_of(graph(), node.operands), node.attributes).front();
    return node;
  }

  std::optional<ValueId> constant(DType type, std::optional<Bits> bits) {
    if (!bits) return std::nullopt;
    auto tensor = std::make_shared<Tensor>(type, Tensor::Sizes{});
    tensor->set_bits(0, *bits);
    return add(
        {&get_op("constant"), {}, {{"value", std::shared_ptr<const Tensor>(tensor)}}, {type, {}}});
  }

  std::optional<ValueId> broadcast_to(ValueId value, const TensorType& type,
                                      const std::string& name) {
    const TensorType& from = graph().type(value);
    if (from == type) return value;
    if (from.dtype != type.dtype || broadcast_shapes(from.shape, type.shape) != type.shape)
      return std::nullopt;
    return add({&get_op("broadcast"), {value}, {{"shape", type.shape}}, type}, name);
  }

  GraphRewriter rewriter_;
  const RuleTable& rules_;
  Matcher matcher_;                     // in the new graph
  const Location* location_ = nullptr;  // of the node being visited
  bool rewritten_ = false;
};

}  // namespace

Graph simplify_with(Graph graph, std::span<const RewriteRule> written) {
  RuleTable rules(written);
  return any_applies(graph, rules) ? Simplifier(graph, rules).run() : std::move(graph);
}

Graph simplify(Graph graph) { return simplify_with(std::move(graph), simplify_rules()); }

}  // namespace weir
