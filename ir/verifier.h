// What holds for every graph, checked anew.
//
// `verify` asks whether a graph is well-formed: the rules that building through Graph keeps, and
// that a pass may rely on. A violation is a fault of ours. The passes' driver calls it after each
// pass in checked builds, so the guilty pass is named. The rules are a table: one row a rule.
//
// `check_graph` asks whether a well-formed graph can be compiled at all: what only the whole graph
// shows, and what a user may get wrong in a file or in builder calls. A violation is an Error.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "ir/graph.h"

namespace weir {

struct Violation {
  NodeId node;  // invalid when it is not about one node
  std::string message;
};

struct VerifierRule {
  std::string_view name;
  std::string_view meaning;
  // The first violation. A rule may rely on the rules before it in the table.
  std::optional<Violation> (*find)(const Graph&);
};

std::span<const VerifierRule> verifier_rules();

// Throws InternalError with the rule, the node and the printed graph when a rule is broken. `stage`
// says what has just been done, as in "pass cse".
void verify(const Graph& graph, std::string_view stage = {});

// Throws Error, at the declaration or node that is at fault, if an element type cannot be computed
// on yet, or a symbol occurs in no input or param or has no identifier for a name.
void check_graph(const Graph& graph);

}  // namespace weir
