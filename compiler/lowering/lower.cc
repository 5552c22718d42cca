#include "compiler/lowering/lower.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <unordered_map>
#include <unordered_set>

#include <fmt/format.h>

#include "compiler/lowering/apply_panels.h"
#include "compiler/lowering/build_kernel.h"
#include "compiler/lowering/check_indices.h"
#include "compiler/lowering/elements.h"
#include "compiler/lowering/fold_across.h"
#include "compiler/lowering/fusion.h"
#include "compiler/lowering/keep_elements.h"
#include "compiler/lowering/layouts.h"
#include "compiler/lowering/make_again.h"
#include "compiler/lowering/memory_plan.h"
#include "compiler/lowering/order_state.h"
#include "compiler/lowering/pack_operands.h"
#include "compiler/lowering/place_updates.h"
#include "compiler/lowering/prepare_kernels.h"
#include "compiler/lowering/read_frames.h"
#include "compiler/lowering/shorten_lives.h"
#include "compiler/lowering/split_folds.h"
#include "ir/escape.h"
#include "ir/op.h"
#include "runtime/abi.h"

namespace weir {
namespace {

class Lowerer {
 public:
  Lowerer(const Graph& graph, const LoweringOptions& options) : graph_(graph), options_(options) {}

  Program run() {
    program_.name = graph_.name();
    program_.symbols = graph_.symbols();
    add_interface();
    IndexCheckPlan checks = plan_index_checks(graph_);
    FusionPlan plan =
        plan_fusion(graph_, {.fuse = options_.fuse, .checked = checked_values(checks)});
    std::vector<GroupKernels> groups;
    for (std::size_t i = 0; i < plan.groups.size(); ++i)
      groups.push_back({computed_nodes(graph_, plan, i), build_start_kernel(graph_, plan, i),
                        build_kernel(graph_, plan, i), std::nullopt});
    choose_layouts(groups, checks);
    for (GroupKernels& group : groups) {
      if (std::optional<RowSum> sum = find_row_sum(group.kernel.kernel))
        row_sums_.try_emplace(group.kernel.values[sum->parameter], SumKernel{&group, *sum});
    }
    std::vector<bool> is_made(checks.checks.size());
    for (GroupKernels& group : groups) {
      for (NodeId node : group.nodes) {
        for (std::size_t check : checks.needed[node.index]) {
          if (!is_made[check]) add_check(checks.checks[check]);
          is_made[check] = true;
        }
      }
      if (group.start) add_call(std::move(*group.start), group.nodes, std::nullopt);
      if (!group.kernel.kernel.stages.empty())
        add_call(std::move(group.kernel), std::move(group.nodes), group.chunks);
    }
    for (const auto& [value, output] : copies_)
      add_copy(value, buffer_of(value), output, program_.buffers[output].name);
    read_frames(program_, framed_copies_,
                [&](Kernel kernel) { return number_of(std::move(kernel)); });
    place_state();
    drop_unused_kernels();
    place_weights();
    if (options_.reuse_memory) {
      shorten_lives(program_);
      make_again(program_);
    }
    plan_memory(program_, {.reuse = options_.reuse_memory});
    return std::move(program_);
  }

 private:
  // What a parameter without a value is.
  struct GivenBuffer {
    std::uint32_t parameter;
    std::uint32_t buffer;
  };
  // What is run for a group of the fusion plan.
  struct GroupKernels {
    std::vector<NodeId> nodes;
    std::optional<BuiltKernel> start;
    BuiltKernel kernel;
    std::optional<GivenBuffer> chunks;
  };
  // A kernel that sums a value across its rows.
  struct SumKernel {
    GroupKernels* group;
    RowSum sum;
  };

  bool is_weight(ValueId id) const {
    const Value& value = graph_.value(id);
    if (value.kind == Value::Kind::param) return !graph_.is_updated(id);
    return value.kind == Value::Kind::result && graph_.node(value.producer).op->data;
  }

  // Of values that only these kernels know; what is checked is read in row-major order.
  void choose_layouts(const std::vector<GroupKernels>& groups, const IndexCheckPlan& checks) {
    std::vector<const BuiltKernel*> kernels;
    for (const GroupKernels& group : groups) {
      if (group.start) kernels.push_back(&*group.start);
      kernels.push_back(&group.kernel);
    }
    std::unordered_set<ValueId> checked;
    for (const PlannedCheck& check : checks.checks) checked.insert(check.value);
    auto is_free = [&](ValueId id) {
      return graph_.value(id).kind == Value::Kind::result && !is_weight(id) &&
             !buffers_.contains(id) && !checked.contains(id);
    };
    layouts_ = weir::choose_layouts(kernels, is_free, weight_test(), options_.processor.vectors);
    order_state(kernels, checked);
    layouts_.merge(choose_panels(kernels, layouts_, is_free, weight_test(), options_.processor));
  }

  // Of the params that are updated; one whose next value has another use besides stays as declared.
  void order_state(const std::vector<const BuiltKernel*>& kernels,
                   const std::unordered_set<ValueId>& checked) {
    if (options_.orders_state) {
      std::unordered_map<ValueId, int> outputs;
      for (const Graph::Output& output : graph_.outputs()) ++outputs[output.value];
      std::vector<StateUpdate> updates;
      for (const Graph::Output& output : graph_.outputs()) {
        if (!output.updates.valid() || outputs.contains(output.updates)) continue;
        auto next = buffers_.find(output.value);
        bool own = next != buffers_.end() && outputs.at(output.value) == 1 &&
                   graph_.value(output.value).kind == Value::Kind::result &&
                   program_.buffers[next->second].place == Buffer::Place::workspace;
        if (own && !checked.contains(output.updates) && !checked.contains(output.value))
          updates.push_back({output.updates, output.value});
      }
      layouts_.merge(
          weir::order_state(kernels, updates, layouts_, weight_test(), options_.processor));
    }
    for (StateEntry& entry : program_.state) {
      const Graph::Output& output = graph_.outputs()[entry.output];
      if (auto given = options_.state_orders.find(entry.param);
          given != options_.state_orders.end())
        layouts_.emplace(output.updates, given->second);
      auto layout = layouts_.find(output.updates);
      if (layout == layouts_.end()) continue;
      entry.layout = layout->second;
      for (ValueId value : {output.updates, output.value}) {
        auto buffer = buffers_.find(value);
        if (buffer != buffers_.end()) lay_out(program_.buffers[buffer->second], value);
      }
    }
  }

  // Gives a buffer of the declared type that of the value's layout.
  void lay_out(Buffer& buffer, ValueId value) const {
    buffer.type = type_in_memory(graph_.type(value), value, layouts_);
    if (auto layout = layouts_.find(value); layout != layouts_.end())
      buffer.layout = layout->second;
  }

  std::uint32_t add_buffer(Buffer buffer) {
    program_.buffers.push_back(std::move(buffer));
    return static_cast<std::uint32_t>(program_.buffers.size() - 1);
  }

  std::uint32_t add_weight(WeightEntry entry, std::string name, TensorType type) {
    program_.weights.push_back(std::move(entry));
    std::uint32_t buffer =
        add_buffer({std::move(name), std::move(type), Buffer::Place::weights, 0, 0, {}});
    weights_.emplace(buffer, program_.weights.size() - 1);
    return buffer;
  }

  // Gives the weights that some kernel reads their places in the block.
  void place_weights() {
    std::vector<bool> read(program_.buffers.size());
    for (const KernelCall& call : program_.calls)
      for (std::uint32_t buffer : call.buffers) read[buffer] = true;
    for (std::uint32_t buffer = 0; buffer < read.size(); ++buffer) {
      if (!read[buffer] || program_.buffers[buffer].place != Buffer::Place::weights) continue;
      WeightEntry& entry = program_.weights[weights_.at(buffer)];
      entry.offset = program_.buffers[buffer].offset = program_.weight_bytes;
      // The sizes were checked when the value entered the graph.
      std::uint64_t bytes = static_cast<std::uint64_t>(byte_size(entry.type.dtype));
      for (const Dim& dim : entry.type.shape) bytes *= static_cast<std::uint64_t>(dim.value());
      program_.weight_bytes += aligned(bytes);
    }
  }

  // Gives the next value of every param that is updated a buffer and its place.
  void place_state() {
    std::vector<Update> updates;
    std::unordered_set<std::uint32_t> taken;
    for (StateEntry& entry : program_.state) {
      const Graph::Output& output = graph_.outputs()[entry.output];
      std::uint32_t param = buffers_.at(output.updates);
      entry.buffer = param;
      entry.updated = output.value != output.updates;
      if (!entry.updated) continue;
      std::uint32_t value = buffer_of(output.value);
      bool own = program_.buffers[value].place == Buffer::Place::workspace;
      if (!own || !taken.insert(value).second) {
        Buffer next{entry.param + "_next", entry.type, Buffer::Place::workspace, 0, 0, {}};
        lay_out(next, output.updates);
        std::uint32_t copy = add_buffer(std::move(next));
        add_copy(output.value, value, copy, "%" + program_.buffers[copy].name);
        value = copy;
      }
      entry.buffer = value;
      updates.push_back({param, value});
    }
    for (const Update& update : place_updates(program_, updates)) {
      auto entry = std::find_if(program_.state.begin(), program_.state.end(),
                                [&](const StateEntry& e) { return e.buffer == update.next; });
      const Graph::Output& output = graph_.outputs()[entry->output];
      Buffer state{program_.buffers[update.next].name,
                   entry->type,
                   Buffer::Place::state,
                   0,
                   entry->offset,
                   {}};
      lay_out(state, output.updates);
      std::uint32_t copy = add_buffer(std::move(state));
      entry->buffer = copy;
      add_copy(output.value, update.next, copy, "%" + entry->param);
    }
  }

  // Params that are updated get their places in the state block.
  void add_state(ValueId param) {
    const Value& value = graph_.value(param);
    StateEntry entry{value.name, value.type, program_.state_bytes, 0, 0, 0, false};
    entry.bytes = static_cast<std::uint64_t>(byte_size(value.type.dtype));
    for (const Dim& dim : value.type.shape) entry.bytes *= static_cast<std::uint64_t>(dim.value());
    program_.state_bytes += aligned(entry.bytes);
    buffers_[param] =
        add_buffer({value.name, value.type, Buffer::Place::state, 0, entry.offset, {}});
    program_.state.push_back(std::move(entry));
  }

  void add_interface() {
    for (std::size_t i = 0; i < graph_.inputs().size(); ++i) {
      const Value& value = graph_.value(graph_.inputs()[i]);
      program_.inputs.emplace_back(value.name, value.type);
      buffers_[graph_.inputs()[i]] = add_buffer(
          {value.name, value.type, Buffer::Place::input, static_cast<std::uint32_t>(i), 0, {}});
    }
    for (ValueId param : graph_.params()) {
      const Value& value = graph_.value(param);
      for (const Dim& dim : value.type.shape)
        if (!dim.is_constant())
          throw Error(value.location,
                      fmt::format("{} is {}; the dimensions of a param must be integers",
                                  value_name(value.name), to_string(value.type)));
      if (graph_.is_updated(param)) {
        add_state(param);
        continue;
      }
      buffers_[param] =
          add_weight({value.name, nullptr, value.type, {}, 0, {}}, value.name, value.type);
    }
    for (std::size_t i = 0; i < graph_.outputs().size(); ++i) {
      const Graph::Output& output = graph_.outputs()[i];
      const Value& value = graph_.value(output.value);
      if (output.updates.valid()) {
        const std::string& param = graph_.value(output.updates).name;
        auto entry = std::find_if(program_.state.begin(), program_.state.end(),
                                  [&](const StateEntry& e) { return e.param == param; });
        entry->output = static_cast<std::uint32_t>(i);
        bool computed = value.kind == Value::Kind::result && !graph_.node(value.producer).op->data;
        if (computed && !buffers_.contains(output.value))
          buffers_[output.value] = add_buffer({value.name.empty() ? param + "_next" : value.name,
                                               value.type,
                                               Buffer::Place::workspace,
                                               0,
                                               0,
                                               {}});
        continue;
      }
      auto number = static_cast<std::uint32_t>(program_.outputs.size());
      program_.outputs.emplace_back(output.name, value.type);
      std::uint32_t buffer =
          add_buffer({output.name, value.type, Buffer::Place::output, number, 0, {}});
      bool computed = value.kind == Value::Kind::result && !graph_.node(value.producer).op->data;
      if (computed && buffers_.try_emplace(output.value, buffer).second) continue;
      copies_.emplace_back(output.value, buffer);
    }
  }

  std::uint32_t buffer_of(ValueId id) {
    auto found = buffers_.find(id);
    if (found != buffers_.end()) return found->second;
    const Value& value = graph_.value(id);
    const Node* node = value.kind == Value::Kind::result ? &graph_.node(value.producer) : nullptr;
    std::uint32_t number =
        node && node->op->data
            ? add_weight({"", node->op->data(node->attributes), value.type, {}, 0, {}}, value.name,
                         value.type)
            : add_buffer({value.name, value.type, Buffer::Place::workspace, 0, 0, {}});
    lay_out(program_.buffers[number], id);
    buffers_.emplace(id, number);
    return number;
  }

  // Tells which values are laid out ahead of all runs; what kernels hand over without a value is not.
  std::function<bool(ValueId)> weight_test() const {
    return [this](ValueId id) { return id.valid() && is_weight(id); };
  }

  void add_call(BuiltKernel built, const std::vector<NodeId>& nodes,
                const std::optional<GivenBuffer>& chunks) {
    PreparedKernels prepared =
        prepare_kernels(std::move(built), layouts_, weight_test(), options_.processor);
    std::uint32_t sums = UINT32_MAX;
    if (prepared.kernels.size() > 1)
      sums = add_buffer({"sums", prepared.sums, Buffer::Place::workspace, 0, 0, {}});
    for (PreparedKernel& one : prepared.kernels) add_call(std::move(one), nodes, chunks, sums);
  }

  // `sums` is the buffer of a parameter without a value that is neither `chunks` nor a copy, if there is one.
  void add_call(PreparedKernel prepared, std::vector<NodeId> nodes,
                const std::optional<GivenBuffer>& chunks, std::uint32_t sums) {
    BuiltKernel& built = prepared.built;
    KernelCall call;
    call.nodes = std::move(nodes);
    std::vector<std::uint32_t>& buffers = call.buffers;
    for (std::size_t i = 0; i < built.values.size(); ++i) {
      buffers.push_back(built.values[i].valid()            ? buffer_of(built.values[i])
                        : chunks && chunks->parameter == i ? chunks->buffer
                                                           : sums);
      // A value without a name that is an output is known by the output's.
      if (built.values[i].valid() && built.kernel.parameters[i].name.empty())
        built.kernel.parameters[i].name = program_.buffers[buffers.back()].name;
      if (built.kernel.parameters[i].written)
        call.description +=
            (call.description.empty() ? "%" : ", %") + program_.buffers[buffers.back()].name;
    }
    call.values = built.values;
    for (const PackedCopy& copy : prepared.copies) {
      buffers[copy.parameter] = packed_buffer(copy);
      call.values[copy.parameter] = copy.source;
    }
    split_in_workspace(built.kernel, call, sums_rows_of(built));
    keep_elements(built.kernel);
    for (std::size_t i = 0; i < built.values.size(); ++i)
      if (built.kernel.parameters[i].written && built.values[i].valid())
        sum_in(built.kernel, static_cast<std::uint32_t>(i), call);
    add_call(std::move(built.kernel), std::move(call));
  }

  // If another kernel sums what this one stores in a parameter, it does so itself, chunk by chunk, and where a chunk is all there
  // is to a sum, there is no other kernel.
  void sum_in(Kernel& kernel, std::uint32_t parameter, KernelCall& call) {
    const ValueId value = call.values[parameter];
    auto found = row_sums_.find(value);
    if (found == row_sums_.end()) return;
    auto& [group, sum] = found->second;
    const BuiltKernel& folds = group->kernel;
    const ValueId result = sum.result ? folds.values[*sum.result] : ValueId{};
    const std::optional<ChunkResults> results = fold_across(
        kernel, parameter, program_.buffers[call.buffers[parameter]].layout, folds.kernel, sum,
        result.valid() ? program_.buffers[buffer_of(result)].layout : MemoryLayout{},
        options_.processor.vectors);
    if (!results) return;
    call.values.push_back(result);
    if (result.valid()) {
      call.buffers.push_back(buffer_of(result));
      call.nodes.insert(call.nodes.end(), group->nodes.begin(), group->nodes.end());
      group->kernel.kernel.stages.clear();
    } else {
      Buffer chunks{"chunks", results->type, Buffer::Place::workspace, 0, 0, {}};
      call.buffers.push_back(add_buffer(std::move(chunks)));
      read_chunks(group->kernel, sum, *results);
      group->chunks = GivenBuffer{sum.parameter, call.buffers.back()};
    }
    row_sums_.erase(found);
  }

  void add_check(const PlannedCheck& check) {
    const Node& node = graph_.node(check.node);
    const TensorType& type = graph_.type(check.value);
    std::uint32_t source = buffer_of(check.value);
    BuiltKernel built{build_check_kernel(type, check, program_.buffers[source].name, node.location),
                      {check.value, {}, {}}};
    KernelCall call;
    call.buffers = {source};
    for (const char* name : {"fault_position", "fault_index"})
      call.buffers.push_back(
          add_buffer({name, {DType::i64, {}}, Buffer::Place::workspace, 0, 0, {}}));
    call.values = built.values;
    call.description = "whether the indices of " + check.op + " are in range";
    program_.checks.push_back({static_cast<std::uint32_t>(program_.calls.size()), call.buffers[1],
                               call.buffers[2], check.from_end, check.sizes, check.op,
                               node.location});
    split_in_workspace(built.kernel, call, false);
    add_call(std::move(built.kernel), std::move(call));
  }

  // Whether another kernel sums what this one stores.
  bool sums_rows_of(const BuiltKernel& built) const {
    for (std::size_t i = 0; i < built.values.size(); ++i)
      if (built.kernel.parameters[i].written && row_sums_.contains(built.values[i])) return true;
    return false;
  }

  // Splits what has to be split, with the scratch for it.
  void split_in_workspace(Kernel& kernel, KernelCall& call, bool sums_rows) {
    for (const SlotSize& size : split_folds(kernel, options_.processor, sums_rows)) {
      Buffer scratch{"partial", {}, Buffer::Place::workspace, 0, 0, size};
      call.buffers.push_back(add_buffer(std::move(scratch)));
      call.values.emplace_back();
    }
  }

  // The buffer of a transposed copy; one copy serves all kernels that want it, with as wide a frame. Weights are laid out
  // that way before the program runs.
  std::uint32_t packed_buffer(const PackedCopy& copy) {
    if (auto layout = layouts_.find(copy.source);
        layout != layouts_.end() && layout->second.panel != 0 && copy.low.empty() &&
        layout->second.panel == copy.panel && std::ranges::is_sorted(copy.order) &&
        std::ranges::is_sorted(layout->second.order))
      return buffer_of(copy.source);
    auto [found, inserted] = packed_.try_emplace(
        {copy.source, copy.order, copy.panel, copy.low, to_string(copy.type)}, 0);
    if (!inserted) return found->second;
    std::string name = graph_.value(copy.source).name;
    if (!name.empty()) name += "_packed";
    std::uint32_t source = buffer_of(copy.source);
    if (auto weight = weights_.find(source); weight != weights_.end()) {
      WeightEntry entry = program_.weights[weight->second];
      entry.order = copy.order;
      entry.panel = copy.panel;
      return found->second = add_weight(std::move(entry), std::move(name), copy.type);
    }
    std::uint32_t number = add_buffer({name, copy.type, Buffer::Place::workspace, 0, 0, {}});
    found->second = number;
    const TensorType type = type_in_order(graph_.type(copy.source), copy.source, layouts_);
    for (Kernel& kernel : build_frame_kernels(type, copy)) {
      KernelCall frame;
      frame.buffers = {number};
      frame.values = {copy.source};
      frame.description = "%" + name;
      add_call(std::move(kernel), std::move(frame));
    }
    Kernel kernel = build_pack_kernel(type, copy);
    apply_panels(kernel, {program_.buffers[source].layout.panel});
    add_call(std::move(kernel), copy_call(copy.source, source, number, "%" + name));
    const bool is_framed = !copy.low.empty() && copy.panel == 0 &&
                           program_.buffers[source].layout.panel == 0 &&
                           std::ranges::is_sorted(copy.order);
    if (is_framed)
      framed_copies_.push_back(
          {source, number, copy.low, static_cast<std::uint32_t>(program_.calls.size() - 1)});
    return number;
  }

  // Copies a value from one buffer to another, each in its own order of dimensions.
  void add_copy(ValueId value, std::uint32_t from, std::uint32_t to, std::string description) {
    Kernel kernel = build_copy_kernel(graph_, value).kernel;
    const MemoryLayout &source = program_.buffers[from].layout,
                       &target = program_.buffers[to].layout;
    reorder_dimensions(kernel, {source.order, target.order});
    apply_panels(kernel, {source.panel, target.panel});
    add_call(std::move(kernel), copy_call(value, from, to, std::move(description)));
  }

  static KernelCall copy_call(ValueId value, std::uint32_t from, std::uint32_t to,
                              std::string description) {
    KernelCall call;
    call.buffers = {from, to};
    call.values = {value, value};
    call.description = std::move(description);
    return call;
  }

  void add_call(Kernel kernel, KernelCall call) {
    for (const std::string& symbol : kernel_symbols(kernel))
      call.dims.push_back(Dim::symbol(symbol));
    call.kernel = number_of(std::move(kernel));
    program_.calls.push_back(std::move(call));
  }

  std::uint32_t number_of(Kernel kernel) {
    auto [found, inserted] = kernels_.try_emplace(
        structure_key(kernel), static_cast<std::uint32_t>(program_.kernels.size()));
    if (inserted) program_.kernels.push_back(std::move(kernel));
    return found->second;
  }

  // The others keep their order.
  void drop_unused_kernels() {
    std::vector<bool> is_used(program_.kernels.size());
    for (const KernelCall& call : program_.calls) is_used[call.kernel] = true;
    std::vector<std::uint32_t> number(is_used.size());
    std::uint32_t used = 0;
    for (std::size_t i = 0; i < is_used.size(); ++i) {
      if (!is_used[i]) continue;
      number[i] = used;
      if (used != i) program_.kernels[used] = std::move(program_.kernels[i]);
      ++used;
    }
    program_.kernels.resize(used);
    for (KernelCall& call : program_.calls) call.kernel = number[call.kernel];
  }

  const Graph& graph_;
  const LoweringOptions& options_;
  Program program_;
  std::unordered_map<ValueId, std::uint32_t> buffers_;
  std::unordered_map<ValueId, SumKernel> row_sums_;  // by what they sum, until its kernel does so
  Layouts layouts_;
  std::unordered_map<std::uint32_t, std::size_t> weights_;  // by buffer: its entry
  std::vector<std::pair<ValueId, std::uint32_t>> copies_;
  std::map<std::tuple<ValueId, std::vector<std::uint32_t>, std::int64_t, std::vector<std::int64_t>,
                      std::string>,
           std::uint32_t>
      packed_;
  std::vector<FramedCopy> framed_copies_;
  std::unordered_map<std::string, std::uint32_t> kernels_;
};

}  // namespace

Program lower(const Graph& graph, const LoweringOptions& options) {
  return Lowerer(graph, options).run();
}

}  // namespace weir
