// Random numbers, and dropout.
//
// Numbers come from a counter-based generator, Threefry-2x32 with 20 rounds (Salmon et al., 2011):
// the bits of an element are a function of the seed, a counter and the element's position, and of
// nothing else. So they are the same for any number of threads and any order of computation, the
// backward pass may compute them again instead of keeping them, and an interrupted training goes on
// with them where it was: the counter is all there is to remember.

#include <array>

#include <fmt/format.h>

#include "ir/ops/helpers.h"
#include "ir/ops/ops.h"

namespace weir {
namespace {

using namespace ops;

Expr rotated_left(Expr x, int bits) { return (x << bits) | (x >> (32 - bits)); }

// The two words that the cipher makes of a block, under a key of two words.
std::array<Expr, 2> threefry(std::array<Expr, 2> block, Expr key0, Expr key1) {
  constexpr int kRotations[] = {13, 15, 26, 6, 17, 29, 16, 24};
  const Expr keys[] = {key0, key1, (key0 ^ key1) ^ 0x1BD11BDA};
  auto [x, y] = block;
  x = x + keys[0];
  y = y + keys[1];
  for (int round = 0; round < 20; ++round) {
    x = x + y;
    y = rotated_left(y, kRotations[round % 8]) ^ x;
    if (round % 4 != 3) continue;
    int injection = round / 4 + 1;
    x = x + keys[injection % 3];
    y = y + keys[(injection + 1) % 3] + injection;
  }
  return {x, y};
}

Expr low_word(Expr x) { return cast(x, DType::i32); }
Expr high_word(Expr x) { return cast(shift_right_arithmetic(x, 32), DType::i32); }

OpDef random_uniform_op() {
  OpDef op = without_gradient(
      declare(
          "random",
          {"random_uniform", "Equally distributed numbers from 0 to below 1.",
           "The numbers of a seed and a counter are always the same bits; those of another seed "
           "or counter have nothing to do with them. Of Threefry-2x32 with 20 rounds on the "
           "block (position, counter) and the key (low, high word of the seed), they are the "
           "upper 24 bits of the first word, for f64 53 bits of both. Positions are row-major, "
           "and they and the counter are taken modulo 2^32.",
           OnnxOp::none()}),
      "it is constant between its steps");
  op.operands = {{"counter", TypeSet::integers}};
  op = with_attribute(std::move(op), "shape", AttributeKind::dims, "Shape of the result.");
  op = with_attribute(std::move(op), "seed", std::int64_t{0}, "The key of the generator.");
  op =
      with_attribute(std::move(op), "dtype", DType::f32, "Element type of the result, f32 or f64.");
  op.check = [](const OpInstance& instance) {
    DType type = instance.attributes.dtype("dtype");
    if (type != DType::f32 && type != DType::f64)
      throw Error(fmt::format("the attribute dtype must be f32 or f64, not {}", name(type)));
    if (!instance.operand(0).shape.empty())
      throw Error(
          fmt::format("the counter is {}; it must be a scalar", to_string(instance.operand(0))));
  };
  op.infer = [](const OpInstance& instance) {
    const Shape& shape = instance.attributes.dims("shape");
    for (const Dim& dim : shape)
      if (dim.is_constant() && dim.value() < 0)
        throw Error(
            fmt::format("the dimension {} of {} is negative", dim.to_string(), to_string(shape)));
    return std::vector<TensorType>{{instance.attributes.dtype("dtype"), shape}};
  };
  op.to_onnx = [](OnnxNodes&, const OpInstance&,
                  std::span<const OnnxValue>) -> std::vector<OnnxValue> {
    throw Error("ONNX has no random numbers that are the same in every run");
  };
  op.comprehension = [](const OpInstance& instance) {
    Comprehension result;
    result.body = [type = instance.attributes.dtype("dtype"),
                   seed = instance.attributes.integer("seed"),
                   shape = instance.attributes.dims("shape")](const Element& element) {
      Expr position = linearize(element, element.index, shape);
      Expr counter = cast(element.load(0, {}), DType::i64);
      Expr key = element.number(seed);
      auto [x, y] =
          threefry({low_word(position), low_word(counter)}, low_word(key), high_word(key));
      if (type == DType::f32) return std::vector<Expr>{cast(x >> 8, type) * 0x1p-24};
      return std::vector<Expr>{(cast(x >> 5, type) * 0x1p26 + cast(y >> 6, type)) * 0x1p-53};
    };
    return result;
  };
  return op;
}

OpDef dropout_op() {
  OpDef op = declare(
      "random",
      {"dropout",
       "x; in training, a part of it, chosen at random, is zero.",
       "Without a counter it is x itself: the form for inference. With one, an element is zero "
       "with the given probability, and divided by 1 - probability otherwise, so that the mean "
       "stays. "
       "It is zero where random_uniform of f32, with the same seed and counter, is below the "
       "probability. The gradient is zero in the same places. A training step gives every dropout "
       "a counter, which is state, and a seed of its own.",
       {"Dropout"}});
  op.operands = {{"x", TypeSet::floats},
                 {"counter", TypeSet::integers, OperandSpec::Presence::optional, 1}};
  op = with_attribute(std::move(op), "probability", 0.5, "That an element is zero.");
  op = with_attribute(std::move(op), "seed", std::int64_t{0}, "The key of the generator.");
  op.check = [](const OpInstance& instance) {
    double probability = instance.attributes.real("probability");
    if (!(probability >= 0 && probability < 1))
      throw Error(fmt::format("the attribute probability must be from 0 to below 1, not {}",
                              scalar::shortest(probability)));
    if (instance.has_operand(1) && !instance.operand(1).shape.empty())
      throw Error(
          fmt::format("the counter is {}; it must be a scalar", to_string(instance.operand(1))));
  };
  op.composite = [](GraphBuilder& builder, std::span<const Var> operands,
                    const Attributes& attributes) -> std::vector<Var> {
    Var x = operands[0];
    double probability = attributes.real("probability");
    if (operands.size() < 2 || probability == 0) return {x};
    Var random = builder.apply("random_uniform", {operands[1]},
                               {{"shape", x.shape()}, {"seed", attributes.integer("seed")}});
    Var dropped = builder.apply("less", {random, builder.scalar(DType::f32, probability)});
    Var scaled = builder.apply("mul", {x, builder.scalar(x.dtype(), 1 / (1 - probability))});
    return {builder.apply("select", {dropped, builder.scalar(x.dtype(), 0), scaled})};
  };
  op.in_training = [](TrainingForm& form, std::span<const Var> operands,
                      const Attributes& attributes) -> std::vector<Var> {
    if (operands.size() > 1) return {};
    Attributes changed = attributes;
    changed.set("seed", attributes.integer("seed") + (form.next_site() << 32));
    return {operands[0].builder().apply("dropout", {operands[0], form.counter()}, changed)};
  };
  op.to_onnx = [](OnnxNodes& nodes, const OpInstance& instance,
                  std::span<const OnnxValue> operands) -> std::vector<OnnxValue> {
    if (instance.has_operand(1) || instance.operand(0).dtype == DType::bf16) return {};
    return {nodes.add(
        instance.op->onnx.name,
        {operands[0], nodes.number(DType::f32, instance.attributes.real("probability"))})};
  };
  return op;
}

}  // namespace

void add_random_ops(OpTable& table) {
  table.add(random_uniform_op());
  table.add(dropout_op());
}

}  // namespace weir
