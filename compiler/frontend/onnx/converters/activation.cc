// Activations that are written in other ops, and those of integers; dropout; conversions of type.
#include <fmt/format.h>

#include "compiler/frontend/onnx/converters.h"
#include "compiler/frontend/onnx/element_type.h"
#include "ir/op.h"
#include "ir/registry.h"

namespace weir::onnx_format {
namespace {

void convert_relu(Node& node) {
  node.check_inputs(1, 1);
  Var x = node.input(0);
  node.set(0, is_float(x.dtype()) ? node.apply("relu", {x})
                                  : node.apply("maximum", {x, node.like(x, 0)}));
}

// The slope broadcasts to x. Before opset 7 a list of slopes has one for each channel.
void convert_prelu(Node& node) {
  node.check_inputs(2, 2);
  Var x = node.input(0), slope = node.input(1);
  if (node.opset() < 7 && slope.type().rank() == 1 && slope.shape()[0] != Dim(1)) {
    Shape shape(x.shape().size() < 2 ? 1 : x.shape().size() - 1, Dim(1));
    shape[0] = slope.shape()[0];
    slope = node.reshaped(slope, std::move(shape));
  }
  if (broadcast_shapes(x.shape(), slope.shape()) != x.shape())
    throw Error(fmt::format("the slope is {}; it must broadcast to x, which is {}",
                            to_string(slope.type()), to_string(x.type())));
  node.set(0, is_float(x.dtype())
                  ? node.apply("prelu", {x, slope})
                  : node.apply("select", {node.apply("greater", {x, node.like(x, 0)}), x,
                                          node.apply("mul", {slope, x})}));
}

void convert_thresholded_relu(Node& node) {
  node.check_inputs(1, 1);
  Var x = node.input(0);
  Var above = node.apply("greater", {x, node.like(x, node.real("alpha", 1.0))});
  node.set(0, node.apply("select", {above, x, node.like(x, 0)}));
}

void convert_shrink(Node& node) {
  node.check_inputs(1, 1);
  Var x = node.input(0);
  double limit = node.real("lambd", 0.5), bias = node.real("bias", 0.0);
  Var below = node.apply("less", {x, node.like(x, -limit)});
  Var above = node.apply("greater", {x, node.like(x, limit)});
  Var raised = node.apply("add", {x, node.like(x, bias)});
  Var lowered = node.apply("sub", {x, node.like(x, bias)});
  node.set(0, node.apply("select",
                         {below, raised, node.apply("select", {above, lowered, node.like(x, 0)})}));
}

void convert_gelu(Node& node) {
  node.check_inputs(1, 1);
  std::string form = node.text("approximate", "none");
  if (form != "none" && form != "tanh")
    throw Error("the attribute approximate must be \"none\" or \"tanh\"");
  node.set(0, node.apply("gelu", {node.input(0)}, {{"approximate", form == "tanh"}}));
}

// x * sigmoid(alpha * x)
void convert_swish(Node& node) {
  node.check_inputs(1, 1);
  Var x = node.input(0);
  double alpha = node.real("alpha", 1.0);
  if (alpha == 1) {
    node.set(0, node.apply("silu", {x}));
  } else {
    Var gate = node.apply("sigmoid", {node.apply("mul", {x, node.like(x, alpha)})});
    node.set(0, node.apply("mul", {x, gate}));
  }
}

// --- Dropout -----------------------------------------------------------------

// For inference, where nothing is dropped; a training step drops, unless somebody reads the mask,
// which says that nothing is. Opsets up to 6 say with is_test which of the two they mean, and all
// runtimes take it to be inference.
void convert_dropout(Node& node) {
  node.check_inputs(1, 3);
  double ratio = 0.5;
  if (node.opset() >= 12) {
    node.ignore("seed");
    bool is_training = false;
    if (node.has_input(2)) {
      const Tensor& mode = node.tensor(2, "training_mode");
      is_training = mode.element_count() == 1 && scalar::as_bool(mode.bits(0));
    }
    if (node.is_known(1) || (is_training && node.has_input(1))) ratio = node.number(1, "ratio");
    if (is_training && ratio != 0)
      throw Unsupported(
          "with training_mode and a ratio above 0 it drops what a generator draws, which ONNX "
          "leaves "
          "to the runtime; the model must be exported for inference");
  } else {
    ratio = node.real("ratio", ratio);
    if (node.opset() < 7) node.ignore("is_test");
  }
  bool drops = ratio > 0 && ratio < 1 && is_float(node.dtype(0));
  if (drops && !node.wants(1))
    return node.set(0, node.apply("dropout", {node.input(0)}, {{"probability", ratio}}));
  node.pass(0, 0);
  if (!node.wants(1)) return;
  // Nothing is dropped: all of the mask holds. It has had the type of the data before it was bool.
  DType type = node.opset() >= 10 ? DType::boolean : node.dtype(0);
  Tensor one(type, {});
  one.set_bits(0, scalar::bits_of(type, std::int64_t{1}));
  node.set(1, node.broadcast(node.builder().constant(std::move(one)), node.shape(0)));
}

// --- Types -------------------------------------------------------------------

void convert_cast(Node& node) {
  node.check_inputs(1, 1);
  DType type = require_dtype(node.integer("to"));
  // These are about types of 8 bits and fewer that Weir does not have.
  if (node.opset() >= 19) node.ignore("saturate");
  if (node.opset() >= 24) node.ignore("round_mode");
  if (type == node.dtype(0)) return node.pass(0, 0);
  node.set(0, node.cast(node.input(0), type));
}

void convert_cast_like(Node& node) {
  node.check_inputs(2, 2);
  if (node.opset() >= 19) node.ignore("saturate");
  if (node.opset() >= 24) node.ignore("round_mode");
  if (node.dtype(1) == node.dtype(0)) return node.pass(0, 0);
  node.set(0, node.cast(node.input(0), node.dtype(1)));
}

}  // namespace

void add_activation_converters(ConverterTable& table) {
  table.add("Relu", 6, convert_relu);
  table.add("PRelu", 6, convert_prelu);
  table.add("ThresholdedRelu", 10, convert_thresholded_relu);
  table.add("Shrink", 9, convert_shrink);
  table.add("Gelu", 20, convert_gelu);
  table.add("Swish", 24, convert_swish);
  table.add("Dropout", 6, convert_dropout);
  table.add("Cast", 6, convert_cast);
  table.add("CastLike", 15, convert_cast_like);
}

}  // namespace weir::onnx_format
