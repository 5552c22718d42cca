#include "compiler/lowering/kernel.h"

#include <fmt/format.h>

#include "ir/scalar/affine.h"

namespace weir {

using scalar::Arena;
using scalar::Id;
using scalar::Primitive;

namespace {

// Applies `change` to every expression id that the stages hold, in a fixed order.
template <class KernelType, class Change>
void for_each_root(KernelType& kernel, Change&& change) {
  for (auto& stage : kernel.stages) {
    if (stage.fold) {
      for (auto& id : stage.fold->elements) change(id);
      for (auto& id : stage.fold->step) change(id);
      for (auto& id : stage.fold->merge) change(id);
      if (auto& frame = stage.fold->frame) {
        change(frame->inside);
        change(frame->sum);
      }
    }
    for (auto& store : stage.stores) {
      for (auto& id : store.indices) change(id);
      change(store.value);
    }
  }
  if (!kernel.across) return;
  for (auto& sum : kernel.across->sums) {
    for (auto& id : sum.fold.elements) change(id);
    for (auto& id : sum.fold.step) change(id);
    for (auto& id : sum.indices) change(id);
  }
}

void collect(const Shape& shape, std::vector<std::string>& names) {
  for (const Dim& dim : shape) dim.collect_symbols(names);
}

// Makes the axes of a kernel in an arena, so that their extents are known even where no expression
// mentions them.
void add_axes(const Kernel& kernel, Arena& into) {
  for (std::size_t i = 0; i < kernel.rows.size(); ++i)
    into.axis(static_cast<std::uint32_t>(i), kernel.rows[i]);
  for (const Stage& stage : kernel.stages) {
    if (stage.axis) into.axis(*stage.axis, kernel.arena.axis_extent(*stage.axis));
    for (std::uint32_t digit : stage.digits) into.axis(digit, kernel.arena.axis_extent(digit));
  }
}

// Rebuilds all expressions with what `change` makes of the parameter and the indices of each load.
template <class Change>
void rewrite_loads(Kernel& kernel, Change&& change) {
  // Bottom up, so that the operands of every load are rebuilt before it.
  Arena into;
  std::vector<Location> locations;
  std::vector<Id> made(kernel.arena.size());
  add_axes(kernel, into);
  for (Id id : scalar::reachable(kernel.arena, roots_of(kernel))) {
    const scalar::Node& node = kernel.arena[id];
    std::vector<Id> operands;
    for (Id operand : kernel.arena.operands(id)) operands.push_back(made[operand.index]);
    auto parameter = static_cast<std::uint32_t>(node.payload);
    if (node.primitive == Primitive::load) {
      change(parameter, operands, into);
      made[id.index] = into.load(parameter, node.type, operands);
    } else if (node.primitive == Primitive::load_if) {
      std::vector<Id> indices(operands.begin() + 2, operands.end());
      change(parameter, indices, into);
      made[id.index] = into.load_if(parameter, operands[0], operands[1], indices);
    } else {
      made[id.index] = scalar::copy_node(kernel.arena, id, into, operands);
    }
    if (locations.size() < into.size()) locations.resize(into.size());
    if (id.index < kernel.locations.size() && !locations[made[id.index].index].known())
      locations[made[id.index].index] = kernel.locations[id.index];
  }
  for_each_root(kernel, [&](Id& id) { id = made[id.index]; });
  kernel.arena = std::move(into);
  kernel.locations = std::move(locations);
}

}  // namespace

std::vector<Id> roots_of(const Kernel& kernel) {
  std::vector<Id> roots;
  for_each_root(kernel, [&](Id id) { roots.push_back(id); });
  return roots;
}

std::vector<std::string> kernel_symbols(const Kernel& kernel) {
  std::vector<std::string> names;
  collect(kernel.rows, names);
  for (const KernelParameter& parameter : kernel.parameters) collect(parameter.type.shape, names);
  for (const Stage& stage : kernel.stages)
    if (stage.axis) kernel.arena.axis_extent(*stage.axis).collect_symbols(names);
  for (const Stage& stage : kernel.stages)
    for (std::uint32_t digit : stage.digits) kernel.arena.axis_extent(digit).collect_symbols(names);
  for (Id id : scalar::reachable(kernel.arena, roots_of(kernel)))
    if (kernel.arena[id].primitive == Primitive::size)
      kernel.arena.dim(kernel.arena[id].payload).collect_symbols(names);
  return names;
}

void rewrite(Kernel& kernel, const std::function<Id(const Arena&, Id, Arena&)>& leaf) {
  Arena into;
  std::vector<Location> locations;
  std::vector<Id> memo;
  add_axes(kernel, into);
  for_each_root(kernel, [&](Id& id) {
    id = scalar::rebuild(kernel.arena, id, into, memo,
                         [&](Id node) { return leaf(kernel.arena, node, into); });
  });
  locations.resize(into.size());
  for (std::size_t i = 0; i < memo.size() && i < kernel.locations.size(); ++i)
    if (memo[i].valid() && !locations[memo[i].index].known())
      locations[memo[i].index] = kernel.locations[i];
  kernel.arena = std::move(into);
  kernel.locations = std::move(locations);
}

std::optional<Id> step_condition(const Kernel& kernel, const Fold& fold) {
  const Arena& arena = kernel.arena;
  auto argument = [&](Id id) -> std::optional<std::size_t> {
    if (arena[id].primitive != Primitive::argument) return std::nullopt;
    return static_cast<std::size_t>(arena[id].payload);
  };
  std::optional<std::size_t> condition;
  for (std::size_t i = 0; i < fold.step.size(); ++i) {
    Id step = fold.step[i];
    if (arena[step].primitive != Primitive::select) return std::nullopt;
    std::optional<std::size_t> own = argument(arena.operand(step, 0));
    if (!own || *own < fold.locals.size() || (condition && condition != own)) return std::nullopt;
    if (argument(arena.operand(step, 2)) != i) return std::nullopt;
    condition = own;
  }
  if (!condition) return std::nullopt;
  return fold.elements[*condition - fold.locals.size()];
}

void cut_row(Kernel& kernel, std::uint32_t number, const AxisPart& front, const AxisPart& own) {
  Arena into;
  auto part = [&](std::uint32_t axis, const AxisPart& what) {
    Id id = into.axis(axis, what.extent);
    return what.stride == Dim(1) ? id : into.make(Primitive::mul, {id, into.size_of(what.stride)});
  };
  auto moved = [&](std::uint32_t axis) {
    return into.axis(axis + 1, axis == number ? own.extent : kernel.arena.axis_extent(axis));
  };
  Id first = part(0, front), second = part(number + 1, own);
  Id whole = into.make(Primitive::add, {first, second});
  std::vector<Location> locations;
  std::vector<Id> made(kernel.arena.size());
  for (std::uint32_t axis = 0; axis < kernel.rows.size(); ++axis) moved(axis);
  for (Id id : scalar::reachable(kernel.arena, roots_of(kernel))) {
    const scalar::Node& node = kernel.arena[id];
    std::vector<Id> operands;
    for (Id operand : kernel.arena.operands(id)) operands.push_back(made[operand.index]);
    if (node.primitive == Primitive::axis) {
      auto axis = static_cast<std::uint32_t>(node.payload);
      made[id.index] = axis == number ? whole : moved(axis);
    } else {
      made[id.index] = scalar::copy_node(kernel.arena, id, into, operands);
      if (node.primitive == Primitive::floor_div || node.primitive == Primitive::modulo)
        made[id.index] = scalar::simplify_index(into, made[id.index]);
    }
    locations.resize(into.size());
    if (id.index < kernel.locations.size() && !locations[made[id.index].index].known())
      locations[made[id.index].index] = kernel.locations[id.index];
  }
  for_each_root(kernel, [&](Id& id) { id = made[id.index]; });
  for (Stage& stage : kernel.stages) {
    if (stage.axis) moved((*stage.axis)++);
    for (std::uint32_t& digit : stage.digits) moved(digit++);
  }
  locations.resize(into.size());
  kernel.rows[number] = own.extent;
  kernel.rows.insert(kernel.rows.begin(), front.extent);
  kernel.arena = std::move(into);
  kernel.locations = std::move(locations);
}

std::uint32_t unused_axis(const Kernel& kernel) {
  auto next = static_cast<std::uint32_t>(kernel.rows.size());
  for (const Stage& stage : kernel.stages) {
    if (stage.axis) next = std::max(next, *stage.axis + 1);
    for (std::uint32_t digit : stage.digits) next = std::max(next, digit + 1);
  }
  return next;
}

void renumber_parameters(Kernel& kernel, const std::vector<std::uint32_t>& number) {
  rewrite_loads(kernel, [&](std::uint32_t& parameter, std::vector<Id>&, Arena&) {
    parameter = number[parameter];
  });
  for (Stage& stage : kernel.stages)
    for (Store& store : stage.stores) store.parameter = number[store.parameter];
}

void reorder_dimensions(Kernel& kernel, const std::vector<std::vector<std::uint32_t>>& orders) {
  auto reorder = [&](std::uint32_t parameter, auto& dimensions) {
    const std::vector<std::uint32_t>& order = orders[parameter];
    if (order.empty()) return;
    auto before = dimensions;
    for (std::size_t i = 0; i < order.size(); ++i) dimensions[i] = before[order[i]];
  };
  rewrite_loads(kernel, [&](std::uint32_t& parameter, std::vector<Id>& indices, Arena&) {
    reorder(parameter, indices);
  });
  for (Stage& stage : kernel.stages)
    for (Store& store : stage.stores) reorder(store.parameter, store.indices);
  for (std::uint32_t i = 0; i < orders.size(); ++i) reorder(i, kernel.parameters[i].type.shape);
}

void take_single(Kernel& kernel, const std::vector<std::vector<std::size_t>>& dimensions) {
  auto take = [&](std::uint32_t parameter, auto& indices, const auto& first) {
    for (std::size_t dimension : dimensions[parameter]) indices[dimension] = first;
  };
  const Id zero = kernel.arena.index(0);
  for (Stage& stage : kernel.stages)
    for (Store& store : stage.stores) take(store.parameter, store.indices, zero);
  if (kernel.across)
    for (RowFolds::Sum& sum : kernel.across->sums) take(sum.parameter, sum.indices, zero);
  rewrite_loads(kernel, [&](std::uint32_t& parameter, std::vector<Id>& indices, Arena& into) {
    take(parameter, indices, into.index(0));
  });
  for (std::uint32_t i = 0; i < dimensions.size(); ++i)
    take(i, kernel.parameters[i].type.shape, Dim(1));
}

std::string structure_key(const Kernel& kernel) {
  std::string key;
  auto put = [&](const auto& value) { fmt::format_to(std::back_inserter(key), "{} ", value); };
  put(to_string(kernel.rows));
  for (const KernelParameter& parameter : kernel.parameters) {
    put(to_string(parameter.type));
    put(parameter.written);
  }
  std::vector<Id> roots = roots_of(kernel);
  std::vector<std::uint32_t> number(kernel.arena.size());
  std::uint32_t next = 0;
  for (Id id : scalar::reachable(kernel.arena, roots)) {
    const scalar::Node& node = kernel.arena[id];
    number[id.index] = next++;
    put(static_cast<int>(node.primitive));
    put(static_cast<int>(node.type));
    if (node.primitive == Primitive::size) {
      put(kernel.arena.dim(node.payload).to_string());
    } else {
      put(node.payload);
    }
    for (Id operand : kernel.arena.operands(id)) put(number[operand.index]);
    key += ';';
  }
  for (Id root : roots) put(number[root.index]);
  for (const Stage& stage : kernel.stages) {
    key += '|';
    put(stage.is_part);
    if (stage.axis) {
      put(*stage.axis);
      put(kernel.arena.axis_extent(*stage.axis).to_string());
    }
    for (std::uint32_t digit : stage.digits) {
      put(digit);
      put(kernel.arena.axis_extent(digit).to_string());
    }
    if (stage.fold) {
      put(stage.fold->elements.size());
      put(static_cast<int>(stage.fold->order));
      put(stage.fold->chunk);
      put(stage.fold->frame.has_value());
      for (std::uint32_t local : stage.fold->locals) put(local);
      for (std::uint32_t partial : stage.fold->partials) put(partial);
      for (scalar::Bits bits : stage.fold->identity) put(bits.value);
    }
    for (const Store& store : stage.stores) {
      put(store.parameter);
      put(store.indices.size());
    }
  }
  for (DType type : kernel.locals) put(static_cast<int>(type));
  if (kernel.across) {
    key += '+';
    put(kernel.across->axis);
    put(kernel.across->chunk);
    put(kernel.across->lanes);
    for (const RowFolds::Sum& sum : kernel.across->sums) {
      put(sum.parameter);
      put(sum.indices.size());
      for (scalar::Bits bits : sum.fold.identity) put(bits.value);
    }
  }
  return key;
}

}  // namespace weir
