#include "compiler/lowering/build_kernel.h"

#include <algorithm>
#include <cstdlib>
#include <map>

#include <fmt/format.h>

#include "compiler/lowering/elements.h"
#include "ir/op.h"
#include "ir/scalar/affine.h"

namespace weir {
namespace {

using scalar::Arena;
using scalar::Expr;
using scalar::Id;

class KernelBuilder {
 public:
  KernelBuilder(const Graph& graph, const FusionPlan& plan, std::size_t number, const Shape& rows)
      : graph_(graph),
        plan_(plan),
        number_(static_cast<std::int32_t>(number)),
        group_(plan.groups[number]),
        elements_(graph, result_.kernel.arena, result_.kernel.locations,
                  [this](ValueId value, std::span<const Id> indices, Id guard) {
                    return available(value, indices, guard);
                  }) {
    Kernel& kernel = result_.kernel;
    kernel.rows = rows;
    for (std::size_t i = 0; i < kernel.rows.size(); ++i)
      row_axes_.push_back(kernel.arena.axis(static_cast<std::uint32_t>(i), kernel.rows[i]));
  }

  // The elements that the group's result has before the first step.
  BuiltKernel build_start(ValueId start) {
    ValueId result = graph_.node(group_.members.front().node).results[0];
    std::vector<Id> indices =
        spread_indices(result_.kernel.arena, graph_.type(result).shape, row_axes_);
    Id element = elements_.element(start, indices);
    add_store(std::nullopt, {parameter(result, true), indices, element});
    result_.kernel.name = "start_" + kernel_name();
    return std::move(result_);
  }

  // An operand of the group's member, along an axis of its result. In a result whose outer
  // dimensions are 1 it is one run of memory, as it is of its own.
  BuiltKernel build_part(ValueId operand, std::size_t axis) {
    const ValueId result = graph_.node(group_.members.front().node).results[0];
    const TensorType &own = graph_.type(operand), &whole = graph_.type(result);
    const std::vector<Id> indices = spread_indices(result_.kernel.arena, own.shape, row_axes_);
    const Id element = elements_.element(operand, indices);
    const std::uint32_t number = parameter(result, true);
    const bool is_run =
        std::all_of(whole.shape.begin(), whole.shape.begin() + static_cast<std::ptrdiff_t>(axis),
                    [](const Dim& dim) { return dim == Dim(1); });
    result_.kernel.parameters[number].type = is_run ? own : whole;
    add_store(std::nullopt, {number, indices, element});
    result_.kernel.name = kernel_name();
    return std::move(result_);
  }

  BuiltKernel build() {
    if (group_.parts) return {};
    if (group_.steps) {
      add_steps(graph_.node(group_.members.front().node));
      result_.kernel.name = kernel_name();
      return std::move(result_);
    }
    for (const GroupMember& member : group_.members) {
      const Node& node = graph_.node(member.node);
      if (member.level == MemberLevel::fold) {
        add_fold(node);
      } else if (is_stored(node)) {
        add_map(node, member);
      }
    }
    result_.kernel.name = kernel_name();
    return std::move(result_);
  }

 private:
  bool is_stored(const Node& node) const {
    for (ValueId value : node.results)
      if (plan_.stored[value.index]) return true;
    return false;
  }

  std::string kernel_name() const {
    std::string name;
    for (const GroupMember& member : group_.members) {
      if (name.size() > 40) break;
      const std::string& op = graph_.node(member.node).op->name;
      if (!name.empty()) name += "_";
      for (char c : op) name += c == '.' ? '_' : c;
    }
    return name;
  }

  std::uint32_t parameter(ValueId value, bool written) {
    std::vector<ValueId>& values = result_.values;
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (values[i] != value) continue;
      result_.kernel.parameters[i].written = result_.kernel.parameters[i].written || written;
      return static_cast<std::uint32_t>(i);
    }
    values.push_back(value);
    result_.kernel.parameters.push_back({graph_.value(value).name, graph_.type(value), written});
    return static_cast<std::uint32_t>(values.size() - 1);
  }

  // How an element can be read without being written out; see ElementBuilder::Available.
  Id available(ValueId value, std::span<const Id> indices, Id guard) {
    const Value& info = graph_.value(value);
    if (info.kind == Value::Kind::result) {
      std::int32_t group = plan_.group_of[info.producer.index];
      if (group == FusionPlan::kInline) return {};
      if (group == FusionPlan::kSource) {
        const Node& node = graph_.node(info.producer);
        if (splat_value(*node.op->data(node.attributes))) return {};
      }
      if (group == number_ && !group_.steps) {
        auto local = locals_.find(value);
        return local == locals_.end() ? Id{} : local->second;
      }
    }
    return load_element(result_.kernel.arena, parameter(value, false), info.type, indices, guard);
  }

  // The axes of the domain's dimensions for a member that runs over all of it.
  std::vector<Id> full_axes(Id inner) {
    std::vector<Id> axes = row_axes_;
    std::vector<Id> split = delinearize(result_.kernel.arena, inner, group_.inner());
    axes.insert(axes.begin() + static_cast<std::ptrdiff_t>(group_.inner_begin), split.begin(),
                split.end());
    return axes;
  }

  // The stages' own axis over `extent` points.
  Id stage_axis(const Dim& extent, std::uint32_t& number) {
    for (number = static_cast<std::uint32_t>(row_axes_.size()); number < next_axis(); ++number)
      if (stage_extents_[number - row_axes_.size()] == extent)
        return result_.kernel.arena.axis(number, extent);
    stage_extents_.push_back(extent);
    return result_.kernel.arena.axis(number, extent);
  }
  std::uint32_t next_axis() const {
    return static_cast<std::uint32_t>(row_axes_.size() + stage_extents_.size());
  }

  // An axis for each of the extents, if a reduce over several axes of its own can have digits.
  std::vector<Id> digits_of(Stage& stage, const Fold& fold, const Shape& extents) {
    if (!group_.contraction || fold.order != Reduction::Order::chain ||
        without_ones(extents).size() < 2)
      return {};
    std::vector<Id> axes;
    for (const Dim& extent : without_ones(extents)) {
      stage.digits.push_back(next_axis());
      axes.push_back(result_.kernel.arena.axis(next_axis(), extent));
      stage_extents_.push_back(extent);
    }
    return spread_indices(result_.kernel.arena, extents, axes);
  }

  // Whether what a fold over one axis loads is a window that the next row's overlaps: an index is a
  // sum of its steps and of a row axis that goes fewer elements than the steps do.
  bool reads_windows(const Fold& fold, std::uint32_t axis) const {
    const Arena& arena = result_.kernel.arena;
    const Dim& steps = arena.axis_extent(axis);
    auto is_window = [&](Id index) {
      std::optional<std::int64_t> of_step, of_row;
      for (const auto& [atom, coefficient] : scalar::decompose(arena, index).terms) {
        if (arena[atom].primitive != scalar::Primitive::axis || !coefficient.is_constant())
          continue;
        if (arena[atom].payload == axis)
          of_step = std::abs(coefficient.value());
        else if (arena[atom].payload < row_axes_.size())
          of_row = std::abs(coefficient.value());
      }
      return of_step && of_row && (!steps.is_constant() || *of_row < *of_step * steps.value());
    };
    if (!group_.contraction || fold.order != Reduction::Order::chain) return false;
    for (Id load : scalar::reachable(arena, fold.elements))
      if (scalar::is_load(arena[load].primitive) &&
          std::ranges::any_of(arena.load_indices(load), is_window))
        return true;
    return false;
  }

  void add_fold(const Node& node) {
    Kernel& kernel = result_.kernel;
    std::vector<TensorType> types = types_of(graph_, node.operands);
    Comprehension comprehension = node.op->comprehension({node.op, types, node.attributes});
    const Reduction& reduction = *comprehension.reduction;
    Dim extent = 1;
    for (const Dim& dim : comprehension.reduce_extents) extent = extent * dim;
    Stage stage;
    std::uint32_t axis;
    Id reduced = stage_axis(extent, axis);
    stage.axis = axis;
    Fold fold;
    fold.name = reduction.name;
    fold.order = reduction.order;
    fold.chunk = reduction.chunk;
    fold.identity = reduction.identity;
    std::vector<Id> split = digits_of(stage, fold, comprehension.reduce_extents);
    if (split.empty()) split = delinearize(kernel.arena, reduced, comprehension.reduce_extents);
    std::vector<Id> indices =
        spread_indices(kernel.arena, graph_.type(node.results[0]).shape, row_axes_);
    fold.elements = elements_.folded_elements(node, comprehension, indices, split);
    if (stage.digits.empty() && reads_windows(fold, axis)) stage.digits.push_back(axis);
    elements_.located(node.location, [&] {
      std::vector<Expr> accumulators, others, elements;
      std::uint32_t next = 0;
      for (DType type : reduction.types)
        accumulators.emplace_back(kernel.arena, kernel.arena.argument(next++, type));
      std::uint32_t first_other = next;
      for (DType type : reduction.types)
        others.emplace_back(kernel.arena, kernel.arena.argument(next++, type));
      next = first_other;
      for (Id element : fold.elements)
        elements.emplace_back(kernel.arena,
                              kernel.arena.argument(next++, kernel.arena[element].type));
      for (const Expr& e : reduction.step(accumulators, elements)) fold.step.push_back(e.id());
      for (const Expr& e : reduction.merge(accumulators, others)) fold.merge.push_back(e.id());
      return 0;
    });
    for (std::size_t i = 0; i < reduction.types.size(); ++i) {
      fold.locals.push_back(static_cast<std::uint32_t>(kernel.locals.size()));
      Id local =
          kernel.arena.local(static_cast<std::uint32_t>(kernel.locals.size()), reduction.types[i]);
      if (i < node.results.size())
        locals_.emplace(node.results[i],
                        kernel.arena.cast(local, graph_.type(node.results[i]).dtype));
      kernel.locals.push_back(reduction.types[i]);
    }
    stage.fold = std::move(fold);
    kernel.stages.push_back(std::move(stage));
    for (ValueId value : node.results)
      if (plan_.stored[value.index])
        add_store(std::nullopt, {parameter(value, true), indices, locals_.at(value)});
  }

  void add_map(const Node& node, const GroupMember& member) {
    for (ValueId value : node.results) {
      if (!plan_.stored[value.index]) continue;
      std::optional<std::uint32_t> axis;
      std::vector<Id> axes = row_axes_;
      for (std::size_t i = 0; i < member.turned.size(); ++i) axes[i] = row_axes_[member.turned[i]];
      if (member.level == MemberLevel::full && group_.has_inner()) {
        Dim extent = 1;
        for (const Dim& dim : group_.inner()) extent = extent * dim;
        std::uint32_t number;
        axes = full_axes(stage_axis(extent, number));
        axis = number;
      }
      std::vector<Id> indices =
          spread_indices(result_.kernel.arena, graph_.type(value).shape, axes);
      Id element = elements_.element(value, indices);
      add_store(axis, {parameter(value, true), indices, element});
    }
  }

  // A map along the axes in order, taken together, which loads what it has stored.
  void add_steps(const Node& node) {
    Arena& arena = result_.kernel.arena;
    std::vector<TensorType> types = types_of(graph_, node.operands);
    Steps steps = node.op->steps({node.op, types, node.attributes});
    Shape in_order;
    Dim count = 1;
    for (std::size_t i = 0; i < steps.extents.size(); ++i) {
      if (!steps.in_order[i]) continue;
      in_order.push_back(steps.extents[i]);
      count = count * steps.extents[i];
    }
    std::uint32_t axis;
    std::vector<Id> split = delinearize(arena, stage_axis(count, axis), in_order), indices;
    std::size_t next_ordered = 0, next_row = 0;
    for (std::size_t i = 0; i < steps.extents.size(); ++i) {
      if (steps.in_order[i]) {
        indices.push_back(split[next_ordered++]);
      } else {
        indices.push_back(steps.extents[i] == Dim(1) ? arena.index(0) : row_axes_[next_row++]);
      }
    }
    ValueId result = node.results[0];
    std::uint32_t number = parameter(result, true);
    std::vector<Id> place = elements_.step(node, steps, indices);
    Id value = place.back();
    place.pop_back();
    const Shape& shape = graph_.type(result).shape;
    for (std::size_t i = 0; i < shape.size(); ++i)
      if (shape[i] == Dim(1)) place[i] = arena.index(0);
    add_store(axis, {number, std::move(place), value});
  }

  // Adds to the last stage if that is a map over the same axis, and opens a new one otherwise.
  void add_store(std::optional<std::uint32_t> axis, Store store) {
    std::vector<Stage>& stages = result_.kernel.stages;
    if (stages.empty() || stages.back().fold || stages.back().axis != axis) {
      stages.emplace_back();
      stages.back().axis = axis;
    }
    stages.back().stores.push_back(std::move(store));
  }

  const Graph& graph_;
  const FusionPlan& plan_;
  std::int32_t number_;
  const Group& group_;
  BuiltKernel result_;
  ElementBuilder elements_;
  std::vector<Id> row_axes_;
  std::vector<Dim> stage_extents_;
  std::map<ValueId, Id> locals_;
};

}  // namespace

BuiltKernel build_kernel(const Graph& graph, const FusionPlan& plan, std::size_t group) {
  return KernelBuilder(graph, plan, group, plan.groups[group].rows()).build();
}

std::vector<BuiltPart> build_parts(const Graph& graph, const FusionPlan& plan, std::size_t group) {
  if (!plan.groups[group].parts) return {};
  const NodeId concat = plan.groups[group].members.front().node;
  const Node& node = graph.node(concat);
  const std::vector<TensorType> types = types_of(graph, node.operands);
  const std::vector<AxisRange> ranges = node.op->operand_ranges({node.op, types, node.attributes});
  const TensorType& whole = graph.type(node.results[0]);
  std::vector<BuiltPart> parts;
  for (std::size_t k = 0; k < ranges.size(); ++k) {
    const auto& [axis, start, limit] = ranges[k];
    Dim begin = start * Dim(byte_size(whole.dtype));
    for (std::size_t i = axis + 1; i < whole.shape.size(); ++i) begin = begin * whole.shape[i];
    std::vector<NodeId> nodes = inline_nodes(graph, plan, {node.operands[k]});
    nodes.push_back(concat);
    parts.push_back({KernelBuilder(graph, plan, group, without_ones(types[k].shape))
                         .build_part(node.operands[k], axis),
                     std::move(nodes), std::move(begin)});
  }
  return parts;
}

std::optional<BuiltKernel> build_start_kernel(const Graph& graph, const FusionPlan& plan,
                                              std::size_t group) {
  if (!plan.groups[group].steps) return std::nullopt;
  const Node& node = graph.node(plan.groups[group].members.front().node);
  std::vector<TensorType> types = types_of(graph, node.operands);
  std::optional<std::size_t> start = node.op->steps({node.op, types, node.attributes}).start;
  if (!start) return std::nullopt;
  return KernelBuilder(graph, plan, group, without_ones(graph.type(node.results[0]).shape))
      .build_start(node.operands[*start]);
}

BuiltKernel build_copy_kernel(const Graph& graph, ValueId value) {
  BuiltKernel result;
  Kernel& kernel = result.kernel;
  const TensorType& type = graph.type(value);
  kernel.name = "copy";
  kernel.rows = without_ones(type.shape);
  std::vector<Id> axes;
  for (std::size_t i = 0; i < kernel.rows.size(); ++i)
    axes.push_back(kernel.arena.axis(static_cast<std::uint32_t>(i), kernel.rows[i]));
  std::vector<Id> indices = spread_indices(kernel.arena, type.shape, axes);
  std::string name = graph.value(value).name;
  kernel.parameters = {{name, type, false}, {name.empty() ? name : name + "_copy", type, true}};
  Id loaded = load_element(kernel.arena, 0, type, indices, {});
  kernel.stages.emplace_back();
  kernel.stages.back().stores.push_back({1, indices, loaded});
  kernel.locations.assign(kernel.arena.size(), graph.value(value).location);
  result.values = {value, value};
  return result;
}

}  // namespace weir
