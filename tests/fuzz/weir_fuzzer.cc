// The text form: what is read is a well-formed graph, and prints as text that reads back as the
// same graph, with comments or without.

#include "ir/registry.h"
#include "ir/text.h"
#include "ir/verifier.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/same_graph.h"

namespace {

using namespace weir;

void check(const Graph& graph) {
  verify(graph, "fuzzed text");
  std::string printed = print(graph);
  for (bool comments : {false, true}) {
    Graph again =
        parse_graph(print(graph, {.types = comments, .locations = comments}), "printed.weir");
    fuzz::require(fuzz::same_graph(graph, again), "the graph that was printed reads back changed");
    fuzz::require(print(again) == printed, "the text that was printed reads back changed");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // The table of ops is made once, for all files.
  static const bool has_ops = !all_ops().empty();
  fuzz::require(has_ops, "there are ops");
  constexpr fuzz::Bound kBound{kMemoryPerByte, 64 << 10};
  auto graphs = fuzz::accepted(
      size, kBound, [&] { return parse_graphs(fuzz::text_of(data, size), "input.weir"); });
  if (graphs)
    for (const Graph& graph : *graphs) check(graph);
  return 0;
}
