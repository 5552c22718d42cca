#include "tests/fuzz/same_graph.h"

#include <algorithm>

#include "ir/notes.h"

namespace weir::fuzz {
namespace {

bool same_value(const Value& a, const Value& b) {
  return a.kind == b.kind && a.type == b.type && a.name == b.name && a.producer == b.producer &&
         a.result_index == b.result_index;
}

bool same_node(const Node& a, const Node& b) {
  return a.op == b.op && a.operands == b.operands && a.attributes == b.attributes &&
         a.results == b.results && marks_of(a.location.note) == marks_of(b.location.note);
}

bool same_output(const Graph::Output& a, const Graph::Output& b) {
  return a.name == b.name && a.value == b.value;
}

bool same_initializer(const Initializer* a, const Initializer* b) {
  return a && b ? a->name == b->name && a->attributes == b->attributes : a == b;
}

bool same_ids(std::span<const ValueId> a, std::span<const ValueId> b) {
  return std::ranges::equal(a, b);
}

}  // namespace

bool same_graph(const Graph& a, const Graph& b) {
  if (a.name() != b.name() || a.value_count() != b.value_count()) return false;
  for (std::uint32_t i = 0; i < a.value_count(); ++i)
    if (!same_value(a.value({i}), b.value({i})) ||
        !same_initializer(a.initializer({i}), b.initializer({i})))
      return false;
  return same_ids(a.inputs(), b.inputs()) && same_ids(a.params(), b.params()) &&
         std::ranges::equal(a.nodes(), b.nodes(), same_node) &&
         std::ranges::equal(a.outputs(), b.outputs(), same_output);
}

}  // namespace weir::fuzz
