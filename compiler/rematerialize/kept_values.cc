#include "compiler/rematerialize/kept_values.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "compiler/rematerialize/pass_boundary.h"
#include "compiler/rematerialize/sign.h"
#include "ir/escape.h"
#include "ir/notes.h"
#include "ir/op.h"

namespace weir {
namespace {

// Who reads and writes the buffers of a program.
class BufferUses {
 public:
  BufferUses(const Graph& graph, const Program& program)
      : graph_(graph),
        program_(program),
        backward_(backward_nodes(graph)),
        uses_(program.buffers.size()) {
    for (std::size_t i = program.calls.size(); i-- > 0;) visit(program.calls[i]);
  }

  bool is_kept(std::uint32_t buffer) const {
    return uses_[buffer].is_forward && uses_[buffer].read_backward;
  }
  bool is_written(std::uint32_t buffer) const { return uses_[buffer].value.has_value(); }
  // What it holds; of scratch that is handed over from one kernel to another, what the first one
  // computes besides.
  ValueId value(std::uint32_t buffer) const { return *uses_[buffer].value; }

  std::string form(std::uint32_t number) const {
    const Use& use = uses_[number];
    const Buffer& buffer = program_.buffers[number];
    const char* word = use.is_scratch ? "sums"
                       : !use.is_copy ? nullptr
                       : buffer.type.shape.size() > graph_.type(*use.value).shape.size()
                           ? "in panels"
                       : use.is_framed ? "framed"
                                       : "turned";
    if (word) return fmt::format("{} as {}", word, to_string(buffer.type));
    return buffer.place == Buffer::Place::output  ? "an output"
           : buffer.place == Buffer::Place::state ? "state"
                                                  : "";
  }

 private:
  struct Use {
    bool read_forward = false, read_backward = false;
    bool is_forward = false;  // written for the forward pass, and holds a value of it
    bool is_copy = false, is_framed = false, is_scratch = false;
    std::optional<ValueId> value;
  };

  bool is_backward(ValueId value) const {
    const Value& info = graph_.value(value);
    return info.kind == Value::Kind::result && backward_[info.producer.index];
  }

  // All who read what the call writes have been visited.
  void visit(const KernelCall& call) {
    const Kernel& kernel = program_.kernels[call.kernel];
    const bool copies = call.nodes.empty();
    bool of_backward = std::ranges::any_of(
        call.nodes, [&](NodeId node) { return static_cast<bool>(backward_[node.index]); });
    ValueId computed;
    for (std::size_t i = 0; i < call.buffers.size(); ++i) {
      if (!kernel.parameters[i].written) continue;
      const Use& use = uses_[call.buffers[i]];
      if (copies) of_backward = use.read_backward && !use.read_forward;
      if (call.values[i].valid() && !computed.valid()) computed = call.values[i];
    }
    for (std::size_t i = 0; i < call.buffers.size(); ++i) {
      Use& use = uses_[call.buffers[i]];
      if (!kernel.parameters[i].written) {
        (of_backward ? use.read_backward : use.read_forward) = true;
        continue;
      }
      const bool has_value = call.values[i].valid();
      const ValueId value = has_value ? call.values[i] : computed;
      use.is_copy = use.is_copy || (copies && has_value);
      use.is_framed = use.is_framed || (copies && call.buffers.size() == 1);
      use.is_scratch = !has_value;
      if (!value.valid()) continue;
      use.value = value;
      const bool is_own = has_value && !copies;
      use.is_forward = use.is_forward || (!is_backward(value) && (is_own || !of_backward));
    }
  }

  const Graph& graph_;
  const Program& program_;
  const std::vector<bool> backward_;  // by node
  std::vector<Use> uses_;             // by buffer
};

// By value: whether the backward pass asks its sign alone, somewhere.
std::vector<bool> asked_signs(const Graph& graph, const std::vector<bool>& backward) {
  std::vector<bool> is_asked(graph.value_count());
  for (std::size_t i = 0; i < graph.nodes().size(); ++i) {
    const Node& node = graph.nodes()[i];
    for (std::size_t k = 0; backward[i] && k < node.operands.size(); ++k)
      if (reads_sign_alone(graph, node, k)) is_asked[node.operands[k].index] = true;
  }
  return is_asked;
}

}  // namespace

std::vector<KeptValue> kept_values(const Graph& graph, const Program& program) {
  const BufferUses uses(graph, program);
  const std::vector<bool> is_asked = asked_signs(graph, backward_nodes(graph));
  std::vector<std::vector<std::uint32_t>> kept(graph.value_count());
  std::vector<bool> is_stored(graph.value_count());
  for (std::uint32_t buffer = 0; buffer < program.buffers.size(); ++buffer) {
    if (!uses.is_written(buffer)) continue;
    is_stored[uses.value(buffer).index] = true;
    if (uses.is_kept(buffer)) kept[uses.value(buffer).index].push_back(buffer);
  }
  std::vector<KeptValue> result;
  std::uint32_t unnamed = 0;
  for (std::uint32_t i = 0; i < graph.value_count(); ++i) {
    const Value& value = graph.value({i});
    std::string name = value.name.empty() ? fmt::format("%{}", unnamed++) : value_name(value.name);
    const Node* node = value.kind == Value::Kind::result ? &graph.node(value.producer) : nullptr;
    if (node && is_stored[i] && has_note(*node, kRecomputationOf)) {
      result.push_back({{i}, std::move(name), value.type, "recomputed", "", Dim(0)});
      continue;
    }
    for (std::uint32_t number : kept[i]) {
      const Buffer& buffer = program.buffers[number];
      std::string choice = node && node->op->is_stored ? !node->op->keeps_elements ? "bits"
                                                         : value.type.dtype == DType::boolean
                                                             ? "mask"
                                                             : "choice"
                           : node && is_asked[i] && keeps_sign(graph, *node) ? "output"
                                                                             : "value";
      result.push_back({{i},
                        name,
                        value.type,
                        std::move(choice),
                        uses.form(number),
                        element_count(buffer.type.shape) * Dim(byte_size(buffer.type.dtype)),
                        buffer.place == Buffer::Place::workspace});
    }
  }
  return result;
}

}  // namespace weir
