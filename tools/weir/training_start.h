// What `weir train` starts from, and what it says of that.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "compiler/frontend/load_limits.h"
#include "compiler/training/data_set.h"
#include "ir/builder.h"

namespace weir::tool {

struct TrainingStart {
  Model model;
  std::string line;  // about where its values are from
  // The files that it is in, and the one among them that is taken for its values because it lies
  // beside the model; empty if there is none.
  std::vector<std::string> files;
  std::string beside;
};

// The model of a file with the values of `weights`, if that is not empty, else with those that it
// has or that lie beside it; params that have none get new ones by the seed.
TrainingStart read_start(const std::string& model, const std::string& weights,
                         const LoadLimits& limits, std::uint64_t seed);

// Error if what is written is the file beside the model.
void check_beside(const TrainingStart& start, const std::string& model,
                  std::span<const std::string> written);

// Whether each batch of so many rows of the set leaves a normalization by its statistics more than
// one value for each of them (find_lone_value()): Error if none does, and a warning if the last one
// of an epoch, which has what is left, does not. A batch of more rows than there are is the fit's to
// refuse.
void check_batches(const Graph& graph, const DataSet& set, std::int64_t batch);

// Which params stay as they are (TrainingStep::unreached), and why; nothing if there is none.
std::string unreached_line(std::span<const std::string> params);

}  // namespace weir::tool
