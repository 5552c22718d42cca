// The reference documentation of the ops, written from the registry alone.
#pragma once

#include <string>

#include "ir/op.h"

namespace weir {

// All that there is to know of one op, as terminal text of at most 80 columns: what it computes,
// the expressions of a pointwise op and of its gradients, operands, attributes, semantics.
std::string op_page(const OpDef& op);
// All ops by family, one line each.
std::string op_list();
// The whole reference as Markdown: docs/ops.md.
std::string markdown_reference();

}  // namespace weir
