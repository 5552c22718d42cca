#include "compiler/lowering/program_buffers.h"

#include <algorithm>

#include <fmt/format.h>

#include "ir/escape.h"
#include "ir/op.h"
#include "runtime/abi.h"

namespace weir {
namespace {

// The sizes were checked when the value entered the graph.
std::uint64_t bytes_of(const TensorType& type) {
  std::uint64_t bytes = static_cast<std::uint64_t>(byte_size(type.dtype));
  for (const Dim& dim : type.shape) bytes *= static_cast<std::uint64_t>(dim.value());
  return bytes;
}

}  // namespace

TensorType type_in_block(const WeightEntry& entry) {
  TensorType type = entry.type;
  if (entry.times_zero)
    type.shape.erase(type.shape.begin() + static_cast<std::ptrdiff_t>(*entry.times_zero));
  return type;
}

ProgramBuffers::ProgramBuffers(const Graph& graph, Program& program)
    : graph_(graph), program_(program) {
  add_inputs();
  add_params();
  add_outputs();
}

bool ProgramBuffers::is_weight(ValueId id) const {
  const Value& value = graph_.value(id);
  if (value.kind == Value::Kind::param) return !graph_.is_updated(id);
  return value.kind == Value::Kind::result && graph_.node(value.producer).op->data;
}

bool ProgramBuffers::is_computed(ValueId id) const {
  return graph_.value(id).kind == Value::Kind::result && !is_weight(id);
}

std::function<bool(ValueId)> ProgramBuffers::weight_test() const {
  return [this](ValueId id) { return id.valid() && is_weight(id); };
}

std::uint32_t ProgramBuffers::add(Buffer buffer) {
  program_.buffers.push_back(std::move(buffer));
  return static_cast<std::uint32_t>(program_.buffers.size() - 1);
}

std::uint32_t ProgramBuffers::add_weight(WeightEntry entry, std::string name, TensorType type) {
  program_.weights.push_back(std::move(entry));
  std::uint32_t buffer = add({std::move(name), std::move(type), Buffer::Place::weights, 0, 0, {}});
  weights_.emplace(buffer, program_.weights.size() - 1);
  return buffer;
}

std::uint32_t ProgramBuffers::of(ValueId id) {
  auto found = numbers_.find(id);
  if (found != numbers_.end()) return found->second;
  const Value& value = graph_.value(id);
  const Node* node = value.kind == Value::Kind::result ? &graph_.node(value.producer) : nullptr;
  std::uint32_t number =
      node && node->op->data
          ? add_weight({"", node->op->data(node->attributes), value.type, {}, 0, {}}, value.name,
                       value.type)
          : add({value.name, value.type, Buffer::Place::workspace, 0, 0, {}});
  lay_out(program_.buffers[number], id);
  numbers_.emplace(id, number);
  return number;
}

Buffer* ProgramBuffers::find(ValueId value) {
  auto found = numbers_.find(value);
  return found == numbers_.end() ? nullptr : &program_.buffers[found->second];
}

const WeightEntry* ProgramBuffers::weight(std::uint32_t buffer) const {
  auto found = weights_.find(buffer);
  return found == weights_.end() ? nullptr : &program_.weights[found->second];
}

void ProgramBuffers::lay_out(Buffer& buffer, ValueId value) const {
  buffer.type = type_in_memory(graph_.type(value), value, layouts_);
  if (auto layout = layouts_.find(value); layout != layouts_.end()) buffer.layout = layout->second;
}

void ProgramBuffers::place_weights() {
  std::vector<bool> read(program_.buffers.size());
  for (const KernelCall& call : program_.calls)
    for (std::uint32_t buffer : call.buffers) read[buffer] = true;
  for (std::uint32_t buffer = 0; buffer < read.size(); ++buffer) {
    if (!read[buffer] || program_.buffers[buffer].place != Buffer::Place::weights) continue;
    WeightEntry& entry = program_.weights[weights_.at(buffer)];
    entry.offset = program_.buffers[buffer].offset = program_.weight_bytes;
    program_.weight_bytes += aligned(bytes_of(type_in_block(entry)));
  }
}

void ProgramBuffers::add_inputs() {
  for (std::size_t i = 0; i < graph_.inputs().size(); ++i) {
    const Value& value = graph_.value(graph_.inputs()[i]);
    program_.inputs.emplace_back(value.name, value.type);
    numbers_[graph_.inputs()[i]] =
        add({value.name, value.type, Buffer::Place::input, static_cast<std::uint32_t>(i), 0, {}});
  }
}

void ProgramBuffers::add_params() {
  for (ValueId param : graph_.params()) {
    const Value& value = graph_.value(param);
    for (const Dim& dim : value.type.shape)
      if (!dim.is_constant())
        throw Error(value.location,
                    fmt::format("{} is {}; the dimensions of a param must be integers",
                                value_name(value.name), to_string(value.type)));
    if (graph_.is_updated(param)) {
      add_state(param);
    } else {
      numbers_[param] =
          add_weight({value.name, nullptr, value.type, {}, 0, {}}, value.name, value.type);
    }
  }
}

// Params that are updated get their places in the state block.
void ProgramBuffers::add_state(ValueId param) {
  const Value& value = graph_.value(param);
  StateEntry entry{value.name, value.type, program_.state_bytes, 0, 0, 0, false};
  entry.bytes = bytes_of(value.type);
  program_.state_bytes += aligned(entry.bytes);
  numbers_[param] = add({value.name, value.type, Buffer::Place::state, 0, entry.offset, {}});
  program_.state.push_back(std::move(entry));
}

void ProgramBuffers::add_outputs() {
  for (std::size_t i = 0; i < graph_.outputs().size(); ++i) {
    const Graph::Output& output = graph_.outputs()[i];
    if (output.updates.valid()) {
      add_next_value(output, i);
      continue;
    }
    const TensorType& type = graph_.type(output.value);
    auto number = static_cast<std::uint32_t>(program_.outputs.size());
    program_.outputs.emplace_back(output.name, type);
    std::uint32_t buffer = add({output.name, type, Buffer::Place::output, number, 0, {}});
    if (is_computed(output.value) && numbers_.try_emplace(output.value, buffer).second) continue;
    copies_.emplace_back(output.value, buffer);
  }
}

void ProgramBuffers::add_next_value(const Graph::Output& output, std::size_t number) {
  const Value& value = graph_.value(output.value);
  const std::string& param = graph_.value(output.updates).name;
  auto entry = std::find_if(program_.state.begin(), program_.state.end(),
                            [&](const StateEntry& e) { return e.param == param; });
  entry->output = static_cast<std::uint32_t>(number);
  if (is_computed(output.value) && !numbers_.contains(output.value))
    numbers_[output.value] = add({value.name.empty() ? param + "_next" : value.name,
                                  value.type,
                                  Buffer::Place::workspace,
                                  0,
                                  0,
                                  {}});
}

}  // namespace weir
