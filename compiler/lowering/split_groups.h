// Rows by their group.
//
// Each filter of a grouped convolution sees the channels of its group, which is a quotient of the
// filter's number: read by that, no two filters share what they read. So the axis of the filters is
// cut in two: the group, which becomes an outer axis, and the filter within it. What is left for
// one group is a convolution like any other, with its tiles and panels.
//
// The points that are computed, and each in what order, stay as they are.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "compiler/lowering/kernel.h"

namespace weir {

// Cuts the row axes whose quotient by a constant, which divides their extent, chooses a part of a
// dimension that a fold in chain order reads from: that part has elements of its own beside. A
// filter of one channel has none, and stays.
void split_groups(Kernel& kernel);

// The row axes that may count groups: nothing is indexed by one of them alone.
std::vector<bool> group_axes(const Kernel& kernel);

// The axis along which an index runs one by one: the index itself, or the axis within groups that
// one of those counts.
std::optional<std::uint32_t> axis_within_group(const Kernel& kernel,
                                               const std::vector<bool>& group_axes,
                                               scalar::Id index);

}  // namespace weir
