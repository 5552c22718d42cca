#include "compiler/autodiff/gradient.h"

#include <algorithm>
#include <memory>

#include <fmt/format.h>

#include "compiler/autodiff/cotangent.h"
#include "compiler/autodiff/gradient_cut.h"
#include "compiler/autodiff/gradient_ends.h"
#include "compiler/autodiff/pointwise_gradient.h"
#include "compiler/autodiff/refuse_gradient.h"
#include "compiler/autodiff/waiting_contributions.h"
#include "compiler/passes/decompose.h"
#include "ir/builder.h"
#include "ir/notes.h"
#include "ir/op.h"
#include "ir/ops/helpers.h"
#include "ir/registry.h"

namespace weir {
namespace {

// By value: whether it is of floating point and made of a source.
std::vector<bool> dependents(const Graph& graph, std::span<const ValueId> sources) {
  std::vector<bool> depends(graph.value_count());
  for (ValueId source : sources) depends[source.index] = true;
  for (const Node& node : graph.nodes()) {
    bool any = false;
    if (node.op->gradient.kind != GradientRule::Kind::stops)
      for (ValueId operand : node.operands) any = any || depends[operand.index];
    for (ValueId result : node.results)
      depends[result.index] = any && is_float(graph.type(result).dtype);
  }
  return depends;
}

// Puts the bodies of composites without a rule of their own in their places, where the gradient
// passes.
Graph without_derived_composites(const Graph& graph, std::span<const ValueId> sources) {
  std::vector<bool> depends = dependents(graph, sources);
  auto derived = [](const OpDef& op) { return op.gradient.kind == GradientRule::Kind::derived; };
  auto passes = [&](NodeId id) {
    const Node& node = graph.node(id);
    return derived(*node.op) && std::any_of(node.results.begin(), node.results.end(),
                                            [&](ValueId result) { return depends[result.index]; });
  };
  return decompose_if(graph, passes, derived);
}

Var constant_of(GraphBuilder& builder, const TensorType& type, double value) {
  return ops::broadcast_to(builder, builder.scalar(type.dtype, value), type.shape);
}

class Differentiator {
 public:
  Differentiator(const Graph& graph, std::span<const ValueId> sources)
      : graph_(graph),
        builder_(graph),
        cotangents_(builder_),
        depends_(dependents(graph, sources)),
        contributions_(graph.value_count()),
        waiting_(graph, builder_) {}

  // The gradients of the sum of the targets, one for each source.
  std::vector<Var> run(std::span<const ValueId> sources, std::span<const ValueId> targets);
  GraphBuilder& builder() { return builder_; }
  // Whether a cotangent has come to the value.
  bool is_reached(ValueId value) const {
    return !contributions_[value.index].empty() || waiting_.any(value);
  }
  // Behind run(): by value.
  std::vector<bool> reached() const;
  const std::vector<bool>& depends() const { return depends_; }

 private:
  void visit(const Node& node);
  void visit_pointwise(const Node& node, const OpInstance& instance);
  // The product of matrices that a cotangent is a reshape of, where the node is behind one over
  // windows: a layer of features follows one of images. Invalid if it is none.
  Var flat_product(const Node& node, const Var& cotangent);
  // The op of a pointwise gradient. What comes as such a product is changed as that, and reshaped
  // behind it, for a kernel that computes a product changes what it stores in its own shape alone.
  Var apply_pointwise(const Node& node, PointwiseGradient gradient, const Var& cotangent);
  void visit_stated(const Node& node, const OpInstance& instance);
  void contribute(ValueId operand, Cotangent gradient, const OpDef& op);
  // The sum of the contributions to a value, invalid if there are none.
  Cotangent cotangent(ValueId value);
  std::vector<Var> vars(std::span<const ValueId> values);

  const Graph& graph_;  // `builder_` starts as its copy: ids of values are the same
  GraphBuilder builder_;
  Cotangents cotangents_;
  std::vector<bool> depends_;
  std::span<const ValueId> targets_;
  std::vector<std::vector<Cotangent>> contributions_;  // by value
  WaitingContributions waiting_;
  PointwiseGradients pointwise_;
};

std::vector<Var> Differentiator::run(std::span<const ValueId> sources,
                                     std::span<const ValueId> targets) {
  targets_ = targets;
  auto pin = [&](const Location& location) {
    builder_.pin_location(location.derived(kGradientOf));
  };
  for (ValueId target : targets) {
    if (!depends_[target.index]) continue;
    pin(graph_.value(target).location);
    contributions_[target.index].push_back({constant_of(builder_, graph_.type(target), 1), {}});
  }
  for (std::size_t i = graph_.nodes().size(); i-- > 0;) {
    const Node& node = graph_.nodes()[i];
    bool reached = std::any_of(node.results.begin(), node.results.end(),
                               [&](ValueId result) { return is_reached(result); });
    if (!reached) continue;
    pin(node.location);
    visit(node);
  }
  std::vector<Var> gradients;
  for (ValueId source : sources) {
    pin(graph_.value(source).location);
    Cotangent gradient = cotangent(source);
    gradients.push_back(gradient.valid() ? cotangents_.applied(gradient)
                                         : constant_of(builder_, graph_.type(source), 0));
  }
  builder_.pin_location(std::nullopt);
  return gradients;
}

std::vector<bool> Differentiator::reached() const {
  std::vector<bool> result;
  for (std::uint32_t i = 0; i < contributions_.size(); ++i) result.push_back(is_reached({i}));
  return result;
}

void Differentiator::visit(const Node& node) {
  std::vector<TensorType> types = types_of(graph_, node.operands);
  OpInstance instance{node.op, types, node.attributes};
  switch (node.op->gradient.kind) {
    case GradientRule::Kind::stated:
      return visit_stated(node, instance);
    case GradientRule::Kind::derived:
      if (node.op->pointwise) return visit_pointwise(node, instance);
      [[fallthrough]];
    default:
      refuse_gradient(graph_, node, targets_, {depends_, reached()});
  }
}

void Differentiator::visit_pointwise(const Node& node, const OpInstance& instance) {
  Cotangent incoming = cotangent(node.results[0]);
  std::vector<Var> operands = vars(node.operands);
  DType type = graph_.type(node.results[0]).dtype;
  for (std::size_t i = 0; i < operands.size(); ++i) {
    if (!depends_[node.operands[i].index]) continue;
    // Masks are of one element type.
    Cotangent outgoing = incoming;
    if (operands[i].dtype() != type) outgoing = {cotangents_.applied(incoming), {}};
    std::optional<PointwiseGradient> gradient =
        pointwise_.find(instance, i, operands, Var(builder_, node.results[0]), outgoing.value);
    if (!gradient) continue;
    if (gradient->masks) {
      outgoing = Cotangents::masked(std::move(outgoing),
                                    Mask{.id = {node.results[0].index, i},
                                         .op = gradient->op,
                                         .attributes = std::move(gradient->attributes),
                                         .operands = std::move(gradient->operands),
                                         .hole = gradient->hole,
                                         .selects = gradient->selects,
                                         .location = node.location.derived("gradient of")});
    } else if (gradient->op) {
      outgoing.value = apply_pointwise(node, *std::move(gradient), outgoing.value);
    }
    contribute(node.operands[i], std::move(outgoing), *node.op);
  }
}

// Whether an op is of what windows went over, or of what was normalized or added up of that.
bool is_of_images(const Graph& graph, const Node& node) {
  auto any_from = [&](const Node& of, auto&& holds) {
    return std::ranges::any_of(of.operands, [&](ValueId operand) {
      const Value& value = graph.value(operand);
      return value.kind == Value::Kind::result && holds(graph.node(value.producer));
    });
  };
  auto takes_images = [](const Node& from) { return from.op->takes_images; };
  return any_from(node, [&](const Node& from) {
    return from.op->takes_images || (from.operands.size() > 1 && any_from(from, takes_images));
  });
}

Var Differentiator::flat_product(const Node& node, const Var& cotangent) {
  auto producer = [&](ValueId id) -> const Node* {
    const Graph& graph = builder_.graph();
    const Value& value = graph.value(id);
    return value.kind == Value::Kind::result ? &graph.node(value.producer) : nullptr;
  };
  const Node* reshape = producer(cotangent.id());
  if (!reshape || !reshape->op->keeps_order) return {};
  const Node* product = producer(reshape->operands[0]);
  // Of narrow types it is rounded first.
  if (product && product->op->pointwise && product->operands.size() == 1)
    product = producer(product->operands[0]);
  if (!product || !product->op->is_contraction || !is_of_images(graph_, node)) return {};
  if (builder_.graph().type(reshape->operands[0]).shape.size() != 2) return {};
  return {builder_, reshape->operands[0]};
}

Var Differentiator::apply_pointwise(const Node& node, PointwiseGradient gradient,
                                    const Var& cotangent) {
  const Shape shape = cotangent.shape();
  const Var flat = flat_product(node, cotangent);
  const bool fits = flat.valid() && std::ranges::all_of(gradient.operands, [&](const Var& operand) {
                      return operand.shape() == shape || element_count(operand.shape()) == Dim(1);
                    });
  if (fits)
    for (Var& operand : gradient.operands)
      if (operand.shape() == shape)
        operand = operand.id() == cotangent.id() ? flat
                                                 : ops::reshape_to(builder_, operand, flat.shape());
  Var result =
      builder_.apply(*gradient.op, std::move(gradient.operands), std::move(gradient.attributes));
  return fits ? ops::reshape_to(builder_, result, shape) : result;
}

void Differentiator::visit_stated(const Node& node, const OpInstance& instance) {
  const GradientRule& rule = node.op->gradient;
  std::vector<Var> operands = vars(node.operands);
  std::vector<Var> results = vars(node.results);
  std::vector<Var> cotangents;
  std::vector<Mask> masks;
  auto reached = std::make_unique<bool[]>(results.size());
  for (std::size_t i = 0; i < results.size(); ++i) {
    ValueId result = node.results[i];
    // Zeros where nobody reads this result; nothing where it is not of floating point.
    Cotangent incoming = cotangent(result);
    reached[i] = incoming.valid();
    if (!incoming.valid()) {
      bool is_differentiable = is_float(graph_.type(result).dtype);
      cotangents.push_back(is_differentiable ? constant_of(builder_, graph_.type(result), 0)
                                             : Var());
    } else if (rule.moves) {
      cotangents.push_back(incoming.value);
      masks = std::move(incoming.masks);
    } else {
      cotangents.push_back(cotangents_.applied(incoming));
    }
  }
  auto wanted = std::make_unique<bool[]>(operands.size());
  for (std::size_t i = 0; i < operands.size(); ++i) {
    wanted[i] = depends_[node.operands[i].index];
    if (wanted[i] && masks.empty() && results.size() == 1 && waiting_.keep(node, i, cotangents[0]))
      wanted[i] = false;
  }
  if (std::none_of(wanted.get(), wanted.get() + operands.size(), [](bool any) { return any; }))
    return;
  auto gradients_of = [&](std::span<const Var> of) {
    std::vector<Var> gradients = rule.rule({builder_,
                                            instance,
                                            operands,
                                            results,
                                            of,
                                            {wanted.get(), operands.size()},
                                            {reached.get(), results.size()}});
    WEIR_CHECK(gradients.size() == operands.size(), node.op->name);
    return gradients;
  };
  std::vector<Cotangent> gradients;
  for (Var gradient : gradients_of(cotangents)) gradients.push_back({gradient, {}});
  for (const Mask& mask : masks) {
    std::vector<Mask> moved(operands.size(), mask);
    for (std::size_t k = 0; k < mask.operands.size(); ++k) {
      if (k == mask.hole && !mask.is_sum()) continue;
      bool same = mask.operands[k].id() == cotangents[0].id();
      Var whole = ops::broadcast_to(builder_, mask.operands[k], results[0].shape());
      std::vector<Var> parts = same ? std::vector<Var>() : gradients_of({&whole, 1});
      for (std::size_t i = 0; i < operands.size(); ++i)
        moved[i].operands[k] = same ? gradients[i].value : parts[i];
    }
    for (std::size_t i = 0; i < operands.size(); ++i) {
      if (!wanted[i] || !gradients[i].valid()) continue;
      // Another mask than the same one beside another value, and than what it was before it moved.
      moved[i].id = {gradients[i].value.id().index, gradients[i].masks.size()};
      gradients[i] = Cotangents::masked(std::move(gradients[i]), std::move(moved[i]));
    }
  }
  for (std::size_t i = 0; i < gradients.size(); ++i)
    if (wanted[i] && gradients[i].valid())
      contribute(node.operands[i], std::move(gradients[i]), *node.op);
}

void Differentiator::contribute(ValueId operand, Cotangent gradient, const OpDef& op) {
  const TensorType& type = graph_.type(operand);
  if (gradient.masks.empty() && waiting_.keep_broadcast(operand, gradient.value)) return;
  gradient = cotangents_.sum_to(std::move(gradient), type.shape);
  if (gradient.value.dtype() != type.dtype) {
    Var applied = cotangents_.applied(gradient);
    gradient = {builder_.apply("cast", {applied}, {{"dtype", type.dtype}}), {}};
  }
  WEIR_CHECK(gradient.value.type() == type,
             fmt::format("{}: a gradient of type {} for an operand of type {}", op.name,
                         to_string(gradient.value.type()), to_string(type)));
  contributions_[operand.index].push_back(std::move(gradient));
}

Cotangent Differentiator::cotangent(ValueId value) {
  std::vector<Cotangent>& parts = contributions_[value.index];
  for (Var part : waiting_.take(value)) parts.push_back({part, {}});
  if (parts.empty()) return {};
  Cotangent sum = cotangents_.sum(std::move(parts));
  parts = {sum};
  return sum;
}

std::vector<Var> Differentiator::vars(std::span<const ValueId> values) {
  std::vector<Var> result;
  for (ValueId value : values) result.emplace_back(builder_, value);
  return result;
}

}  // namespace

Gradients differentiate(const Graph& graph, std::span<const std::string> wrt,
                        const GradientOptions& options) {
  Graph prepared = without_derived_composites(graph, gradient_sources(graph, wrt));
  std::vector<ValueId> from = gradient_sources(prepared, wrt);
  Differentiator differentiator(prepared, from);
  std::vector<ValueId> to = gradient_targets(prepared, options.outputs);
  Gradients result;
  for (Var gradient : differentiator.run(from, to)) result.values.push_back(gradient.id());
  std::vector<bool> reached = differentiator.reached();
  for (ValueId source : from) result.reached.push_back(reached[source.index]);
  if (std::find(result.reached.begin(), result.reached.end(), true) == result.reached.end())
    result.cut = find_gradient_cut(prepared, to, {differentiator.depends(), reached});
  result.graph = std::move(differentiator.builder().graph());
  return result;
}

Graph gradient(const Graph& graph, std::span<const std::string> wrt,
               const GradientOptions& options) {
  Gradients gradients = differentiate(graph, wrt, options);
  for (std::size_t i = 0; i < wrt.size(); ++i) {
    std::string name = "grad_" + wrt[i];
    auto taken = [&] {
      auto outputs = gradients.graph.outputs();
      return std::any_of(outputs.begin(), outputs.end(),
                         [&](const Graph::Output& output) { return output.name == name; });
    };
    while (taken()) name = "grad_" + name;
    gradients.graph.add_output(gradients.values[i], name);
  }
  return std::move(gradients.graph);
}

}  // namespace weir
