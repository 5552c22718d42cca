// Random convolutions: programs of conv, conv_transpose and their gradients, with many sizes to run
// each at.
//
// What a program costs is its compilation, so most have symbols for the batch and for the extents
// of images, and each run is of another shape. Sizes that are known ahead take other code, and some
// programs have only such.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ir/graph.h"

namespace weir::test {

struct Convolutions {
  Graph graph;
  std::vector<Dim::Bindings> sizes;  // at each of which every value has a shape
  bool special = false;              // NaN and infinities among the values
};

// The program of a seed: one convolution with what follows it, or one with its gradients for all
// operands.
Convolutions random_convolutions(std::uint64_t seed);

// Every convolution that a run computes, with the types and attributes that it has there.
std::vector<std::string> describe_convolutions(const Graph& graph, const Dim::Bindings& sizes);

}  // namespace weir::test
