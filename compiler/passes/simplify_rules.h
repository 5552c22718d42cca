// The rules of the simplify pass: the same table is what its test fuzzes.
#pragma once

#include <span>

#include "compiler/passes/rewrite_rule.h"

namespace weir {

// Every rule is exact, bit for bit, and leaves less to compute, so that applying rules ends.
std::span<const RewriteRule> simplify_rules();

}  // namespace weir
