#include "compiler/lowering/fusion.h"

#include <algorithm>
#include <optional>
#include <set>
#include <string_view>

#include "compiler/lowering/choose_members.h"
#include "compiler/lowering/elements.h"
#include "compiler/lowering/fusion_planner.h"
#include "compiler/lowering/join_group.h"
#include "ir/notes.h"
#include "ir/op.h"

namespace weir {
namespace {

// The axes along which a node's steps are independent, but those of size 1.
Shape independent_axes(const Graph& graph, const Node& node) {
  std::vector<TensorType> types = types_of(graph, node.operands);
  Steps steps = node.op->steps(instance_of(node, types));
  Shape result;
  for (std::size_t i = 0; i < steps.extents.size(); ++i)
    if (!steps.in_order[i] && steps.extents[i] != Dim(1)) result.push_back(steps.extents[i]);
  return result;
}

// The latest group that computes what has to be there, or to be checked, before the node, or a node
// that is written out for it, may run; -1 if there is none.
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
    std::optional<GroupMember> member;
    int checked = latest_check(planner, NodeId{i});
    const bool parted = planner.is_parted(node);
    const bool stepped = planner.is_stepped(node), alone = stepped || parted;
    if (options.fuse && latest > checked && !alone)
      member = member_of(planner, NodeId{i}, probe, shape,
                         plan.groups[static_cast<std::size_t>(latest)], latest);
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
         options.fuse && !member && !alone && k < plan.groups.size(); ++k) {
      Group& group = plan.groups[k];
      if ((group.contraction ? !probe.folds || passes_differ(i, group)
                             : group.has_inner() != probe.folds) ||
          !reads_too(k))
        continue;
      member = member_of(planner, NodeId{i}, probe, shape, group, static_cast<int>(k));
      if (member) latest = static_cast<int>(k);
    }
    if (!member) {
      latest = static_cast<int>(plan.groups.size());
      Group group;
      member = {NodeId{i}, probe.folds ? MemberLevel::fold : MemberLevel::full};
      if (probe.folds) {
        group = domain_of_fold(graph, probe, shape);
      } else {
        group.domain = stepped ? independent_axes(graph, node) : shape;
        group.steps = stepped;
        group.parts = parted;
      }
      plan.groups.push_back(std::move(group));
      reads.emplace_back();
    }
    for (const Probe::Access& access : probe.accesses)
      reads[static_cast<std::size_t>(latest)].insert(access.value);
    plan.group_of[i] = latest;
    Group& joined = plan.groups[static_cast<std::size_t>(latest)];
    joined.members.push_back(std::move(*member));
    joined.work += work_of(planner, NodeId{i}, probe);
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
  for (const GroupMember& member : plan.groups[group].members) {
    found.insert(member.node);
    const std::vector<NodeId> inside = inline_nodes(graph, plan, graph.node(member.node).operands);
    found.insert(inside.begin(), inside.end());
  }
  return {found.begin(), found.end()};
}

std::vector<NodeId> inline_nodes(const Graph& graph, const FusionPlan& plan,
                                 const std::vector<ValueId>& values) {
  std::set<NodeId> found;
  std::vector<ValueId> open = values;
  while (!open.empty()) {
    const NodeId producer = graph.value(open.back()).producer;
    open.pop_back();
    if (!producer.valid() || plan.group_of[producer.index] != FusionPlan::kInline ||
        !found.insert(producer).second)
      continue;
    const std::vector<ValueId>& operands = graph.node(producer).operands;
    open.insert(open.end(), operands.begin(), operands.end());
  }
  return {found.begin(), found.end()};
}

}  // namespace weir
