#include "compiler/passes/contract_multiply_add.h"

#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "compiler/passes/graph_rewriter.h"
#include "ir/op.h"
#include "ir/registry.h"
#include "ir/scalar/expr.h"

namespace weir {
namespace {

using scalar::Primitive;

// An op whose expression is one primitive of two of its operands.
struct BinaryForm {
  Primitive primitive;
  std::uint64_t first, second;  // numbers of operands
};

std::optional<BinaryForm> binary_form(const OpDef& op) {
  if (!op.pointwise || !op.attributes.empty()) return std::nullopt;
  scalar::Arena arena;
  std::vector<scalar::Expr> arguments;
  for (std::uint32_t i = 0; i < op.operands.size(); ++i)
    arguments.emplace_back(arena, arena.argument(i, DType::f32));
  scalar::Id root = op.pointwise(arguments, {}).id();
  std::span<const scalar::Id> operands = arena.operands(root);
  if (operands.size() != 2) return std::nullopt;
  for (scalar::Id operand : operands)
    if (arena[operand].primitive != Primitive::argument) return std::nullopt;
  return BinaryForm{arena[root].primitive, arena[operands[0]].payload, arena[operands[1]].payload};
}

// A sum, difference or product of two values, which broadcast to it.
struct Binary {
  Primitive primitive;
  ValueId first, second;
};

class Contraction {
 public:
  explicit Contraction(const Graph& graph) : graph_(graph), products_(graph.value_count()) {
    std::vector<int> uses(graph.value_count());
    for (const Node& node : graph.nodes())
      for (ValueId operand : node.operands) ++uses[operand.index];
    for (const Graph::Output& output : graph.outputs()) ++uses[output.value.index];
    for (const Node& node : graph.nodes()) {
      std::optional<Binary> binary = binary_of(node);
      if (!binary) continue;
      ValueId result = node.results[0];
      if (binary->primitive == Primitive::mul && uses[result.index] == 1)
        products_[result.index] = binary;
      else if (binary->primitive == Primitive::add || binary->primitive == Primitive::sub)
        choose(result, *binary);
    }
  }

  bool is_needed() const { return !sums_.empty(); }

  Graph run() const {
    GraphRewriter rewriter(graph_);
    for (const Node& node : graph_.nodes()) {
      if (auto sum = sums_.find(node.results[0]); sum != sums_.end())
        contract(rewriter, node, sum->second);
      else if (!is_contracted_.contains(node.results[0]))
        rewriter.copy(node);
    }
    return std::move(rewriter).finish();
  }

 private:
  // The terms of a sum, and which of them is the product that becomes one with it.
  struct Sum {
    Binary terms;
    bool first_is_product;
  };

  std::optional<Binary> binary_of(const Node& node) {
    if (!node.op->pointwise) return std::nullopt;
    const TensorType& type = graph_.type(node.results[0]);
    if (!is_float(type.dtype)) return std::nullopt;
    for (ValueId operand : node.operands)
      if (graph_.type(operand).dtype != type.dtype) return std::nullopt;
    auto [found, is_new] = forms_.try_emplace(node.op);
    if (is_new) found->second = binary_form(*node.op);
    const std::optional<BinaryForm>& form = found->second;
    if (!form) return std::nullopt;
    Binary binary{form->primitive, node.operands[form->first], node.operands[form->second]};
    // The op of a gradient may have further operands, which its expression does not read.
    if (node.operands.size() > 2 &&
        broadcast_shapes(graph_.type(binary.first).shape, graph_.type(binary.second).shape) !=
            type.shape)
      return std::nullopt;
    return binary;
  }

  void choose(ValueId sum, const Binary& terms) {
    bool first_is_product = products_[terms.first.index].has_value();
    if (!first_is_product && !products_[terms.second.index]) return;
    sums_.emplace(sum, Sum{terms, first_is_product});
    is_contracted_.insert(first_is_product ? terms.first : terms.second);
  }

  void contract(GraphRewriter& rewriter, const Node& node, const Sum& sum) const {
    auto [primitive, first, second] = sum.terms;
    const Binary& product = *products_[(sum.first_is_product ? first : second).index];
    ValueId a = rewriter.mapped(product.first), b = rewriter.mapped(product.second);
    ValueId c = rewriter.mapped(sum.first_is_product ? second : first);
    if (primitive == Primitive::sub) {
      ValueId& subtracted = sum.first_is_product ? c : a;
      subtracted = rewriter.add(get_op("neg"), {subtracted}, {}, node.location, {});
    }
    rewriter.replace(node.results[0], rewriter.add(get_op("fma"), {a, b, c}, {}, node.location,
                                                   graph_.value(node.results[0]).name));
  }

  const Graph& graph_;
  // The products that a single use reads, by value.
  std::vector<std::optional<Binary>> products_;
  std::unordered_map<ValueId, Sum> sums_;
  std::unordered_set<ValueId> is_contracted_;  // of the products, those that are in sums_
  std::unordered_map<const OpDef*, std::optional<BinaryForm>> forms_;
};

}  // namespace

Graph contract_multiply_add(Graph graph) {
  Contraction contraction(graph);
  return contraction.is_needed() ? contraction.run() : graph;
}

}  // namespace weir
