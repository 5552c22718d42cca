#include "compiler/lowering/pack_operands.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "compiler/lowering/elements.h"

namespace weir {
namespace {

using scalar::Arena;
using scalar::Id;
using scalar::Primitive;

// The order of dimensions that brings the vector axis innermost, behind the others in the order of their
// loops; nothing if the load is fine as it is, or is not a plain permutation of axes.
std::optional<std::vector<std::uint32_t>> wanted_order(const Kernel& kernel, const Shape& shape,
                                                       std::span<const Id> indices,
                                                       std::uint32_t vector_axis) {
  std::vector<std::uint32_t> order;
  std::optional<std::uint32_t> vector_dimension;
  std::uint32_t last = 0;
  for (std::uint32_t i = 0; i < indices.size(); ++i) {
    if (shape[i] == Dim(1)) {
      order.push_back(i);
      continue;
    }
    const scalar::Node& index = kernel.arena[indices[i]];
    if (index.primitive != Primitive::axis) return std::nullopt;
    last = i;
    if (index.payload == vector_axis) {
      if (vector_dimension) return std::nullopt;
      vector_dimension = i;
    } else {
      order.push_back(i);
    }
  }
  if (!vector_dimension || *vector_dimension == last) return std::nullopt;
  auto depth = [&](std::uint32_t dimension) {
    const scalar::Node& index = kernel.arena[indices[dimension]];
    return index.primitive == Primitive::axis ? index.payload + 1 : 0;
  };
  std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
    return std::pair(depth(a), a) < std::pair(depth(b), b);
  });
  order.push_back(*vector_dimension);
  return order;
}

// Removes the parameters that nothing reads or writes any more, and renumbers the others.
void drop_unused(BuiltKernel& built, std::vector<PackedCopy>& copies) {
  Kernel& kernel = built.kernel;
  std::vector<bool> used(kernel.parameters.size());
  for (Id id : scalar::reachable(kernel.arena, roots_of(kernel))) {
    const scalar::Node& node = kernel.arena[id];
    if (node.primitive == Primitive::load || node.primitive == Primitive::load_if)
      used[node.payload] = true;
  }
  for (const Stage& stage : kernel.stages)
    for (const Store& store : stage.stores) used[store.parameter] = true;
  std::vector<std::uint32_t> number(used.size());
  std::uint32_t next = 0;
  for (std::size_t i = 0; i < used.size(); ++i) {
    number[i] = next;
    if (!used[i]) continue;
    if (next != i) {
      kernel.parameters[next] = std::move(kernel.parameters[i]);
      built.values[next] = built.values[i];
    }
    ++next;
  }
  if (next == used.size()) return;
  kernel.parameters.resize(next);
  built.values.resize(next);
  for (PackedCopy& copy : copies) copy.parameter = number[copy.parameter];
  renumber_parameters(kernel, number);
}

}  // namespace

std::vector<PackedCopy> pack_operands(BuiltKernel& built) {
  Kernel& kernel = built.kernel;
  std::vector<PackedCopy> copies;
  auto is_chain = [](const Stage& stage) {
    return stage.fold && stage.fold->order == Reduction::Order::chain;
  };
  // A derivative need not depend on all that it is given: what was loaded in vain is no parameter.
  if (kernel.rows.empty() || std::none_of(kernel.stages.begin(), kernel.stages.end(), is_chain)) {
    drop_unused(built, copies);
    return copies;
  }
  std::uint32_t vector_axis = static_cast<std::uint32_t>(kernel.rows.size() - 1);
  std::uint32_t original_count = static_cast<std::uint32_t>(kernel.parameters.size());
  rewrite(kernel, [&](const Arena& from, Id id, Arena& into) -> Id {
    const scalar::Node& node = from[id];
    if (node.primitive != Primitive::load || node.payload >= original_count) return {};
    std::uint32_t parameter = static_cast<std::uint32_t>(node.payload);
    TensorType type = kernel.parameters[parameter].type;
    auto order = wanted_order(kernel, type.shape, from.operands(id), vector_axis);
    if (!order) return {};
    auto found = std::find_if(copies.begin(), copies.end(), [&](const PackedCopy& copy) {
      return copy.source == built.values[parameter] && copy.order == *order;
    });
    if (found == copies.end()) {
      PackedCopy copy{built.values[parameter],
                      static_cast<std::uint32_t>(kernel.parameters.size()),
                      {type.dtype, {}},
                      *order};
      for (std::uint32_t dimension : *order) copy.type.shape.push_back(type.shape[dimension]);
      std::string name = kernel.parameters[parameter].name;
      kernel.parameters.push_back({name.empty() ? name : name + "_packed", copy.type, false});
      copies.push_back(std::move(copy));
      found = copies.end() - 1;
    }
    std::vector<Id> indices;
    for (std::uint32_t dimension : *order) {
      const scalar::Node& index = from[from.operand(id, dimension)];
      indices.push_back(index.primitive == Primitive::axis
                            ? into.axis(static_cast<std::uint32_t>(index.payload),
                                        from.axis_extent(index.payload))
                            : into.index(0));
    }
    return into.load(found->parameter, type.dtype, indices);
  });
  built.values.resize(kernel.parameters.size());
  drop_unused(built, copies);
  return copies;
}

Kernel build_pack_kernel(const TensorType& source, const PackedCopy& copy) {
  Kernel kernel;
  kernel.name = "pack";
  kernel.rows = without_ones(copy.type.shape);
  std::vector<Id> axes;
  for (std::size_t i = 0; i < kernel.rows.size(); ++i)
    axes.push_back(kernel.arena.axis(static_cast<std::uint32_t>(i), kernel.rows[i]));
  std::vector<Id> target = spread_indices(kernel.arena, copy.type.shape, axes);
  std::vector<Id> from(target.size());
  for (std::size_t i = 0; i < target.size(); ++i) from[copy.order[i]] = target[i];
  kernel.parameters = {{"source", source, false}, {"packed", copy.type, true}};
  kernel.stages.emplace_back();
  kernel.stages.back().stores.push_back(
      {1, target, kernel.arena.load(0, source.dtype, from)});
  kernel.locations.resize(kernel.arena.size());
  return kernel;
}

}  // namespace weir
