// Where a concat's operands are in its result.
#pragma once

#include <vector>

#include "ir/op.h"

namespace weir::ops {

// By operand; none of an instance of another op.
std::vector<AxisRange> concat_parts(const OpInstance& instance);

}  // namespace weir::ops
