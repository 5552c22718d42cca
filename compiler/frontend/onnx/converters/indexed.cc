// Elements at indices that are computed, and places in an order: Gather..., Scatter..., CumSum,
// TopK, ArgMax.
#include <fmt/format.h>

#include "compiler/frontend/onnx/converters.h"

namespace weir::onnx_format {
namespace {

Attributes with_axis(std::int64_t axis) { return {{"axis", axis}}; }

void check_indices(const Node& node, std::size_t input) {
  if (!is_integer(node.dtype(input)))
    throw Error(
        fmt::format("the indices are {}; they must be integers", to_string(node.type(input))));
}

void convert_gather_elements(Node& node) {
  node.check_inputs(2, 2);
  check_indices(node, 1);
  std::int64_t axis = node.axis_attribute(node.rank(0), 0);
  node.set(0, node.apply("gather_elements", node.inputs(), with_axis(axis)));
}

void convert_gather_nd(Node& node) {
  node.check_inputs(2, 2);
  check_indices(node, 1);
  std::int64_t batch = node.opset() >= 12 ? node.integer("batch_dims", 0) : 0;
  node.set(0, node.apply("gather_nd", node.inputs(), {{"batch_dims", batch}}));
}

// The first elements of each example, as many as its length, from the last to the first; an element
// is that at an index. A length that is out of range makes one that is: too long a one at the first
// step, a negative one at the last.
void convert_reverse_sequence(Node& node) {
  node.check_inputs(2, 2);
  check_indices(node, 1);
  int rank = node.rank(0);
  auto time = static_cast<std::size_t>(node.axis_attribute(rank, 0, "time_axis"));
  auto batch = static_cast<std::size_t>(node.axis_attribute(rank, 1, "batch_axis"));
  if (time == batch) throw Error(fmt::format("time_axis and batch_axis are both {}", time));
  const Shape& x = node.shape(0);
  if (node.rank(1) != 1 || node.shape(1)[0] != x[batch])
    throw Error(
        fmt::format("its lengths are {}; x is {}, and there must be one for each of its {} "
                    "examples",
                    to_string(node.type(1)), to_string(node.type(0)), x[batch].to_string()));
  auto along = [&](Var list, std::size_t axis) {
    Shape spread(x.size(), Dim(1));
    spread[axis] = x[axis];
    return node.reshaped(list, spread);
  };
  Shape steps(1, x[time]);
  Var step = along(node.apply("iota", {}, {{"shape", steps}, {"dtype", DType::i64}}), time);
  Var length = along(node.cast(node.input(1), DType::i64), batch);
  Var mirrored = node.apply("sub", {node.apply("sub", {length, node.like(length, 1)}), step});
  Var negative = node.apply("minimum", {length, node.like(length, 0)});
  Var kept = node.apply("sub", {step, negative});
  Var index = node.apply("select", {node.apply("less", {step, length}), mirrored, kept});
  node.set(0, node.apply("gather_elements", {node.input(0), node.broadcast(index, x)},
                         with_axis(static_cast<std::int64_t>(time))));
}

std::string reduction_of(Node& node) {
  return node.opset() >= 16 ? node.text("reduction", "none") : "none";
}

void convert_scatter_elements(Node& node) {
  node.check_inputs(3, 3);
  check_indices(node, 1);
  Attributes attributes = with_axis(node.axis_attribute(node.rank(0), 0));
  attributes.set("reduction", reduction_of(node));
  node.set(0, node.apply("scatter_elements", node.inputs(), std::move(attributes)));
}

void convert_scatter_nd(Node& node) {
  node.check_inputs(3, 3);
  check_indices(node, 1);
  node.set(0, node.apply("scatter_nd", node.inputs(), {{"reduction", reduction_of(node)}}));
}

void convert_cumsum(Node& node) {
  node.check_inputs(2, 2);
  std::int64_t axis = node.axis(node.integer(1, "axis"), node.rank(0));
  Attributes attributes = with_axis(axis);
  attributes.set("exclusive", node.flag("exclusive", false));
  attributes.set("reverse", node.flag("reverse", false));
  node.set(0, node.apply("cumsum", {node.input(0)}, std::move(attributes)));
}

void convert_top_k(Node& node) {
  std::int64_t k;
  if (node.opset() >= 10) {
    node.check_inputs(2, 2);
    k = node.integer(1, "k");
  } else {
    node.check_inputs(1, 1);
    k = node.integer("k");
  }
  std::int64_t axis = node.axis_attribute(node.rank(0), -1);
  if (k < 0) throw Error(fmt::format("its k is {}", k));
  Node::require_size(node.shape(0)[static_cast<std::size_t>(axis)], k,
                     fmt::format("it takes the first {}", k));
  Attributes attributes = with_axis(axis);
  attributes.set("k", k);
  attributes.set("largest", node.opset() < 11 || node.flag("largest", true));
  // In any order is in order, too.
  if (node.opset() >= 11) node.ignore("sorted");
  std::vector<Var> results =
      node.builder().apply_all("top_k", {node.input(0)}, std::move(attributes));
  for (std::size_t i = 0; i < results.size() && i < node.result_count(); ++i)
    if (node.wants(i)) node.set(i, results[i]);
}

template <bool largest>
void convert_arg(Node& node) {
  node.check_inputs(1, 1);
  Attributes attributes = with_axis(node.axis_attribute(node.rank(0), 0));
  attributes.set("keep_dims", node.flag("keepdims", true));
  attributes.set("select_last", node.opset() >= 12 && node.flag("select_last_index", false));
  node.set(0, node.apply(largest ? "arg_max" : "arg_min", {node.input(0)}, std::move(attributes)));
}

}  // namespace

void add_indexed_converters(ConverterTable& table) {
  table.add("GatherElements", 11, convert_gather_elements);
  table.add("GatherND", 11, convert_gather_nd);
  table.add("ReverseSequence", 10, convert_reverse_sequence);
  table.add("Scatter", 9, convert_scatter_elements);
  table.add("ScatterElements", 11, convert_scatter_elements);
  table.add("ScatterND", 11, convert_scatter_nd);
  table.add("CumSum", 11, convert_cumsum);
  table.add("TopK", 1, convert_top_k);
  table.add("ArgMax", 1, convert_arg<true>);
  table.add("ArgMin", 1, convert_arg<false>);
}

}  // namespace weir::onnx_format
