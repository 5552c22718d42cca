// What a self test is to find: values that the interpreter computes as the code for a target does,
// bit for bit.
#pragma once

#include <span>

#include "compiler/codegen/self_test.h"
#include "compiler/lowering/program.h"
#include "compiler/lowering/target.h"
#include "ir/builder.h"
#include "ir/graph.h"

namespace weir {

// `program` is what the graph was lowered to. Sizes for its symbols are small ones that it accepts.
// Error if none are found, or if the graph cannot be interpreted.
SelfTest record_self_test(const Graph& graph, const Weights& weights, const Program& program,
                          std::span<const Target> variants);

}  // namespace weir
