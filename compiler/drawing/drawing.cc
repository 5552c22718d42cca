#include "compiler/drawing/drawing.h"

#include <algorithm>
#include <unordered_map>

#include <fmt/format.h>

#include "compiler/drawing/dot.h"
#include "compiler/drawing/labels.h"
#include "compiler/drawing/picture.h"
#include "ir/op.h"

namespace weir {
namespace {

using Flow = Picture::Flow;
using Role = Picture::Role;
using Box = std::optional<std::uint32_t>;
using PictureNode = std::optional<std::uint32_t>;

class Drawer {
 public:
  Drawer(const Graph& graph, const std::string& subtitle) : graph_(graph), labels_(graph) {
    picture_.title = fmt::format("{}, {}", graph.name(), subtitle);
    for (ValueId input : graph_.inputs())
      givers_[input] = add_leaf(Role::input, Flow::forward, input, {});
  }

  std::string draw_graph() {
    for (std::uint32_t i = 0; i < graph_.nodes().size(); ++i) {
      const Node& node = graph_.node(NodeId{i});
      if (node.op->data) continue;
      std::uint32_t drawn = add_operation(NodeId{i}, {});
      connect(node, drawn, [this](ValueId value) { return giver_of(value); });
      for (ValueId result : node.results) givers_[result] = drawn;
    }
    for (const Graph::Output& output : graph_.outputs()) add_output(output, giver_of(output.value));
    return finish();
  }

  std::string draw_program(const Program& program) {
    writers_.resize(program.buffers.size());
    std::vector<std::uint32_t> outputs(graph_.outputs().size());
    std::vector<std::uint32_t> plain;  // the outputs that update no param
    for (std::uint32_t i = 0; i < outputs.size(); ++i)
      if (!graph_.outputs()[i].updates.valid()) plain.push_back(i);
    for (const StateEntry& entry : program.state) outputs[entry.output] = entry.buffer;
    for (std::uint32_t i = 0; i < program.buffers.size(); ++i) {
      const Buffer& buffer = program.buffers[i];
      if (buffer.place == Buffer::Place::input)
        writers_[i] = givers_.at(graph_.inputs()[buffer.index]);
      if (buffer.place == Buffer::Place::output) outputs[plain[buffer.index]] = i;
    }
    for (std::size_t i = 0; i < program.calls.size(); ++i) add_call(program, i);
    for (std::size_t i = 0; i < outputs.size(); ++i)
      add_output(graph_.outputs()[i], writers_[outputs[i]]);
    return finish();
  }

 private:
  PictureNode giver_of(ValueId value) const {
    auto found = givers_.find(value);
    return found == givers_.end() ? PictureNode() : PictureNode(found->second);
  }

  std::uint32_t add(Picture::Node node) {
    picture_.nodes.push_back(std::move(node));
    return static_cast<std::uint32_t>(picture_.nodes.size() - 1);
  }

  // An input, or a param or constant at one of its readers.
  std::uint32_t add_leaf(Role role, Flow flow, ValueId id, Box box) {
    const Value& value = graph_.value(id);
    Picture::Node node{role, flow, labels_.name(id), {to_string(value.type)}, labels_.full_name(id),
                       box};
    if (role == Role::constant) {
      node.title = labels_.number(id);
      if (node.title.empty()) node.title = "constant";
    }
    return add(std::move(node));
  }

  std::uint32_t add_operation(NodeId id, Box box) {
    const Node& node = graph_.node(id);
    Picture::Node drawn{
        Role::operation, flow_of(node.location), node.op->name, {}, labels_.statement(id), box};
    for (ValueId result : node.results)
      drawn.lines.push_back(labels_.name(result) + ": " + to_string(graph_.type(result)));
    for (std::string& line : labels_.attributes(node)) drawn.lines.push_back(std::move(line));
    return add(std::move(drawn));
  }

  void add_output(const Graph::Output& output, PictureNode giver) {
    Flow flow = giver ? picture_.nodes[*giver].flow : Flow::forward;
    std::string title = "%" + shortened(output.name);
    std::uint32_t drawn =
        add({Role::output, flow, title, {to_string(graph_.type(output.value))}, output.name, {}});
    if (!giver) giver = leaf_for(output.value, drawn, {});
    if (giver) add_edge(*giver, drawn, "");
  }

  // A param or a constant beside its reader; nothing for another value.
  PictureNode leaf_for(ValueId id, std::uint32_t reader, Box box) {
    const Value& value = graph_.value(id);
    Flow flow = picture_.nodes[reader].flow;
    if (value.kind == Value::Kind::param) return add_leaf(Role::param, flow, id, {});
    if (value.kind == Value::Kind::result && graph_.node(value.producer).op->data)
      return add_leaf(Role::constant, flow, id, box);
    return std::nullopt;
  }

  void add_edge(std::uint32_t from, std::uint32_t to, std::string label) {
    picture_.edges.push_back({from, to, std::move(label)});
  }

  // Edges from what gives the node's operands. A value that nothing gives is a leaf, or is not
  // read: of some operands an op wants the sizes alone. Where several operands are no leaves, edges
  // say which is which.
  template <class GiverOf>
  void connect(const Node& node, std::uint32_t drawn, GiverOf&& giver_of_value) {
    std::vector<PictureNode> givers;
    for (ValueId operand : node.operands) givers.push_back(giver_of_value(operand));
    auto is_other = [&](PictureNode giver) {
      return giver && picture_.nodes[*giver].role != Role::copy;
    };
    bool has_roles = std::count_if(givers.begin(), givers.end(), is_other) > 1;
    for (std::size_t i = 0; i < givers.size(); ++i) {
      PictureNode giver = givers[i];
      if (!giver) giver = leaf_for(node.operands[i], drawn, picture_.nodes[drawn].box);
      if (giver)
        add_edge(*giver, drawn, has_roles && is_other(givers[i]) ? operand_role(node, i) : "");
    }
  }

  void add_call(const Program& program, std::size_t number) {
    const KernelCall& call = program.calls[number];
    const Kernel& kernel = program.kernels[call.kernel];
    Box box = static_cast<std::uint32_t>(picture_.boxes.size());
    picture_.boxes.push_back(
        {fmt::format("k{}_{}", call.kernel, kernel.name), loops_text(kernel, call)});
    std::unordered_map<ValueId, std::uint32_t> inside;
    for (NodeId id : call.nodes) {
      const Node& node = graph_.node(id);
      if (node.op->data) continue;
      std::uint32_t drawn = add_operation(id, box);
      connect(node, drawn, [&](ValueId value) -> PictureNode {
        if (auto found = inside.find(value); found != inside.end()) return found->second;
        for (std::size_t i = 0; i < call.values.size(); ++i)
          if (call.begins.empty() && call.values[i] == value && !kernel.parameters[i].written)
            return writers_[call.buffers[i]];
        return giver_of(value);
      });
      for (ValueId result : node.results) inside[result] = drawn;
    }
    if (call.nodes.empty()) inside[call.values[0]] = add_copy(program, number, box);
    for (std::size_t i = 0; i < call.values.size(); ++i) {
      if (!call.values[i].valid() || !kernel.parameters[i].written) continue;
      writers_[call.buffers[i]] = inside.at(call.values[i]);
      givers_.try_emplace(call.values[i], inside.at(call.values[i]));
    }
  }

  // A kernel that copies buffer 0 to buffer 1, writes the frame around what will be copied to
  // buffer 0, or checks what is in it.
  std::uint32_t add_copy(const Program& program, std::size_t number, Box box) {
    const KernelCall& call = program.calls[number];
    bool checks = std::any_of(program.checks.begin(), program.checks.end(),
                              [&](const IndexCheck& check) { return check.call == number; });
    bool frames = !checks && call.buffers.size() == 1;
    const Buffer& target = program.buffers[call.buffers[checks || frames ? 0 : 1]];
    std::uint32_t drawn = add({Role::copy,
                               flow_of_copy(program, number),
                               checks   ? "check"
                               : frames ? "frame"
                                        : "copy",
                               {to_string(target.type)},
                               call.description,
                               box});
    PictureNode frame = checks ? std::nullopt : writers_[call.buffers.back()];
    if (frame) add_edge(*frame, drawn, "");
    if (frames) return drawn;
    PictureNode source = writers_[call.buffers[0]];
    if (!source) source = leaf_for(call.values[0], drawn, {});
    if (source) add_edge(*source, drawn, "");
    return drawn;
  }

  // A copy belongs to whoever reads it first, and to what it copies if that is no kernel.
  Flow flow_of_copy(const Program& program, std::size_t number) const {
    std::uint32_t copy = program.calls[number].buffers.back();
    for (std::size_t i = number + 1; i < program.calls.size(); ++i) {
      const KernelCall& reader = program.calls[i];
      if (!reader.nodes.empty() &&
          std::count(reader.buffers.begin(), reader.buffers.end(), copy) > 0)
        return flow_of(graph_.node(reader.nodes.back()).location);
    }
    PictureNode source = writers_[program.calls[number].buffers[0]];
    return source ? picture_.nodes[*source].flow : Flow::forward;
  }

  std::string finish() { return dot(picture_); }

  const Graph& graph_;
  Labels labels_;
  Picture picture_;
  std::unordered_map<ValueId, std::uint32_t> givers_;  // what first gives a value
  std::vector<PictureNode> writers_;                   // by buffer
};

}  // namespace

std::string draw(const Graph& graph, const std::string& subtitle) {
  return Drawer(graph, subtitle).draw_graph();
}

std::string draw(const Graph& graph, const Program& program, const std::string& subtitle) {
  return Drawer(graph, subtitle).draw_program(program);
}

}  // namespace weir
