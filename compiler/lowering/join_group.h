// How a node takes part in a group of fusion.h.
#pragma once

#include <optional>

#include "compiler/lowering/fusion.h"
#include "compiler/lowering/fusion_planner.h"

namespace weir {

// Finds the domain of a fold from an operand that it reads along all result axes and, in adjacent
// dimensions, along the reduced axis. Without such an operand the reduced axis is private.
Group domain_of_fold(const Graph& graph, Probe& probe, const Shape& result_shape);

// What code is generated of a node that is no part of another one: primitives, in the units of
// PrimitiveInfo::cost, and loads.
int work_of(const Planner& planner, NodeId node, const Probe& probe);

// How the node would take part in the group, if it can. May turn a group of maps into one with an
// inner range.
std::optional<GroupMember> member_of(const Planner& planner, NodeId node, Probe& probe,
                                     const Shape& shape, Group& group, int number);

}  // namespace weir
