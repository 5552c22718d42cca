// Which nodes of a graph are computed by a group of fusion.h, and in which order groups form.
#pragma once

#include <cstdint>
#include <vector>

#include "compiler/lowering/fusion_planner.h"

namespace weir {

// Decides which nodes stay inline. A member may still turn out not to be stored.
void choose_members(Planner& planner);

// The nodes in the order in which groups form: before all others small values that come from params
// alone, which no run updates, as the factor of a batch_norm; and single elements that come from
// such, as the rate and the count of a step. Their group would otherwise lie between a convolution,
// or the gradient of a weight, and what follows it.
std::vector<std::uint32_t> order_of_nodes(const Planner& planner);

}  // namespace weir
