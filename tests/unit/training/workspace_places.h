// Where the buffers of a program lie in its workspace, and which of them the backward pass needs of
// the forward pass: found from the program's calls and its memory plan alone.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "compiler/lowering/program.h"
#include "ir/graph.h"
#include "ir/notes.h"

namespace weir::test {

struct Placed {
  std::uint64_t begin = 0, end = 0;
  std::size_t first = SIZE_MAX, last = 0;  // calls
};

inline std::uint64_t bytes_of(const SlotSize& size, const Dim::Bindings& sizes) {
  std::int64_t quotient = size.dividend.evaluate(sizes).value() / size.divisor +
                          (size.dividend.evaluate(sizes).value() % size.divisor ? 1 : 0);
  return static_cast<std::uint64_t>(quotient + size.extra.evaluate(sizes).value());
}

inline std::uint64_t bytes_of(const Buffer& buffer, const Dim::Bindings& sizes) {
  if (buffer.scratch) return bytes_of(*buffer.scratch, sizes);
  return bytes_of(SlotSize{element_count(buffer.type.shape) * Dim(byte_size(buffer.type.dtype))},
                  sizes);
}

// The buffers of the workspace that calls use, by number.
inline std::map<std::uint32_t, Placed> placed(const Program& program, const Dim::Bindings& sizes) {
  std::vector<std::uint64_t> offsets;
  for (const WorkspaceSlot& slot : program.slots) {
    std::uint64_t offset = 0;
    for (const SlotEnd& end : slot.behind)
      offset = std::max(offset, aligned(offsets.at(end.slot) + bytes_of(end.size, sizes)));
    offsets.push_back(offset);
  }
  std::map<std::uint32_t, Placed> result;
  for (std::size_t call = 0; call < program.calls.size(); ++call) {
    for (std::uint32_t number : program.calls[call].buffers) {
      const Buffer& buffer = program.buffers[number];
      if (buffer.place != Buffer::Place::workspace) continue;
      Placed& place = result[number];
      place.first = std::min(place.first, call);
      place.last = call;
      place.begin = offsets.at(buffer.index);
      place.end = place.begin + bytes_of(buffer, sizes);
    }
  }
  return result;
}

// By node: whether it is marked as one of a gradient, of an update or of a recomputation, or reads
// what such a node computes.
inline std::vector<bool> nodes_of_backward_pass(const Graph& graph) {
  std::vector<bool> result;
  for (const Node& node : graph.nodes()) {
    bool is = !marks_of(node.location.note).empty();
    for (ValueId operand : node.operands)
      is = is || (graph.value(operand).kind == Value::Kind::result &&
                  result[graph.value(operand).producer.index]);
    result.push_back(is);
  }
  return result;
}

// By call: whether it is of the backward pass. One that computes no node makes copies, or frames
// for them, for those that read these: it is of the backward pass if all of them are.
inline std::vector<bool> calls_of_backward_pass(const Graph& graph, const Program& program) {
  const std::vector<bool> nodes = nodes_of_backward_pass(graph);
  std::vector<bool> result(program.calls.size());
  for (std::size_t i = program.calls.size(); i-- > 0;) {
    const KernelCall& call = program.calls[i];
    for (NodeId node : call.nodes) result[i] = result[i] || nodes[node.index];
    if (!call.nodes.empty()) continue;
    bool is_read = false, all = true;
    for (std::size_t k = i + 1; k < program.calls.size(); ++k) {
      const KernelCall& reader = program.calls[k];
      for (std::size_t p = 0; p < reader.buffers.size(); ++p) {
        if (program.kernels[reader.kernel].parameters[p].written ||
            reader.buffers[p] != call.buffers.back())
          continue;
        is_read = true;
        all = all && result[k];
      }
    }
    result[i] = is_read && all;
  }
  return result;
}

// The buffers that hold a value of the forward pass, or what has to be known of one, in whatever
// order, and with whatever around it, and that the backward pass reads.
inline std::set<std::uint32_t> kept_buffers(const Graph& graph, const Program& program) {
  const std::vector<bool> nodes = nodes_of_backward_pass(graph),
                          calls = calls_of_backward_pass(graph, program);
  std::set<std::uint32_t> written, kept;
  for (std::size_t i = 0; i < calls.size(); ++i) {
    const KernelCall& call = program.calls[i];
    for (std::size_t p = 0; p < call.buffers.size(); ++p)
      if (calls[i] && !program.kernels[call.kernel].parameters[p].written &&
          written.contains(call.buffers[p]))
        kept.insert(call.buffers[p]);
    for (std::size_t p = 0; p < call.buffers.size(); ++p) {
      if (!program.kernels[call.kernel].parameters[p].written) continue;
      const ValueId value = call.values[p];
      // A kernel of the backward pass may compute a value of the forward pass as well.
      const bool is_forward = !calls[i] || (!call.nodes.empty() && value.valid() &&
                                            !nodes[graph.value(value).producer.index]);
      if (is_forward) written.insert(call.buffers[p]);
    }
  }
  return kept;
}

// The bytes of all of them.
inline std::uint64_t kept_bytes(const Graph& graph, const Program& program,
                                const Dim::Bindings& sizes) {
  std::uint64_t bytes = 0;
  for (std::uint32_t buffer : kept_buffers(graph, program))
    bytes += bytes_of(program.buffers[buffer], sizes);
  return bytes;
}

}  // namespace weir::test
