#include "compiler/lowering/check_indices.h"

#include <algorithm>

#include <fmt/format.h>

#include "compiler/lowering/program.h"
#include "ir/index_range_check.h"
#include "ir/op.h"
#include "ir/scalar/expr.h"

namespace weir {
namespace {

using scalar::Expr;
using scalar::Id;

constexpr std::int64_t kChunk = 4096;

const std::string& named_op(const Node& node, const IndexOperand& indices) {
  return indices.op.empty() ? node.op->name : indices.op;
}

// Constant indices within constant sizes.
bool is_certain(const Graph& graph, const Node& node, const IndexOperand& indices) {
  const Value& value = graph.value(node.operands[indices.operand]);
  if (value.kind != Value::Kind::result || !graph.node(value.producer).op->data) return false;
  std::vector<std::int64_t> sizes;
  for (const Dim& size : indices.sizes) {
    if (!size.is_constant()) return false;
    sizes.push_back(size.value());
  }
  const Node& constant = graph.node(value.producer);
  if (auto fault =
          find_index_fault(*constant.op->data(constant.attributes), sizes, indices.from_end))
    throw Error(node.location, fmt::format("{}: {}", named_op(node, indices), fault->message()));
  return true;
}

// What the value's elements are all of, where a kernel may as well look at that.
ValueId source_of(const Graph& graph, ValueId value) {
  for (;;) {
    const Value& info = graph.value(value);
    if (info.kind != Value::Kind::result) return value;
    const Node& node = graph.node(info.producer);
    if (!node.op->keeps_elements) return value;
    value = node.operands[0];
  }
}

// Whether there certainly is an element.
bool has_elements(const Shape& shape) {
  return std::all_of(shape.begin(), shape.end(),
                     [](const Dim& dim) { return dim.is_constant() && dim.value() > 0; });
}

}  // namespace

IndexCheckPlan plan_index_checks(const Graph& graph) {
  IndexCheckPlan plan;
  plan.needed.resize(graph.nodes().size());
  for (std::uint32_t i = 0; i < graph.nodes().size(); ++i) {
    const Node& node = graph.nodes()[i];
    if (!node.op->index_operands) continue;
    std::vector<TensorType> types = types_of(graph, node.operands);
    for (const IndexOperand& indices : node.op->index_operands({node.op, types, node.attributes})) {
      if (is_certain(graph, node, indices)) continue;
      ValueId value = node.operands[indices.operand];
      bool from_end = indices.from_end && is_signed(graph.type(value).dtype);
      auto equal_check = [&](ValueId of) {
        return std::find_if(plan.checks.begin(), plan.checks.end(), [&](const PlannedCheck& check) {
          return check.value == of && check.sizes == indices.sizes && check.from_end == from_end;
        });
      };
      // Of repeated indices what is repeated is enough; but if there might be no repetition, they
      // are not looked at unless that has been checked anyway.
      auto check = plan.checks.end();
      if (indices.sizes.size() == 1) {
        ValueId source = source_of(graph, value);
        check = equal_check(source);
        if (check == plan.checks.end() && has_elements(graph.type(value).shape)) value = source;
      }
      if (check == plan.checks.end()) check = equal_check(value);
      if (check == plan.checks.end())
        check = plan.checks.insert(check, PlannedCheck{value, indices.sizes, from_end, NodeId{i},
                                                       named_op(node, indices)});
      plan.needed[i].push_back(static_cast<std::size_t>(check - plan.checks.begin()));
    }
  }
  return plan;
}

std::vector<std::vector<ValueId>> checked_values(const IndexCheckPlan& plan) {
  std::vector<std::vector<ValueId>> checked;
  if (plan.checks.empty()) return checked;
  for (const std::vector<std::size_t>& needed : plan.needed) {
    checked.emplace_back();
    for (std::size_t check : needed) checked.back().push_back(plan.checks[check].value);
  }
  return checked;
}

Kernel build_check_kernel(const TensorType& indices, const PlannedCheck& check,
                          const std::string& name, const Location& location) {
  const Shape& sizes = check.sizes;
  Kernel kernel;
  scalar::Arena& arena = kernel.arena;
  kernel.name = "check_indices";
  Dim count = element_count(indices.shape);
  kernel.parameters = {{name, {indices.dtype, {count}}, false},
                       {"fault_position", {DType::i64, {}}, true},
                       {"fault_index", {DType::i64, {}}, true}};
  kernel.locals = {DType::i64, DType::i64};
  auto number = [&](std::int64_t value) { return Expr(arena, arena.index(value)); };
  Id axis = arena.axis(0, count);
  Expr position(arena, axis);
  Expr index = cast(Expr(arena, arena.load(0, indices.dtype, std::span(&axis, 1))), DType::i64);
  Expr size(arena, arena.size_of(sizes.front()));
  if (sizes.size() > 1) {
    Expr component = modulo(position, number(static_cast<std::int64_t>(sizes.size())));
    for (std::size_t k = 1; k < sizes.size(); ++k)
      size = select(component == static_cast<std::int64_t>(k), Expr(arena, arena.size_of(sizes[k])),
                    size);
  }
  Expr fits = index < size;
  if (is_signed(indices.dtype))
    fits = fits & ((check.from_end ? number(0) - size : number(0)) <= index);
  Fold fold;
  fold.name = "first";
  fold.order = Reduction::Order::lanes;
  fold.chunk = kChunk;
  fold.elements = {select(fits, number(IndexCheck::kNoFault), position).id(), index.id()};
  fold.locals = {0, 1};
  fold.identity = {scalar::from_i64(IndexCheck::kNoFault), scalar::from_i64(0)};
  auto argument = [&](std::uint32_t i) { return Expr(arena, arena.argument(i, DType::i64)); };
  Expr before = argument(2) < argument(0);
  fold.step = {select(before, argument(2), argument(0)).id(),
               select(before, argument(3), argument(1)).id()};
  fold.merge = fold.step;
  kernel.stages.resize(2);
  kernel.stages[0].axis = 0;
  kernel.stages[0].fold = std::move(fold);
  for (std::uint32_t i = 0; i < 2; ++i)
    kernel.stages[1].stores.push_back({i + 1, {}, arena.local(i, DType::i64)});
  kernel.locations.assign(arena.size(), location);
  return kernel;
}

}  // namespace weir
