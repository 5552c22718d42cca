// How rematerialization (compiler/rematerialize/rematerialize.h) speaks to fusion: when a value is
// computed, where it stays, and a mask as one bit for each element.
//
// Eight bits of a byte are neighbours along one axis. The other axes stay as they are: with one of
// them innermost in memory, packing and unpacking go through it in vectors, of eight rows or one.

#include <array>

#include "ir/ops/helpers.h"
#include "ir/ops/ops.h"

namespace weir {
namespace {

using namespace ops;

OpDef same_elements(Text text) {
  OpDef op = movement(std::move(text));
  op.family = "memory";
  op.keeps_elements = true;
  op.infer = [](const OpInstance& instance) {
    return std::vector<TensorType>{instance.operand(0)};
  };
  op.comprehension = [](const OpInstance&) {
    return gather_from([](const Element& element) {
      return std::vector<Expr>(element.index.begin(), element.index.end());
    });
  };
  op.to_onnx = [](OnnxNodes& nodes, const OpInstance&, std::span<const OnnxValue> operands) {
    return std::vector<OnnxValue>{nodes.add("Identity", {operands[0]})};
  };
  return with_moving_gradient(std::move(op), [](const GradientContext& context) {
    std::vector<Var> gradients(context.operands.size());
    gradients[0] = context.cotangents[0];
    return gradients;
  });
}

OpDef keep_op() {
  OpDef op = same_elements({"keep", "x, which is stored in memory where it is computed.",
                            "Bit for bit. Fusion computes x once, and not again where it is used.",
                            OnnxOp::none()});
  op.is_stored = true;
  return op;
}

OpDef after_op() {
  OpDef op = same_elements({"after", "x, which is not read before another value has been computed.",
                            "Bit for bit. What is made of the result is computed behind the kernel "
                            "that computes `done`, "
                            "as late as that.",
                            OnnxOp::none()});
  op.operands.push_back({"done", TypeSet::any, OperandSpec::Presence::required, -1});
  op.waits_for = 1;
  return with_attribute(
      std::move(op), "own_layout", false,
      "What is computed again of the result may have an order of dimensions of its "
      "own in memory, and not that of the value it is again.");
}

// --- Bits --------------------------------------------------------------------

constexpr std::int64_t kBits = 8;  // of a byte

OpDef along_axis(Text text, TypeSet types) {
  OpDef op = with_attribute(declare("memory", std::move(text)), "axis", std::int64_t{0},
                            "The axis of neighbours; negative ones count from the end.");
  op.operands = {{"x", types}};
  return without_gradient(std::move(op),
                          "its operand is " +
                              std::string(types == TypeSet::boolean ? "bool" : "an integer") +
                              ", on which there is no derivative");
}

Dim packed_size(const Dim& size) { return floor_quotient(size + Dim(kBits - 1), kBits); }

// The numbers 1, 2, 4 ... 128 along an axis of eight, before so many others.
Var powers(GraphBuilder& builder, std::size_t others) {
  Tensor::Sizes sizes(others + 1, 1);
  sizes[0] = kBits;
  Tensor tensor(DType::i32, std::move(sizes));
  for (std::int64_t k = 0; k < kBits; ++k)
    tensor.set_bits(k, scalar::bits_of(DType::i32, std::int64_t{1} << k));
  return builder.constant(std::move(tensor));
}

Var cast_to(GraphBuilder& builder, Var x, DType type) {
  return builder.apply("cast", {x}, {{"dtype", type}});
}

OpDef pack_bits_op() {
  OpDef op = along_axis({"pack_bits", "Eight truth values to a byte, along an axis.",
                         "Bit k of byte j is x at 8 * j + k, the lowest bit being bit 0; bits "
                         "behind the end are 0. Fusion stores the "
                         "bytes, and does not compute them again where they are used.",
                         OnnxOp::none()},
                        TypeSet::boolean);
  op.is_stored = true;
  op.infer = [](const OpInstance& instance) {
    TensorType result{DType::u8, instance.operand(0).shape};
    Dim& size = result.shape[axis_of(instance)];
    size = packed_size(size);
    return std::vector<TensorType>{std::move(result)};
  };
  op.comprehension = [](const OpInstance& instance) {
    Comprehension result;
    result.body = [axis = axis_of(instance)](const Element& element) {
      const Dim& size = element.instance.operand(0).shape[axis];
      bool is_whole = packed_size(size) * Dim(kBits) == size;
      std::vector<Expr> index(element.index.begin(), element.index.end());
      Expr first = index[axis] * kBits;
      Expr none(element.arena, element.arena.constant(DType::u8, 0.0));
      Expr no(element.arena, element.arena.constant(DType::boolean, 0.0));
      std::array<Expr, kBits> bits;
      for (std::int64_t k = 0; k < kBits; ++k) {
        index[axis] = first + k;
        Expr x = is_whole ? element.load(0, index)
                          : element.load_if(0, index[axis] < element.size(size), no, index);
        bits[static_cast<std::size_t>(k)] = select(x, std::int64_t{1} << k, none);
      }
      for (std::size_t half = kBits / 2; half > 0; half /= 2)
        for (std::size_t k = 0; k < half; ++k) bits[k] = bits[k] | bits[k + half];
      return std::vector<Expr>{bits[0]};
    };
    return result;
  };
  op.onnx_body = [](GraphBuilder& builder, std::span<const Var> operands,
                    const Attributes& attributes) -> std::vector<Var> {
    Var x = operands[0];
    std::vector<TensorType> types{x.type()};
    std::size_t axis = axis_of({&get_op("pack_bits"), types, attributes});
    Dim bytes = packed_size(x.shape()[axis]);
    Shape none(x.shape().size(), Dim(0)), behind = none, apart = x.shape();
    std::vector<std::int64_t> between(x.shape().size());
    behind[axis] = bytes * Dim(kBits) - x.shape()[axis];
    Var padded = builder.apply("pad", {cast_to(builder, x, DType::i32)},
                               {{"low", none}, {"high", behind}, {"interior", between}});
    apart[axis] = bytes;
    apart.insert(apart.begin() + static_cast<std::ptrdiff_t>(axis) + 1, Dim(kBits));
    Var weighed = builder.apply(
        "mul", {reshape_to(builder, padded, apart), powers(builder, x.shape().size() - axis - 1)});
    Var sum = builder.apply("reduce_sum", {weighed},
                            {{"axes", std::vector{static_cast<std::int64_t>(axis) + 1}}});
    return {cast_to(builder, sum, DType::u8)};
  };
  return op;
}

OpDef unpack_bits_op() {
  OpDef op =
      along_axis({"unpack_bits", "The eight bits of each byte, along an axis, as truth values.",
                  "The element at 8 * j + k is bit k of byte j, the lowest bit being bit 0, of "
                  "u8 or i8: what pack_bits has packed, with what it put behind the end.",
                  OnnxOp::none()},
                 TypeSet::integers);
  op.check = [](const OpInstance& instance) {
    if (byte_size(instance.operand(0).dtype) != 1)
      throw Error("the operand is " + to_string(instance.operand(0)) + "; it must be of u8 or i8");
  };
  op.infer = [](const OpInstance& instance) {
    TensorType result{DType::boolean, instance.operand(0).shape};
    Dim& size = result.shape[axis_of(instance)];
    size = size * Dim(kBits);
    return std::vector<TensorType>{std::move(result)};
  };
  op.comprehension = [](const OpInstance& instance) {
    Comprehension result;
    result.body = [axis = axis_of(instance)](const Element& element) {
      std::vector<Expr> index(element.index.begin(), element.index.end());
      Expr bit =
          cast(element.number(1) << modulo(index[axis], kBits), element.instance.operand(0).dtype);
      index[axis] = floor_div(index[axis], kBits);
      return std::vector<Expr>{(element.load(0, index) & bit) != 0};
    };
    return result;
  };
  op.onnx_body = [](GraphBuilder& builder, std::span<const Var> operands,
                    const Attributes& attributes) -> std::vector<Var> {
    Var x = operands[0];
    std::vector<TensorType> types{x.type()};
    std::size_t axis = axis_of({&get_op("unpack_bits"), types, attributes});
    Shape apart = x.shape(), result = x.shape();
    apart.insert(apart.begin() + static_cast<std::ptrdiff_t>(axis) + 1, Dim(1));
    result[axis] = result[axis] * Dim(kBits);
    Var byte = cast_to(builder, cast_to(builder, x, DType::u8), DType::i32);
    Var shifted = builder.apply(
        "div", {reshape_to(builder, byte, apart), powers(builder, x.shape().size() - axis - 1)});
    Tensor two(DType::i32, {});
    two.set_bits(0, scalar::bits_of(DType::i32, std::int64_t{2}));
    Var bit = builder.apply("remainder", {shifted, builder.constant(std::move(two))});
    return {reshape_to(builder, cast_to(builder, bit, DType::boolean), result)};
  };
  return op;
}

}  // namespace

void add_memory_ops(OpTable& table) {
  table.add(keep_op());
  table.add(after_op());
  table.add(pack_bits_op());
  table.add(unpack_bits_op());
}

}  // namespace weir
