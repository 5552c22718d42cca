// Reductions over axes, and pools over everything.
#include <numeric>

#include <fmt/format.h>

#include "compiler/frontend/onnx/converters.h"

namespace weir::onnx_format {
namespace {

using Axes = std::vector<std::int64_t>;

// What a reduction is over: attributes first, inputs from the opset on in which they became that.
struct Reduced {
  Axes axes;
  bool keep = true;
};

Reduced reduced_of(Node& node, int axes_are_input_from) {
  node.check_inputs(1, 2);
  Reduced result;
  result.keep = node.flag("keepdims", true);
  bool are_input = node.opset() >= axes_are_input_from;
  bool none_means_none = are_input && node.flag("noop_with_empty_axes", false);
  if (are_input) {
    if (node.has_input(1)) result.axes = node.integers(1, "list of axes");
  } else if (std::optional<Axes> axes = node.integers("axes")) {
    result.axes = std::move(*axes);
  }
  int rank = node.rank(0);
  for (std::int64_t& axis : result.axes) axis = node.axis(axis, rank);
  if (result.axes.empty() && !none_means_none) {
    result.axes.resize(static_cast<std::size_t>(rank));
    std::iota(result.axes.begin(), result.axes.end(), 0);
  }
  return result;
}

// No axes mean all of them to Weir's ops, so a reduction over none is left out.
Var reduce(Node& node, std::string_view op, Var x, const Reduced& over, bool keep) {
  if (over.axes.empty()) return x;
  return node.apply(op, {x}, {{"axes", over.axes}, {"keep_dims", keep}});
}
Var reduce(Node& node, std::string_view op, Var x, const Reduced& over) {
  return reduce(node, op, x, over, over.keep);
}

Var sum(Node& node, Var x, const Reduced& over) { return reduce(node, "reduce_sum", x, over); }
Var product(Node& node, Var x, const Reduced& over) { return reduce(node, "reduce_prod", x, over); }

// Bools have an order, too.
template <bool largest>
Var extreme(Node& node, Var x, const Reduced& over) {
  Var numbers = x.dtype() == DType::boolean ? node.cast(x, DType::i32) : x;
  return node.cast(reduce(node, largest ? "reduce_max" : "reduce_min", numbers, over), x.dtype());
}

Var mean(Node& node, Var x, const Reduced& over) {
  if (is_float(x.dtype())) return reduce(node, "reduce_mean", x, over);
  Shape sizes;
  for (std::int64_t axis : over.axes) sizes.push_back(x.shape()[static_cast<std::size_t>(axis)]);
  Var count = node.apply("size_of", {}, {{"dims", sizes}, {"dtype", x.dtype()}});
  return node.apply("div", {sum(node, x, over), count});
}

Var l1(Node& node, Var x, const Reduced& over) {
  if (over.axes.empty()) return node.apply("abs", {x});
  return reduce(node, "reduce_l1", x, over);
}
Var sum_square(Node& node, Var x, const Reduced& over) {
  if (over.axes.empty()) return node.apply("mul", {x, x});
  return reduce(node, "reduce_sum_square", x, over);
}

// A function of floats, on integers through f64. `alone` is what it does to a single element.
Var through_float(Node& node, std::string_view op, std::string_view alone, Var x,
                  const Reduced& over) {
  DType type = x.dtype();
  if (!is_float(type)) x = node.cast(x, DType::f64);
  Var y = !over.axes.empty() ? reduce(node, op, x, over)
          : alone.empty()    ? x
                             : node.apply(alone, {x});
  return node.cast(y, type);
}

Var l2(Node& node, Var x, const Reduced& over) {
  return through_float(node, "reduce_l2", "abs", x, over);
}
Var log_sum(Node& node, Var x, const Reduced& over) {
  return through_float(node, "reduce_log_sum", "log", x, over);
}
Var log_sum_exp(Node& node, Var x, const Reduced& over) {
  return through_float(node, "reduce_log_sum_exp", "", x, over);
}

template <Var (*meaning)(Node&, Var, const Reduced&), int axes_are_input_from>
void convert_reduction(Node& node) {
  Reduced over = reduced_of(node, axes_are_input_from);
  node.set(0, meaning(node, node.input(0), over));
}

// --- Pools over everything ---------------------------------------------------

Reduced spatial_axes(Node& node) {
  node.check_inputs(1, 1);
  if (node.rank(0) < 2)
    throw Error(fmt::format("x is {}; it must have a batch and channels", to_string(node.type(0))));
  Reduced over;
  for (int axis = 2; axis < node.rank(0); ++axis) over.axes.push_back(axis);
  return over;
}

template <Var (*meaning)(Node&, Var, const Reduced&)>
void convert_global_pool(Node& node) {
  Reduced over = spatial_axes(node);
  node.set(0, meaning(node, node.input(0), over));
}

// (sum |x|^p)^(1/p)
void convert_global_lp_pool(Node& node) {
  Reduced over = spatial_axes(node);
  Var x = node.input(0);
  std::int64_t p = node.integer("p", 2);
  if (p < 1) throw Error(fmt::format("p is {}; it must be at least 1", p));
  if (p == 1) return node.set(0, l1(node, x, over));
  if (p == 2) return node.set(0, l2(node, x, over));
  auto exponent = static_cast<double>(p);
  Var powers = node.apply("pow", {node.apply("abs", {x}), node.like(x, exponent)});
  node.set(0, node.apply("pow", {sum(node, powers, over), node.like(x, 1 / exponent)}));
}

}  // namespace

void add_reduce_converters(ConverterTable& table) {
  table.add("ReduceSum", 1, convert_reduction<sum, 13>);
  table.add("ReduceMean", 1, convert_reduction<mean, 18>);
  table.add("ReduceMax", 1, convert_reduction<extreme<true>, 18>);
  table.add("ReduceMin", 1, convert_reduction<extreme<false>, 18>);
  table.add("ReduceProd", 1, convert_reduction<product, 18>);
  table.add("ReduceL1", 1, convert_reduction<l1, 18>);
  table.add("ReduceL2", 1, convert_reduction<l2, 18>);
  table.add("ReduceLogSum", 1, convert_reduction<log_sum, 18>);
  table.add("ReduceLogSumExp", 1, convert_reduction<log_sum_exp, 18>);
  table.add("ReduceSumSquare", 1, convert_reduction<sum_square, 18>);
  table.add("GlobalAveragePool", 1, convert_global_pool<mean>);
  table.add("GlobalMaxPool", 1, convert_global_pool<extreme<true>>);
  table.add("GlobalLpPool", 2, convert_global_lp_pool);
}

}  // namespace weir::onnx_format
