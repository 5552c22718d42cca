#include "compiler/lowering/fusion.h"

#include <algorithm>
#include <optional>
#include <set>
#include <string_view>
#include <unordered_map>

#include "compiler/lowering/elements.h"
#include "ir/notes.h"
#include "ir/op.h"
#include "ir/scalar/affine.h"

namespace weir {
namespace {

using scalar::Arena;
using scalar::Id;
using scalar::Primitive;

// Costs are in the units of PrimitiveInfo::cost.
constexpr int kMaxInlineCost = 300;         // beyond it an expression is cut by storing it
constexpr int kRecomputeCost = 6;           // what a second computation may cost instead of a store
constexpr int kBroadcastCost = 8;           // likewise, for a computation that a broadcast repeats
constexpr std::int64_t kSmallValue = 4096;  // elements that may wait in memory for a distant use
constexpr std::size_t kMaxMembers = 64;     // in a group, which bounds the size of a kernel
constexpr std::int64_t kFewSteps = 64;  // of folds that share a loop over rows with private axes

// One node examined on its own: its result axes are axes 0, 1, ... (dimensions other than 1), the
// reduced axis, if any, is the next; operands that are not inline are loads of buffer ValueId::index.
struct Probe {
  struct Access {
    ValueId value;
    std::vector<Id> indices;
  };
  Arena arena;
  std::size_t result_axes = 0;
  Dim reduced_extent = 1;
  bool folds = false;
  bool multiplies = false;  // folds products, as a contraction does
  Reduction::Order order = Reduction::Order::chain;
  std::vector<Access> accesses;
};

struct Planner {
  const Graph& graph;
  const FusionOptions& options;
  FusionPlan plan;
  std::vector<int> use_count;    // by value
  std::vector<int> cost;         // by node: of one element when inline, operands included
  std::vector<bool> is_output;   // by value
  std::vector<bool> is_checked;  // by value: stored because something waits for it
  bool has_waits = false;        // whether anything waits for a value that it does not read

  Planner(const Graph& g, const FusionOptions& o) : graph(g), options(o) {
    plan.group_of.assign(graph.nodes().size(), FusionPlan::kInline);
    plan.stored.assign(graph.value_count(), false);
    use_count.assign(graph.value_count(), 0);
    is_output.assign(graph.value_count(), false);
    is_checked.assign(graph.value_count(), false);
    cost.assign(graph.nodes().size(), 0);
    for (const Node& node : graph.nodes())
      for (ValueId operand : node.operands) ++use_count[operand.index];
    for (const Graph::Output& output : graph.outputs()) {
      ++use_count[output.value.index];
      is_output[output.value.index] = true;
    }
    for (const std::vector<ValueId>& values : options.checked)
      for (ValueId value : values) is_checked[value.index] = true;
    has_waits = !options.checked.empty();
    for (const Node& node : graph.nodes()) {
      if (!node.op->waits_for) continue;
      has_waits = true;
      is_checked[node.operands[*node.op->waits_for].index] = true;
    }
  }

  bool is_member(NodeId id) const { return plan.group_of[id.index] >= 0; }
  bool is_inline(ValueId value) const {
    const Value& info = graph.value(value);
    return info.kind == Value::Kind::result &&
           plan.group_of[info.producer.index] == FusionPlan::kInline;
  }
  int group_of(ValueId value) const {
    const Value& info = graph.value(value);
    return info.kind == Value::Kind::result ? plan.group_of[info.producer.index]
                                            : FusionPlan::kSource;
  }

  Probe probe(const Node& node) const;
  int own_cost(const Node& node) const;
  bool has_reduction(const Node& node) const;
  bool is_stepped(const Node& node) const;
};

OpInstance instance_of(const Node& node, std::span<const TensorType> types) {
  return {node.op, types, node.attributes};
}

bool Planner::has_reduction(const Node& node) const {
  if (!node.op->comprehension || node.op->pointwise || node.op->data) return false;
  std::vector<TensorType> types = types_of(graph, node.operands);
  return node.op->comprehension(instance_of(node, types)).reduction.has_value();
}

bool Planner::is_stepped(const Node& node) const {
  if (!node.op->steps) return false;
  std::vector<TensorType> types = types_of(graph, node.operands);
  return !node.op->composite_for(instance_of(node, types));
}

int Planner::own_cost(const Node& node) const {
  if (node.op->data) return 0;
  std::vector<TensorType> types = types_of(graph, node.operands);
  if (!node.op->pointwise)
    return node.op->is_movement
               ? static_cast<int>(node.operands.size()) - (node.op->waits_for ? 2 : 1)
               : 1;
  Arena arena;
  Id root = pointwise_expression(arena, instance_of(node, types)).id();
  int total = 0;
  for (Id id : scalar::reachable(arena, std::span(&root, 1)))
    total += scalar::info(arena[id].primitive).cost;
  return total;
}

Probe Planner::probe(const Node& node) const {
  Probe result;
  std::vector<Location> locations;
  Arena& arena = result.arena;
  ElementBuilder builder(
      graph, arena, locations, [&](ValueId value, std::span<const Id> indices, Id guard) {
        if (is_inline(value)) return Id{};
        const Value& info = graph.value(value);
        if (info.kind == Value::Kind::result) {
          const Node& producer = graph.node(info.producer);
          if (producer.op->data && splat_value(*producer.op->data(producer.attributes)))
            return Id{};
        }
        return load_element(arena, value.index, info.type, indices, guard);
      });
  Shape shape = without_ones(graph.type(node.results[0]).shape);
  result.result_axes = shape.size();
  std::vector<Id> axes;
  for (std::size_t i = 0; i < shape.size(); ++i)
    axes.push_back(arena.axis(static_cast<std::uint32_t>(i), shape[i]));
  std::vector<Id> indices = spread_indices(arena, graph.type(node.results[0]).shape, axes);
  std::vector<Id> roots;
  std::vector<TensorType> types = types_of(graph, node.operands);
  if (is_stepped(node)) {
    Steps steps = node.op->steps(instance_of(node, types));
    for (const Dim& extent : without_ones(steps.extents))
      axes.push_back(arena.axis(static_cast<std::uint32_t>(axes.size()), extent));
    std::span<const Id> own = std::span<const Id>(axes).subspan(result.result_axes);
    roots = builder.step(node, steps, spread_indices(arena, steps.extents, own));
    if (steps.start) roots.push_back(builder.element(node.operands[*steps.start], indices));
  } else if (has_reduction(node)) {
    Comprehension comprehension = node.op->comprehension(instance_of(node, types));
    result.folds = true;
    result.order = comprehension.reduction->order;
    for (const Dim& extent : comprehension.reduce_extents)
      result.reduced_extent = result.reduced_extent * extent;
    Id reduced = arena.axis(static_cast<std::uint32_t>(axes.size()), result.reduced_extent);
    std::vector<Id> split = delinearize(arena, reduced, comprehension.reduce_extents);
    roots = builder.folded_elements(node, comprehension, indices, split);
    result.multiplies = roots.size() != comprehension.reduction->types.size();
  } else {
    for (ValueId value : node.results) roots.push_back(builder.written_out(value, indices));
  }
  for (Id id : scalar::reachable(arena, roots)) {
    const scalar::Node& made = arena[id];
    if (!scalar::is_load(made.primitive)) continue;
    if (made.payload == node.results[0].index) continue;  // a step's own result
    std::span<const Id> element = arena.load_indices(id);
    result.accesses.push_back(
        {ValueId{static_cast<std::uint32_t>(made.payload)}, {element.begin(), element.end()}});
  }
  return result;
}

bool depends_on(const Arena& arena, Id id, Id leaf) {
  for (Id reached : scalar::reachable(arena, std::span(&id, 1)))
    if (reached == leaf) return true;
  return false;
}

// Finds the domain of a fold from an operand that it reads along all result axes and, in adjacent
// dimensions, along the reduced axis. Without such an operand the reduced axis is private.
Group domain_of_fold(const Graph& graph, Probe& probe, const Shape& result_shape) {
  Arena& arena = probe.arena;
  std::size_t rows = probe.result_axes;
  Id reduced = arena.axis(static_cast<std::uint32_t>(rows), probe.reduced_extent);
  for (const Probe::Access& access : probe.accesses) {
    const Shape& shape = graph.type(access.value).shape;
    Group group;
    std::size_t next_row = 0;
    bool fits = true, seen = false;
    for (std::size_t i = 0; i < shape.size() && fits; ++i) {
      if (shape[i] == Dim(1)) continue;
      Id index = access.indices[i];
      if (depends_on(arena, index, reduced)) {
        if (!seen) group.inner_begin = group.inner_end = group.domain.size();
        fits = group.inner_end == group.domain.size();
        seen = true;
        group.domain.push_back(shape[i]);
        ++group.inner_end;
      } else {
        // Under a guard, as in a concat, an operand may be shorter than the rows.
        fits = next_row < rows && shape[i] == result_shape[next_row] &&
               index == arena.axis(static_cast<std::uint32_t>(next_row), result_shape[next_row]);
        ++next_row;
        group.domain.push_back(shape[i]);
      }
    }
    Dim inner_count = 1;
    for (const Dim& dim : group.inner()) inner_count = inner_count * dim;
    if (fits && seen && next_row == rows && inner_count == probe.reduced_extent) return group;
  }
  Group group;
  group.domain = result_shape;
  group.contraction = true;
  return group;
}

// The index at which a node of the given level reads a member's element of its own row (and its own
// point of the inner range), in the axes of a probe.
std::vector<Id> aligned_indices(Arena& arena, const Group& group, MemberLevel reader,
                                MemberLevel read, const Shape& read_shape) {
  // The reader's axes that stand for each dimension of the domain.
  std::vector<Id> domain_axes;
  std::uint32_t next = 0;
  if (reader == MemberLevel::full) {
    for (const Dim& dim : group.domain) domain_axes.push_back(arena.axis(next++, dim));
  } else {
    Shape rows = group.rows(), inner = group.inner();
    std::vector<Id> row_axes;
    for (const Dim& dim : rows) row_axes.push_back(arena.axis(next++, dim));
    std::vector<Id> inner_axes(inner.size());
    if (reader == MemberLevel::fold) {
      Dim count = 1;
      for (const Dim& dim : inner) count = count * dim;
      inner_axes = delinearize(arena, arena.axis(next, count), inner);
    }
    domain_axes = row_axes;
    domain_axes.insert(domain_axes.begin() + static_cast<std::ptrdiff_t>(group.inner_begin),
                       inner_axes.begin(), inner_axes.end());
  }
  if (read != MemberLevel::full)
    domain_axes.erase(domain_axes.begin() + static_cast<std::ptrdiff_t>(group.inner_begin),
                      domain_axes.begin() + static_cast<std::ptrdiff_t>(group.inner_end));
  return spread_indices(arena, read_shape, domain_axes);
}

// Whether every value of `group` that the probed node reads is read at the reader's own place.
bool reads_in_place(const Planner& planner, Probe& probe, const Group& group, int number,
                    MemberLevel level) {
  for (const Probe::Access& access : probe.accesses) {
    if (planner.group_of(access.value) != number) continue;
    NodeId producer = planner.graph.value(access.value).producer;
    auto member = std::find_if(group.members.begin(), group.members.end(),
                               [&](const GroupMember& m) { return m.node == producer; });
    WEIR_CHECK(member != group.members.end());
    if (member->level == MemberLevel::full && level == MemberLevel::row) return false;
    if (access.indices != aligned_indices(probe.arena, group, level, member->level,
                                          planner.graph.type(access.value).shape))
      return false;
  }
  return true;
}

// Whether the probed fold has as many steps as all that the group of private axes folds, and they are few and no products: the
// windows of a pooling, of which a kernel finds the greatest and its place. A contraction has its registers for itself.
bool folds_alike(const Planner& planner, const Probe& probe, const Group& group) {
  const std::optional<std::int64_t> steps = probe.reduced_extent.constant();
  if (probe.multiplies || !steps || *steps > kFewSteps) return false;
  return std::ranges::all_of(group.members, [&](const GroupMember& member) {
    if (member.level != MemberLevel::fold) return true;
    const Probe other = planner.probe(planner.graph.node(member.node));
    return !other.multiplies && other.reduced_extent == probe.reduced_extent;
  });
}

// How the node would take part in the group, if it can. May turn a group of maps into one with an inner
// range.
std::optional<MemberLevel> level_in(const Planner& planner, Probe& probe, const Shape& shape,
                                    Group& group, int number) {
  if (group.members.size() >= kMaxMembers || group.steps) return std::nullopt;
  if (!probe.folds) {
    std::optional<MemberLevel> level;
    if (shape == group.domain && !group.contraction) level = MemberLevel::full;
    if (group.contraction && shape == group.domain) level = MemberLevel::row;
    if (!level && group.has_inner() && shape == group.rows()) level = MemberLevel::row;
    if (level && reads_in_place(planner, probe, group, number, *level)) return level;
    return std::nullopt;
  }
  Group own = domain_of_fold(planner.graph, probe, shape);
  if (group.contraction) {
    const bool reads_member = std::ranges::any_of(probe.accesses, [&](const Probe::Access& access) {
      return planner.group_of(access.value) == number;
    });
    if (!own.contraction || own.domain != group.domain || reads_member ||
        !folds_alike(planner, probe, group))
      return std::nullopt;
    return MemberLevel::fold;
  }
  if (own.contraction || own.domain != group.domain) return std::nullopt;
  if (group.has_inner()) {
    if (own.inner_begin != group.inner_begin || own.inner_end != group.inner_end)
      return std::nullopt;
    if (!reads_in_place(planner, probe, group, number, MemberLevel::fold)) return std::nullopt;
    return MemberLevel::fold;
  }
  // A group of maps keeps its parallelism unless rows remain, and its vectors unless the folded range
  // is the innermost one.
  if (own.rows().empty() || probe.order != Reduction::Order::lanes) return std::nullopt;
  Group turned = group;
  turned.inner_begin = own.inner_begin;
  turned.inner_end = own.inner_end;
  if (!reads_in_place(planner, probe, turned, number, MemberLevel::fold)) return std::nullopt;
  group = std::move(turned);
  return MemberLevel::fold;
}

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

// The axes along which a node's steps are independent, but those of size 1.
Shape independent_axes(const Graph& graph, const Node& node) {
  std::vector<TensorType> types = types_of(graph, node.operands);
  Steps steps = node.op->steps(instance_of(node, types));
  Shape result;
  for (std::size_t i = 0; i < steps.extents.size(); ++i)
    if (!steps.in_order[i] && steps.extents[i] != Dim(1)) result.push_back(steps.extents[i]);
  return result;
}

// The latest group that computes what has to be there, or to be checked, before the node, or a node that is written out
// for it, may run; -1 if there is none.
int latest_check(const Planner& planner, NodeId id) {
  int latest = -1;
  if (!planner.has_waits) return latest;
  std::set<NodeId> seen;
  std::vector<NodeId> open{id};
  while (!open.empty()) {
    NodeId node = open.back();
    open.pop_back();
    if (!seen.insert(node).second) continue;
    if (!planner.options.checked.empty())
      for (ValueId value : planner.options.checked[node.index])
        latest = std::max(latest, planner.group_of(value));
    const Node& made = planner.graph.node(node);
    if (made.op->waits_for)
      latest = std::max(latest, planner.group_of(made.operands[*made.op->waits_for]));
    for (ValueId operand : made.operands)
      if (planner.is_inline(operand)) open.push_back(planner.graph.value(operand).producer);
  }
  return latest;
}

// Decides which nodes stay inline. A member may still turn out not to be stored.
void choose_members(Planner& planner) {
  const Graph& graph = planner.graph;
  std::vector<bool> member(graph.nodes().size());
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
    if (node.op->data) {
      planner.plan.group_of[i] = FusionPlan::kSource;
      continue;
    }
    bool folds = planner.has_reduction(node);
    std::vector<TensorType> types = types_of(graph, node.operands);
    for (ValueId operand : node.operands) {
      int operand_cost = inline_cost(operand);
      if (operand_cost == 0) continue;
      if (folds) {
        // A contraction reads its operands many times; a plain reduction reads each element once.
        Dim reduced = 1;
        for (const Dim& extent :
             node.op->comprehension({node.op, types, node.attributes}).reduce_extents)
          reduced = reduced * extent;
        Dim points = reduced * element_count(graph.type(node.results[0]).shape);
        if (element_count(graph.type(operand).shape) != points) store(operand);
      } else if (operand_cost >= kBroadcastCost && repeats(graph, node, operand)) {
        store(operand);
      }
    }
    int total = planner.own_cost(node);
    for (ValueId operand : node.operands) total += inline_cost(operand);
    if (total > kMaxInlineCost) {
      // Cut below: the costliest operands become values of their own.
      for (ValueId operand : node.operands)
        if (inline_cost(operand) > kMaxInlineCost / 4) store(operand);
      total = planner.own_cost(node);
      for (ValueId operand : node.operands) total += inline_cost(operand);
    }
    planner.cost[i] = total;
    int uses = 0;
    bool output = false;
    for (ValueId result : node.results) {
      uses += planner.use_count[result.index];
      output = output || planner.is_output[result.index] || planner.is_checked[result.index];
    }
    member[i] = folds || node.op->steps || node.op->is_stored || output || !planner.options.fuse ||
                (uses > 1 && total > kRecomputeCost);
  }
  for (std::size_t i = 0; i < member.size(); ++i)
    if (member[i]) planner.plan.group_of[i] = INT32_MAX;  // a member, group to be chosen
}

// The nodes in the order in which groups form: before all others small values that come from params alone, which
// no run updates, as the factor of a batch_norm; and single elements that come from such, as the rate and the count
// of a step. Their group would otherwise lie between a convolution, or the gradient of a weight, and what follows it.
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

}  // namespace

Shape Group::rows() const {
  Shape result = domain;
  result.erase(result.begin() + static_cast<std::ptrdiff_t>(inner_begin),
               result.begin() + static_cast<std::ptrdiff_t>(inner_end));
  return result;
}

Shape without_ones(const Shape& shape) {
  Shape result;
  for (const Dim& dim : shape)
    if (dim != Dim(1)) result.push_back(dim);
  return result;
}

FusionPlan plan_fusion(const Graph& graph, const FusionOptions& options) {
  Planner planner(graph, options);
  choose_members(planner);
  FusionPlan& plan = planner.plan;
  std::vector<std::set<ValueId>> reads;  // by group
  for (std::uint32_t i : order_of_nodes(planner)) {
    if (plan.group_of[i] != INT32_MAX) continue;
    const Node& node = graph.nodes()[i];
    Probe probe = planner.probe(node);
    Shape shape = without_ones(graph.type(node.results[0]).shape);
    int latest = -1;
    for (const Probe::Access& access : probe.accesses)
      latest = std::max(latest, planner.group_of(access.value));
    std::optional<MemberLevel> level;
    int checked = latest_check(planner, NodeId{i});
    bool stepped = planner.is_stepped(node);
    if (options.fuse && latest > checked && !stepped)
      level =
          level_in(planner, probe, shape, plan.groups[static_cast<std::size_t>(latest)], latest);
    // Behind its producers, a node may share the loop of a group that reads what it reads.
    auto reads_too = [&](std::size_t group) {
      return std::any_of(
          probe.accesses.begin(), probe.accesses.end(),
          [&](const Probe::Access& access) { return reads[group].contains(access.value); });
    };
    // What a gradient alone reads would be kept for it, were it computed in the forward pass.
    auto passes_differ = [&](std::uint32_t reader, const Group& group) {
      auto is_of_gradient = [&](NodeId id) {
        return std::string_view(graph.node(id).location.note).starts_with(kGradientOf);
      };
      return is_of_gradient({reader}) != is_of_gradient(group.members.front().node);
    };
    for (std::size_t k = static_cast<std::size_t>(std::max(latest, checked) + 1);
         options.fuse && !level && !stepped && k < plan.groups.size(); ++k) {
      Group& group = plan.groups[k];
      if ((group.contraction ? !probe.folds || passes_differ(i, group)
                             : group.has_inner() != probe.folds) ||
          !reads_too(k))
        continue;
      level = level_in(planner, probe, shape, group, static_cast<int>(k));
      if (level) latest = static_cast<int>(k);
    }
    if (!level) {
      latest = static_cast<int>(plan.groups.size());
      Group group;
      if (probe.folds) {
        group = domain_of_fold(graph, probe, shape);
        level = MemberLevel::fold;
      } else {
        group.domain = stepped ? independent_axes(graph, node) : shape;
        group.steps = stepped;
        level = MemberLevel::full;
      }
      plan.groups.push_back(std::move(group));
      reads.emplace_back();
    }
    for (const Probe::Access& access : probe.accesses)
      reads[static_cast<std::size_t>(latest)].insert(access.value);
    plan.group_of[i] = latest;
    plan.groups[static_cast<std::size_t>(latest)].members.push_back({NodeId{i}, *level});
    for (const Probe::Access& access : probe.accesses)
      if (planner.group_of(access.value) >= 0 && planner.group_of(access.value) != latest)
        plan.stored[access.value.index] = true;
  }
  for (const Graph::Output& output : graph.outputs())
    if (planner.group_of(output.value) >= 0) plan.stored[output.value.index] = true;
  for (std::uint32_t value = 0; value < graph.value_count(); ++value)
    if (planner.is_checked[value] && planner.group_of(ValueId{value}) >= 0)
      plan.stored[value] = true;
  return plan;
}

std::vector<NodeId> computed_nodes(const Graph& graph, const FusionPlan& plan, std::size_t group) {
  std::set<NodeId> found;
  std::vector<NodeId> open;
  for (const GroupMember& member : plan.groups[group].members) open.push_back(member.node);
  while (!open.empty()) {
    NodeId node = open.back();
    open.pop_back();
    if (!found.insert(node).second) continue;
    for (ValueId operand : graph.node(node).operands) {
      NodeId producer = graph.value(operand).producer;
      if (producer.valid() && plan.group_of[producer.index] == FusionPlan::kInline)
        open.push_back(producer);
    }
  }
  return {found.begin(), found.end()};
}

}  // namespace weir
