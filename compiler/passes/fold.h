// Constant folding.
#pragma once

#include "ir/graph.h"

namespace weir {

// Replaces nodes whose operands are all constants by constants, computed by the interpreter in
// expanded mode at one fixed numerics (with FMA), so that a graph folds alike wherever it is
// compiled.
//
// A pointwise node whose operands each have one known number in every element (a broadcast
// constant) becomes the broadcast of one number, whatever its size, symbols included.
//
// A node stays otherwise when folding it does not pay: when the constant would be large (over 1
// MiB), or larger than the constants it is made of (a broadcast, an iota), except for a few bytes;
// when it takes much computing; and when its evaluation fails, which is the running program's to
// report. Composite nodes stay; decompose them first. Params are not constants.
Graph fold(Graph graph);

}  // namespace weir
