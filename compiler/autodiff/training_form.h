// A model as it is trained: ops that do something else in training (OpDef::in_training) are
// replaced.
//
//   %y = dropout(%x)                   ->  %y = dropout(%x, %random.counter) {seed = ...}
//   %y = batch_norm(%x, ..., %m, %v)   ->  %y, %next_m, %next_v = batch_norm_training(...)
//                                          return ..., %next_m updates %m, %next_v updates %v
//
// The model as declared is the one for inference, so that one graph serves both.
#pragma once

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

// Error if a param would be updated twice, or the name of the counter is taken.
TrainedModel training_form(const Graph& graph);

}  // namespace weir
