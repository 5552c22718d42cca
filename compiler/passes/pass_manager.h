// The table of graph passes, and running them by name.
#pragma once

#include <chrono>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ir/graph.h"

namespace weir {

struct Pass {
  std::string_view name;
  Graph (*run)(Graph);       // gives back the graph itself where nothing is to do
  std::string_view summary;  // one line
};

// All passes, in the order in which they are documented.
std::span<const Pass> all_passes();

// Names of the passes that a compilation runs, in order; the reasons for it stand in
// pass_manager.cc.
std::span<const std::string> default_passes();

// Whether this is a build with checks.
bool is_checked_build();

struct PassOptions {
  // Called after each pass, if set.
  std::function<void(const Pass&, const Graph&)> after_each;
  std::function<void(const Pass&, std::chrono::nanoseconds)> time;
  // Verifies the graph after each pass; a fault becomes an InternalError that names the pass and
  // shows the graph before it.
  bool verify_each = is_checked_build();
};

// Runs the passes of these names one after the other. Error, before any runs, if there is no such
// pass.
Graph run_passes(Graph graph, std::span<const std::string> names, const PassOptions& options = {});

}  // namespace weir
