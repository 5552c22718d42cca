// The table of what the backward pass needs of the forward pass: of a graph that
// compiler/rematerialize/rematerialize.h has made its choices in, and the program that it was
// lowered to.
//
// A kernel is of the backward pass if it computes something of it. What lies in memory between the
// passes is every buffer that holds a value of the forward pass, written for that pass, and that a
// kernel of the backward pass reads. It is the value itself, or a copy that a contraction has laid
// out for it - turned, in panels, or with a frame of zeros - in place of the value or beside it; of
// inputs and params, copies alone. A copy that none but kernels of the backward pass read is made
// by the backward pass, which then needs what it is made of. Bytes are those of the buffers, and
// which copies there are depends on the processor that the program is for.
#pragma once

#include <string>
#include <vector>

#include "compiler/lowering/program.h"
#include "ir/graph.h"

namespace weir {

// One buffer that the backward pass needs, or a value that it computes again.
struct KeptValue {
  ValueId value;
  std::string name;  // "%h", as the graph prints it
  TensorType type;
  std::string choice;  // "value", "output", "mask", "bits", "choice" or "recomputed"
  // How it lies in memory, if not as the value: "framed as f32[N, 34, 34, 3]", "in panels as ...",
  // "turned as ..." of copies, and "sums as ..." of what is left of a value that is only summed up.
  std::string form;
  Dim bytes = 0;  // between the passes
  // Not of an output of the program, which lies in memory of its caller's, nor of state.
  bool in_workspace = true;
};

// In the order of the graph, and of the program for one value's.
std::vector<KeptValue> kept_values(const Graph& graph, const Program& program);

// As a table, with the sum; dimensions that have a size here are replaced by it.
std::string print_kept_values(const Graph& graph, const Program& program,
                              const Dim::Bindings& sizes = {});

}  // namespace weir
