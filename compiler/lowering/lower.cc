#include "compiler/lowering/lower.h"

#include <algorithm>
#include <deque>
#include <map>
#include <tuple>
#include <unordered_map>
#include <unordered_set>

#include <fmt/format.h>

#include "compiler/lowering/apply_panels.h"
#include "compiler/lowering/band_calls.h"
#include "compiler/lowering/build_copies.h"
#include "compiler/lowering/build_kernel.h"
#include "compiler/lowering/check_indices.h"
#include "compiler/lowering/elements.h"
#include "compiler/lowering/estimated_size.h"
#include "compiler/lowering/find_sums.h"
#include "compiler/lowering/fold_across.h"
#include "compiler/lowering/fusion.h"
#include "compiler/lowering/keep_elements.h"
#include "compiler/lowering/layouts.h"
#include "compiler/lowering/make_again.h"
#include "compiler/lowering/memory_plan.h"
#include "compiler/lowering/order_state.h"
#include "compiler/lowering/own_memory.h"
#include "compiler/lowering/pack_operands.h"
#include "compiler/lowering/place_channels.h"
#include "compiler/lowering/place_parts.h"
#include "compiler/lowering/place_updates.h"
#include "compiler/lowering/prepare_kernels.h"
#include "compiler/lowering/program_buffers.h"
#include "compiler/lowering/read_frames.h"
#include "compiler/lowering/recomputed_values.h"
#include "compiler/lowering/share_kernels.h"
#include "compiler/lowering/shorten_lives.h"
#include "compiler/lowering/split_folds.h"
#include "ir/escape.h"
#include "ir/op.h"
#include "runtime/abi.h"

namespace weir {
namespace {

// What the program's nodes need of sizes, each once.
std::vector<SizeCheck> size_checks(const Graph& graph) {
  std::vector<SizeCheck> checks;
  for (const Node& node : graph.nodes()) {
    const std::vector<TensorType> operands = types_of(graph, node.operands),
                                  results = types_of(graph, node.results);
    for (SizeNeed& need : size_needs({node.op, operands, node.attributes}, results))
      if (std::ranges::none_of(
              checks, [&](const SizeCheck& check) { return check.need.size == need.size; }))
        checks.push_back({std::move(need), node.op->name, node.location});
  }
  return checks;
}

class Lowerer {
 public:
  Lowerer(const Graph& graph, const LoweringOptions& options)
      : graph_(graph), options_(options), buffers_(graph, program_) {}

  Program run() {
    program_.name = graph_.name();
    program_.symbols = graph_.symbols();
    program_.outputs_leave = options_.outputs_leave;
    program_.size_checks = size_checks(graph_);
    IndexCheckPlan checks = plan_index_checks(graph_);
    FusionPlan plan =
        plan_fusion(graph_, {.fuse = options_.fuse, .checked = checked_values(checks)});
    std::vector<GroupKernels> groups;
    for (std::size_t i = 0; i < plan.groups.size(); ++i)
      groups.push_back({computed_nodes(graph_, plan, i),
                        build_start_kernel(graph_, plan, i),
                        build_kernel(graph_, plan, i),
                        std::nullopt,
                        {},
                        build_parts(graph_, plan, i)});
    for (const GroupKernels& group : groups)
      for (const BuiltPart& part : group.parts) in_order_.insert(part.kernel.values.back());
    std::vector<const BuiltKernel*> kernels;
    for (const GroupKernels& group : groups) kernels.push_back(&group.kernel);
    std::vector<std::vector<SumKernel>> sums = find_sums(kernels);
    for (std::size_t i = 0; i < groups.size(); ++i) groups[i].sums = std::move(sums[i]);
    choose_layouts(groups, checks);
    for (GroupKernels& group : groups)
      if (!group.sums.empty())
        row_sums_.try_emplace(group.kernel.values[group.sums.front().sum.parameter], &group);
    // What one kernel starts and another one goes on with is in no pass as it is to be summed, nor
    // is what has a kernel for each part.
    for (const GroupKernels& group : groups) {
      if (group.start)
        for (ValueId value : group.start->values) row_sums_.erase(value);
      if (!group.parts.empty()) row_sums_.erase(group.parts[0].kernel.values.back());
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
      for (BuiltPart& part : group.parts) add_part(std::move(part));
      if (!group.kernel.kernel.stages.empty())
        add_call(std::move(group.kernel), std::move(group.nodes), group.chunks);
    }
    for (const auto& [value, output] : buffers_.copies())
      add_copy(value, buffers_.of(value), output, program_.buffers[output].name);
    read_frames(program_, framed_copies_,
                [&](Kernel kernel) { return number_of(std::move(kernel)); });
    place_state();
    buffers_.place_weights();
    if (options_.reuse_memory) {
      place_parts(program_);
      shorten_lives(program_);
      make_again(program_);
      run_in_bands();
    }
    plan_memory(program_, {.reuse = options_.reuse_memory});
    share_kernels(program_, [&](Kernel kernel) { return number_of(std::move(kernel)); });
    drop_unused_kernels();
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
    std::vector<SumKernel> sums = {};  // if that is all that the kernel does
    std::vector<BuiltPart> parts = {};
  };

  // Of values that only these kernels know; what is checked is read in row-major order. A sum in
  // lanes is in the kernel that stores what it reads, as a rule, wherever that lies. Sums of
  // rows behind a stride count as those along rows, which keeps channels innermost.
  void choose_layouts(const std::vector<GroupKernels>& groups, const IndexCheckPlan& checks) {
    std::vector<const BuiltKernel*> kernels;
    std::deque<BuiltKernel> along_rows;
    for (const GroupKernels& group : groups) {
      if (group.start) kernels.push_back(&*group.start);
      for (const BuiltPart& part : group.parts) kernels.push_back(&part.kernel);
      if (group.sums.size() > 1 ||
          (!group.sums.empty() && goes_through_images(group.kernel.kernel, group.sums.front().sum)))
        continue;
      std::optional<Kernel> sum;
      if (!group.sums.empty()) sum = sum_along_rows(group.kernel.kernel, group.sums.front().sum);
      if (sum)
        kernels.push_back(
            &along_rows.emplace_back(BuiltKernel{std::move(*sum), group.kernel.values}));
      else
        kernels.push_back(&group.kernel);
    }
    for (const PlannedCheck& check : checks.checks) checked_.insert(check.value);
    auto is_free = [&](ValueId id) { return is_free_to_move(id); };
    const std::unordered_map<ValueId, ValueId> again = recomputed_values(graph_);
    buffers_.layouts() = weir::choose_layouts(kernels, is_free, buffers_.weight_test(), again,
                                              options_.processor.vectors);
    place_channels(buffers_.layouts(), kernels, is_free, again, options_.processor.core);
    order_state(kernels);
    buffers_.layouts().merge(choose_panels(kernels, buffers_.layouts(), is_free,
                                           buffers_.weight_test(), options_.processor));
  }

  // Whether nothing but kernels that are still to be prepared knows where the value lies.
  bool is_free_to_move(ValueId value) const {
    return graph_.value(value).kind == Value::Kind::result && !buffers_.is_weight(value) &&
           !buffers_.contains(value) && !checked_.contains(value) && !in_order_.contains(value);
  }

  // Of the params that are updated; one whose next value has another use besides stays as declared.
  void order_state(const std::vector<const BuiltKernel*>& kernels) {
    if (options_.orders_state) {
      std::unordered_map<ValueId, int> outputs;
      for (const Graph::Output& output : graph_.outputs()) ++outputs[output.value];
      std::vector<StateUpdate> updates;
      for (const Graph::Output& output : graph_.outputs()) {
        if (!output.updates.valid() || outputs.contains(output.updates)) continue;
        const Buffer* next = buffers_.find(output.value);
        bool own = next && outputs.at(output.value) == 1 &&
                   graph_.value(output.value).kind == Value::Kind::result && is_own(*next);
        if (own && !checked_.contains(output.updates) && !checked_.contains(output.value))
          updates.push_back({output.updates, output.value});
      }
      buffers_.layouts().merge(weir::order_state(kernels, updates, buffers_.layouts(),
                                                 buffers_.weight_test(), options_.processor));
    }
    for (StateEntry& entry : program_.state) {
      const Graph::Output& output = graph_.outputs()[entry.output];
      if (auto given = options_.state_orders.find(entry.param);
          given != options_.state_orders.end())
        buffers_.layouts().emplace(output.updates, given->second);
      auto layout = buffers_.layouts().find(output.updates);
      if (layout == buffers_.layouts().end()) continue;
      entry.layout = layout->second;
      for (ValueId value : {output.updates, output.value}) {
        if (Buffer* buffer = buffers_.find(value)) buffers_.lay_out(*buffer, value);
      }
    }
  }

  // Gives the next value of every param that is updated a buffer and its place.
  void place_state() {
    std::vector<Update> updates;
    std::unordered_set<std::uint32_t> taken;
    for (StateEntry& entry : program_.state) {
      const Graph::Output& output = graph_.outputs()[entry.output];
      std::uint32_t param = buffers_.of(output.updates);
      entry.buffer = param;
      entry.updated = output.value != output.updates;
      if (!entry.updated) continue;
      std::uint32_t value = buffers_.of(output.value);
      if (!is_own(program_.buffers[value]) || !taken.insert(value).second) {
        Buffer next{entry.param + "_next", entry.type, Buffer::Place::workspace, 0, 0, {}};
        buffers_.lay_out(next, output.updates);
        std::uint32_t copy = buffers_.add(std::move(next));
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
      buffers_.lay_out(state, output.updates);
      std::uint32_t copy = buffers_.add(std::move(state));
      entry->buffer = copy;
      add_copy(output.value, update.next, copy, "%" + entry->param);
    }
  }

  void add_part(BuiltPart part) {
    const ValueId whole = part.kernel.values.back();
    add_call(std::move(part.kernel), part.nodes, std::nullopt);
    KernelCall& call = program_.calls.back();
    call.begins.assign(call.buffers.size(), Dim(0));
    const auto written = std::ranges::find(call.values, whole);
    WEIR_CHECK(written != call.values.end());
    call.begins[static_cast<std::size_t>(written - call.values.begin())] = part.begin;
  }

  void add_call(BuiltKernel built, const std::vector<NodeId>& nodes,
                const std::optional<GivenBuffer>& chunks) {
    PreparedKernels prepared = prepare_kernels(std::move(built), buffers_.layouts(),
                                               buffers_.weight_test(), options_.processor);
    std::uint32_t sums = UINT32_MAX;
    if (prepared.kernels.size() > 1)
      sums = buffers_.add({"sums", prepared.sums, Buffer::Place::workspace, 0, 0, {}});
    for (PreparedKernel& one : prepared.kernels) add_call(std::move(one), nodes, chunks, sums);
  }

  // `sums` is the buffer of a parameter without a value that is neither `chunks` nor a copy, if
  // there is one.
  void add_call(PreparedKernel prepared, std::vector<NodeId> nodes,
                const std::optional<GivenBuffer>& chunks, std::uint32_t sums) {
    BuiltKernel& built = prepared.built;
    KernelCall call;
    call.nodes = std::move(nodes);
    std::vector<std::uint32_t>& buffers = call.buffers;
    for (std::size_t i = 0; i < built.values.size(); ++i) {
      buffers.push_back(built.values[i].valid()            ? buffers_.of(built.values[i])
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

  // If another kernel sums what this one stores in a parameter, it does so itself, chunk by chunk,
  // and where a chunk is all there is to the sums, there is no other kernel.
  void sum_in(Kernel& kernel, std::uint32_t parameter, KernelCall& call) {
    auto found = row_sums_.find(call.values[parameter]);
    if (found == row_sums_.end()) return;
    GroupKernels& group = *found->second;
    const MemoryLayout layout = program_.buffers[call.buffers[parameter]].layout;
    Kernel summing = kernel;
    KernelCall summing_call = call;
    std::vector<std::pair<std::size_t, ChunkResults>> all;  // and the parameters that get them
    for (const SumKernel& one : group.sums) {
      const SumOperands operands = sum_operands(one, group.kernel.values, summing, summing_call);
      const ValueId result = one.sum.result ? group.kernel.values[*one.sum.result] : ValueId{};
      SumPlace place;
      if (result.valid()) place = {layout_of(result), is_free_to_move(result)};
      const std::optional<ChunkResults> results =
          fold_across(summing, parameter, layout, one.kernel, one.sum, operands, place,
                      options_.processor.vectors);
      if (!results || (results->chunks && group.sums.size() > 1)) return;
      all.emplace_back(summing_call.values.size(), *results);
      summing_call.values.push_back(results->chunks ? ValueId{} : result);
      summing_call.buffers.push_back(UINT32_MAX);
    }
    kernel = std::move(summing);
    call = std::move(summing_call);
    for (const auto& [number, results] : all) {
      if (results.chunks) {
        Buffer chunks{"chunks", results.type, Buffer::Place::workspace, 0, 0, {}};
        call.buffers[number] = buffers_.add(std::move(chunks));
        read_chunks(group.kernel, group.sums.front().sum, results);
        group.chunks = GivenBuffer{kChunksParameter, call.buffers[number]};
        continue;
      }
      const ValueId result = call.values[number];
      if (results.layout) buffers_.layouts().insert_or_assign(result, *results.layout);
      call.buffers[number] = buffers_.of(result);
    }
    if (!group.chunks) {
      call.nodes.insert(call.nodes.end(), group.nodes.begin(), group.nodes.end());
      group.kernel.kernel.stages.clear();
    }
    row_sums_.erase(found);
  }

  MemoryLayout layout_of(ValueId value) {
    const auto layout = buffers_.layouts().find(value);
    return layout == buffers_.layouts().end() ? MemoryLayout{} : layout->second;
  }

  // By parameter of a sum: that by which the kernel that is to make it reads, or writes, the same
  // value. It gets those that it has not.
  SumOperands sum_operands(const SumKernel& sum, const std::vector<ValueId>& values, Kernel& kernel,
                           KernelCall& call) {
    SumOperands operands;
    const scalar::Arena& arena = sum.kernel.arena;
    for (scalar::Id id : scalar::reachable(arena, std::span(&sum.sum.element, 1))) {
      const auto read = static_cast<std::uint32_t>(arena[id].payload);
      if (!scalar::is_load(arena[id].primitive) || read == sum.sum.parameter ||
          operands.contains(read))
        continue;
      const std::uint32_t number = buffers_.of(values[read]);
      const Buffer& buffer = program_.buffers[number];
      std::uint32_t own = 0;
      while (own < call.buffers.size() && (call.buffers[own] != number ||
                                           kernel.parameters[own].type.shape != buffer.type.shape))
        ++own;
      if (own == call.buffers.size()) {
        kernel.parameters.push_back({buffer.name, buffer.type, false});
        call.buffers.push_back(number);
        call.values.push_back(values[read]);
      }
      operands.emplace(read, SumOperand{own, buffer.layout});
    }
    return operands;
  }

  void add_check(const PlannedCheck& check) {
    const Node& node = graph_.node(check.node);
    const TensorType& type = graph_.type(check.value);
    std::uint32_t source = buffers_.of(check.value);
    BuiltKernel built{build_check_kernel(type, check, program_.buffers[source].name, node.location),
                      {check.value, {}, {}}};
    KernelCall call;
    call.buffers = {source};
    for (const char* name : {"fault_position", "fault_index"})
      call.buffers.push_back(
          buffers_.add({name, {DType::i64, {}}, Buffer::Place::workspace, 0, 0, {}}));
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
      call.buffers.push_back(buffers_.add(std::move(scratch)));
      call.values.emplace_back();
    }
  }

  // The buffer of a transposed copy; one copy serves all kernels that want it, with as wide a
  // frame. Weights are laid out that way before the program runs.
  std::uint32_t packed_buffer(const PackedCopy& copy) {
    if (auto layout = buffers_.layouts().find(copy.source);
        layout != buffers_.layouts().end() && layout->second.panel != 0 && copy.low.empty() &&
        layout->second.panel == copy.panel && std::ranges::is_sorted(copy.order) &&
        std::ranges::is_sorted(layout->second.order))
      return buffers_.of(copy.source);
    auto [found, inserted] = packed_.try_emplace(
        {copy.source, copy.order, copy.panel, copy.low, to_string(copy.type)}, 0);
    if (!inserted) return found->second;
    std::string name = graph_.value(copy.source).name;
    if (!name.empty()) name += copy.times_zero ? "_times_zero" : "_packed";
    std::uint32_t source = buffers_.of(copy.source);
    if (const WeightEntry* weight = buffers_.weight(source)) {
      WeightEntry entry = *weight;
      entry.order = copy.order;
      entry.panel = copy.panel;
      entry.times_zero = copy.times_zero;
      return found->second = buffers_.add_weight(std::move(entry), std::move(name), copy.type);
    }
    std::uint32_t number = buffers_.add({name, copy.type, Buffer::Place::workspace, 0, 0, {}});
    found->second = number;
    const TensorType type =
        type_in_order(graph_.type(copy.source), copy.source, buffers_.layouts());
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

  void run_in_bands() {
    std::vector<Processor> processors{options_.processor};
    processors.insert(processors.end(), options_.variants.begin(), options_.variants.end());
    band_calls(program_, processors, [&](Kernel kernel) { return number_of(std::move(kernel)); });
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
  ProgramBuffers buffers_;
  std::unordered_set<ValueId> checked_;   // by kernels that read them in row-major order
  std::unordered_set<ValueId> in_order_;  // what is stored part by part
  std::unordered_map<ValueId, GroupKernels*>
      row_sums_;  // by what they sum, until its kernel does so
  std::map<std::tuple<ValueId, std::vector<std::uint32_t>, std::int64_t, std::vector<std::int64_t>,
                      std::string>,
           std::uint32_t>
      packed_;
  std::vector<FramedCopy> framed_copies_;
  std::unordered_map<std::string, std::uint32_t> kernels_;
};

// The node with the largest result, as far as sizes are known here.
const Node* largest_node(const Graph& graph) {
  const Node* largest = nullptr;
  double most = -1;
  for (const Node& node : graph.nodes()) {
    for (ValueId result : node.results) {
      double elements = 1;
      for (const Dim& dim : graph.type(result).shape) elements *= estimated_size(dim);
      if (elements <= most) continue;
      most = elements;
      largest = &node;
    }
  }
  return largest;
}

}  // namespace

Program lower(const Graph& graph, const LoweringOptions& options) try {
  return Lowerer(graph, options).run();
} catch (const Error& error) {
  // Sizes of buffers, copies and the workspace that leave 64 bits.
  if (error.diagnostic().location.known()) throw;
  const Node* largest = largest_node(graph);
  if (!largest) throw;
  throw Error(largest->location,
              fmt::format("{}: {}", largest->op->name, error.diagnostic().message));
}

}  // namespace weir
