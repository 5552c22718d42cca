// Matrix products: MatMul and Gemm.
#include <fmt/format.h>

#include "compiler/frontend/onnx/converters.h"
#include "ir/op.h"

namespace weir::onnx_format {
namespace {

Var reshaped(Node& node, Var x, Shape shape) {
  return x.shape() == shape ? x : node.apply("reshape", {x}, {{"shape", std::move(shape)}});
}

// NumPy's matmul: a vector on the left is a row, on the right a column, and its axis of size 1 goes
// away again.
void convert_matmul(Node& node) {
  node.check_inputs(2, 2);
  Var a = node.input(0), b = node.input(1);
  bool is_row = a.type().rank() == 1, is_column = b.type().rank() == 1;
  if (is_row) a = reshaped(node, a, {1, a.shape()[0]});
  if (is_column) b = reshaped(node, b, {b.shape()[0], 1});
  Var y = node.apply("matmul", {a, b});
  Shape shape = y.shape();
  if (is_column && !shape.empty()) shape.pop_back();
  if (is_row && !shape.empty()) shape.erase(shape.end() - (is_column ? 1 : 2));
  node.set(0, reshaped(node, y, shape));
}

// alpha * A' * B' + beta * C, where A' and B' may be transposed and C broadcasts to the product.
void convert_gemm(Node& node) {
  node.check_inputs(node.opset() >= 11 ? 2 : 3, 3);
  Var a = node.input(0), b = node.input(1);
  double alpha = node.real("alpha", 1.0), beta = node.real("beta", 1.0);
  bool transpose_a = node.flag("transA", false), transpose_b = node.flag("transB", false);
  bool spreads = node.opset() >= 7 || node.flag("broadcast", false);
  if (a.type().rank() != 2 || b.type().rank() != 2)
    throw Error(fmt::format("its operands are {} and {}; they must be matrices",
                            to_string(a.type()), to_string(b.type())));
  auto times = [&](Var x, double factor) {
    return factor == 1 ? x : node.apply("mul", {x, node.builder().scalar(x.dtype(), factor)});
  };
  // x times the transpose of the weights, plus a bias for each column, has a name of its own.
  bool has_bias = node.has_input(2);
  if (!transpose_a && transpose_b && alpha == 1 && beta == 1 && has_bias &&
      node.shape(2) == Shape{b.shape()[0]} && a.shape()[1] == b.shape()[1]) {
    node.set(0, node.apply("linear", {a, b, node.input(2)}));
    return;
  }
  Var y = times(
      node.apply("matmul", {a, b}, {{"transpose_a", transpose_a}, {"transpose_b", transpose_b}}),
      alpha);
  if (has_bias && beta != 0) {
    Var c = node.input(2);
    if (broadcast_shapes(c.shape(), y.shape()) != y.shape() || (!spreads && c.shape() != y.shape()))
      throw Error(fmt::format("C is {}; it must {} the product, {}", to_string(c.type()),
                              spreads ? "broadcast to" : "have the type of", to_string(y.type())));
    y = node.apply("add", {y, times(c, beta)});
  }
  node.set(0, y);
}

}  // namespace

void add_matrix_converters(ConverterTable& table) {
  table.add("MatMul", 1, convert_matmul);
  table.add("Gemm", 6, convert_gemm);
}

}  // namespace weir::onnx_format
