// A model as it is trained: ops that do something else in training (OpDef::in_training) are
// replaced.
//
//   %y = dropout(%x)                   ->  %y = dropout(%x, %random.counter) {seed = ...}
//   %y = batch_norm(%x, ..., %m, %v)   ->  %y, %next_m, %next_v = batch_norm_training(...)
//                                          return ..., %next_m updates %m, %next_v updates %v
//
// The model as declared is the one for inference, so that one graph serves both.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_set>

#include "ir/builder.h"
#include "ir/graph.h"

namespace weir {

struct TrainedModel {
  // With further updates behind the outputs and, if numbers are drawn, a further param behind the
  // others, random.counter of i64[], which counts the steps.
  Graph graph;
  // The first value of that.
  Weights initial;
  // Names of all params that the graph updates, by itself or in this form.
  std::unordered_set<std::string> updated;
};

// The counter of random numbers; its value in a training of this seed when nothing is trained yet,
// which is 0 for the seed 0. The numbers of other seeds begin elsewhere among 2^32.
inline constexpr const char* kRandomCounter = "random.counter";
Tensor first_random_counter(std::uint64_t seed);

// Error if a param would be updated twice, or the name of the counter is taken.
TrainedModel training_form(const Graph& graph);

}  // namespace weir
