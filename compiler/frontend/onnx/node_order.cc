#include "compiler/frontend/onnx/node_order.h"

#include <algorithm>
#include <queue>
#include <unordered_map>
#include <unordered_set>

#include <fmt/format.h>
#include <onnx/onnx_pb.h>

#include "ir/diagnostic.h"
#include "ir/escape.h"

namespace weir::onnx_format {
namespace {

constexpr std::size_t kShownName = 80;

std::string shown_name(const std::string& name) {
  return in_quotes(name.size() > kShownName ? name.substr(0, kShownName) + "..." : name);
}

// The names that a node reads: its inputs, and what graphs in its attributes take from outside.
void collect_reads(const onnx::NodeProto& node, std::vector<const std::string*>& reads);

void collect_captures(const onnx::GraphProto& graph, std::vector<const std::string*>& reads) {
  std::unordered_set<std::string_view> own;
  for (const auto& input : graph.input()) own.insert(input.name());
  for (const auto& initializer : graph.initializer()) own.insert(initializer.name());
  for (const auto& sparse : graph.sparse_initializer()) own.insert(sparse.values().name());
  for (const auto& node : graph.node())
    for (const std::string& output : node.output()) own.insert(output);
  std::vector<const std::string*> all;
  for (const auto& node : graph.node()) collect_reads(node, all);
  for (const auto& output : graph.output()) all.push_back(&output.name());
  for (const std::string* name : all)
    if (!own.contains(*name)) reads.push_back(name);
}

void collect_reads(const onnx::NodeProto& node, std::vector<const std::string*>& reads) {
  for (const std::string& input : node.input())
    if (!input.empty()) reads.push_back(&input);
  for (const auto& attribute : node.attribute()) {
    if (attribute.has_g()) collect_captures(attribute.g(), reads);
    for (const auto& graph : attribute.graphs()) collect_captures(graph, reads);
  }
}

}  // namespace

std::string node_name(const onnx::NodeProto& node, int position) {
  std::string op = printable(node.op_type().substr(0, kShownName));
  if (node.name().empty()) return fmt::format("{} (node {})", op, position);
  return fmt::format("{} {}", op, shown_name(node.name()));
}

std::vector<int> node_order(const NodeList& nodes, const Scope& scope) {
  std::unordered_map<std::string_view, int> producers;
  for (int i = 0; i < nodes.size(); ++i) {
    for (const std::string& output : nodes[i].output()) {
      if (output.empty()) continue;
      if (scope.has(output))
        throw Error(
            fmt::format("{} gives its output the name {}, which an input or initializer has",
                        node_name(nodes[i], i), shown_name(output)));
      auto [other, is_new] = producers.emplace(output, i);
      if (!is_new)
        throw Error(
            fmt::format("{} and {} both have an output named {}; each name may have one "
                        "origin",
                        node_name(nodes[other->second], other->second), node_name(nodes[i], i),
                        shown_name(output)));
    }
  }

  // Of the nodes that nothing is missing for, the first listed goes first.
  auto count = static_cast<std::size_t>(nodes.size());
  std::vector<int> missing(count, 0);
  std::vector<std::vector<int>> readers(count);
  std::vector<const std::string*> reads;
  for (int i = 0; i < nodes.size(); ++i) {
    reads.clear();
    collect_reads(nodes[i], reads);
    for (const std::string* name : reads) {
      auto producer = producers.find(*name);
      if (producer != producers.end()) {
        ++missing[static_cast<std::size_t>(i)];
        readers[static_cast<std::size_t>(producer->second)].push_back(i);
      } else if (scope.find(*name) == nullptr) {
        throw Error(
            fmt::format("{} reads {}, which is neither an input, nor an initializer, nor the "
                        "output of a node",
                        node_name(nodes[i], i), shown_name(*name)));
      }
    }
  }
  std::priority_queue<int, std::vector<int>, std::greater<>> ready;
  for (int i = 0; i < nodes.size(); ++i)
    if (missing[static_cast<std::size_t>(i)] == 0) ready.push(i);
  std::vector<int> order;
  while (!ready.empty()) {
    int next = ready.top();
    ready.pop();
    order.push_back(next);
    for (int reader : readers[static_cast<std::size_t>(next)])
      if (--missing[static_cast<std::size_t>(reader)] == 0) ready.push(reader);
  }
  if (order.size() < count) {
    auto stuck = std::find_if(missing.begin(), missing.end(), [](int n) { return n > 0; });
    int position = static_cast<int>(stuck - missing.begin());
    throw Error(
        fmt::format("{} reads, through other nodes or at once, what it computes itself: the "
                    "graph has a cycle",
                    node_name(nodes[position], position)));
  }
  return order;
}

}  // namespace weir::onnx_format
