#include "compiler/rematerialize/kept_values.h"

#include <fmt/format.h>

#include "compiler/rematerialize/pass_boundary.h"
#include "compiler/rematerialize/sign.h"
#include "ir/escape.h"
#include "ir/notes.h"
#include "ir/op.h"

namespace weir {

std::vector<KeptValue> kept_values(const Graph& graph, bool fuse) {
  PassBoundary boundary(graph, fuse);
  std::vector<bool> kept = boundary.kept();
  std::vector<bool> is_asked(graph.value_count());
  for (std::size_t i = 0; i < graph.nodes().size(); ++i) {
    const Node& node = graph.nodes()[i];
    for (std::size_t k = 0; boundary.backward[i] && k < node.operands.size(); ++k)
      if (!boundary.is_backward(node.operands[k]) && reads_sign_alone(graph, node, k))
        is_asked[node.operands[k].index] = true;
  }
  std::vector<KeptValue> result;
  std::uint32_t unnamed = 0;
  for (std::uint32_t i = 0; i < graph.value_count(); ++i) {
    const Value& value = graph.value({i});
    std::string name = value.name.empty() ? fmt::format("%{}", unnamed++) : value_name(value.name);
    const Node* node = boundary.producer({i});
    if (!node) continue;
    bool again = has_note(*node, kRecomputationOf) && boundary.group({i}) >= 0;
    if (!again && !kept[i]) continue;
    std::string choice = again ? "recomputed"
                         : node->op->is_stored
                             ? value.type.dtype == DType::boolean ? "mask" : "bits"
                         : is_asked[i] && keeps_sign(graph, *node) ? "output"
                                                                   : "value";
    Dim bytes = again ? Dim(0) : element_count(value.type.shape) * Dim(byte_size(value.type.dtype));
    result.push_back({std::move(name), value.type, std::move(choice), std::move(bytes)});
  }
  return result;
}

std::string print_kept_values(const Graph& graph, bool fuse, const Dim::Bindings& sizes) {
  auto known = [&](const Dim& dim) {
    return dim.substituted([&](const std::string& symbol) {
      auto size = sizes.find(symbol);
      return size == sizes.end() ? Dim::symbol(symbol) : Dim(size->second);
    });
  };
  Dim total = 0;
  std::string text =
      fmt::format("{:<44}{:<12}{:>20}\n", "kept for the backward pass", "as", "bytes");
  for (const KeptValue& value : kept_values(graph, fuse)) {
    total = total + value.bytes;
    text += fmt::format("{:<43} {:<12}{:>20}\n", value.name + ": " + to_string(value.type),
                        value.choice, known(value.bytes).to_string());
  }
  return text + fmt::format("{:<56}{:>20}\n", "in all", known(total).to_string());
}

}  // namespace weir
