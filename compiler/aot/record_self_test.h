// What a self test is to find: values that the interpreter computes as the code for a target does,
// bit for bit.
#pragma once

#include <span>

#include "compiler/codegen/self_test.h"
#include "compiler/lowering/target.h"
#include "ir/builder.h"
#include "ir/graph.h"

namespace weir {

// Sizes for the graph's symbols, which stand in the order of `symbols`, are small ones that it
// accepts. Error if none are found, or if the graph cannot be interpreted.
SelfTest record_self_test(const Graph& graph, const Weights& weights,
                          std::span<const std::string> symbols, std::span<const Target> variants);

}  // namespace weir
