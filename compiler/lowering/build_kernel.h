// Builds the kernel of one fusion group.
#pragma once

#include <optional>
#include <vector>

#include "compiler/lowering/fusion.h"
#include "compiler/lowering/kernel.h"
#include "ir/graph.h"

namespace weir {

struct BuiltKernel {
  Kernel kernel;
  std::vector<ValueId> values;  // of each parameter
};

BuiltKernel build_kernel(const Graph& graph, const FusionPlan& plan, std::size_t group);

// Of a group whose member is written in steps: the kernel that runs before its own, and makes the
// result what it is before the first step. Nothing if the steps write all of it.
std::optional<BuiltKernel> build_start_kernel(const Graph& graph, const FusionPlan& plan,
                                              std::size_t group);

// One operand of a concat, stored where it is in the result: its first element that the kernel
// writes there, in bytes.
struct BuiltPart {
  BuiltKernel kernel;  // whose last value is the result
  std::vector<NodeId> nodes;
  Dim begin;
};
// Of a group of parts.
std::vector<BuiltPart> build_parts(const Graph& graph, const FusionPlan& plan, std::size_t group);

// The kernel that copies a value: for an output that is an input, a constant, or another output.
BuiltKernel build_copy_kernel(const Graph& graph, ValueId value);

}  // namespace weir
