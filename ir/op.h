// What an op is: one declaration from which everything else follows.
//
// A declaration (in ir/ops/) gives name, operands, attributes, documentation, and a meaning of one
// of four forms:
//   pointwise      one scalar expression of the operands' elements, which broadcast as in NumPy
//   comprehension  each result element as a scalar expression of operand elements at computed indices,
//                  reduced over further axes if there are any: reductions, contractions, movement
//   steps          a result that is written in steps, each of which may read what stands there
//   composite      a body written in other ops
// The interpreter, autodiff, fusion, code generation, the text form and the reference documentation
// read the declaration; nothing outside ir/ops/ asks which op a node is.
//
// A meaning is written for types that are computed on. For operands of f16 and bf16 it is that of
// f32 on the widened operands, with each result rounded once (pointwise_result, composite_results);
// movement and ops that keep_types see them as they are, and a reduction declares its accumulators.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ir/attribute.h"
#include "ir/graph.h"
#include "ir/onnx_nodes.h"
#include "ir/scalar/expr.h"
#include "ir/type.h"

namespace weir {

class Var;
class GraphBuilder;

// Element types that an operand admits.
enum class TypeSet : std::uint8_t { any, floats, numbers, integers, bits, boolean };
bool contains(TypeSet set, DType type);
std::string_view description(TypeSet set);

struct OperandSpec {
  std::string name;
  TypeSet types = TypeSet::any;
  enum class Presence : std::uint8_t { required, optional, variadic } presence = Presence::required;
  // Operands of one group have one element type. Group -1 stands alone.
  int type_group = 0;
};

// The ONNX op of the same meaning.
//
// From opset `since` on, a node of this op is a node of that one: with the same operands and
// results in the same order, and with the attributes that have ONNX names under these names; an
// attribute that has none must then have its default value. Both import and export need nothing
// else. Where the nodes differ in more than names `since` is 0: compiler/frontend knows how to read
// them, and OpDef::to_onnx how to write them. Where an ONNX node may also mean more than this op
// does (more operands, or fewer axes), the frontend's converter of that name goes before this
// declaration. An op that ONNX does not have says so: OnnxOp::none().
struct OnnxOp {
  std::string name;  // empty if there is none
  int since = 0;
  bool is_stated = false;

  OnnxOp() = default;
  OnnxOp(const char* op_name, int opset = 0)  // NOLINT
      : name(op_name), since(opset), is_stated(true) {}
  static OnnxOp none() { return {""}; }
  bool is_direct() const { return since > 0; }
};

// One use of an op: what its rules see.
struct OpInstance {
  const OpDef* op;
  std::span<const TensorType> operands;
  const Attributes& attributes;

  const TensorType& operand(std::size_t i) const { return operands[i]; }
  bool has_operand(std::size_t i) const { return i < operands.size(); }
  // The attribute `axis` or `axes`, negative ones counted from the end, sorted; Error when out of
  // range or repeated. `rank` is that of the operand they are about.
  int axis(int rank) const;
  std::vector<int> axes(int rank) const;
};

// What an op needs of an operand that holds indices: each of them lies within a size, 0 <= i <
// size, or -size <= i < size where negative ones count from the end. One that does not is a data
// fault: the interpreter throws the Error of ir/index_range_check.h, and a compiled program ends
// with WEIR_DATA_FAULT before any kernel reads by that index.
struct IndexOperand {
  std::size_t operand;
  // One size for all elements, or one for each place along the operand's last axis.
  Shape sizes;
  bool from_end = true;  // whether indices of a signed type may be negative
  std::string op = {};   // who the message names; empty: this op
};

// What an op needs of sizes that are known at the call alone: this one must not be negative. Every
// dimension of a result is needed so anyway.
struct SizeNeed {
  Dim size;
  std::string fault = {};  // what is wrong otherwise; empty: the dimension `size` itself

  // "the dimension N - 2 is -1 for N = 1", or the fault "for N = 1"; nothing if the size is right.
  std::optional<std::string> message(const Dim::Bindings& bindings) const;
};

// An operand of integers that choose: those from 0 to below a count each choose something, and all
// others nothing.
struct ChoiceOperand {
  std::size_t operand;
  std::int64_t count;
};

// How the elements of a result are brought back to those of the operand that they equal, but for
// the sign of zero and the payload of NaN: the last result of `chooser`, of the same operand, says
// which one each of them is, and `spreader` of others and these numbers adds the others up in their
// places, and has +0 everywhere else.
struct WayBack {
  std::string chooser;
  Attributes chooser_attributes;
  std::string spreader;
  Attributes spreader_attributes;
};

// The place of one result element, while its expression is being written.
struct Element {
  static constexpr int kResult = -1;  // as an operand of a load, within Steps

  scalar::Arena& arena;
  const OpInstance& instance;
  std::span<const scalar::Expr> index;   // one for each result dimension
  std::span<const scalar::Expr> reduce;  // one for each reduced axis
  // The element of operand `k` at an index. The guarded form has `otherwise` where the guard is
  // false, and does not touch memory there.
  std::function<scalar::Expr(int k, std::span<const scalar::Expr> index)> load;
  std::function<scalar::Expr(int k, scalar::Expr guard, scalar::Expr otherwise,
                             std::span<const scalar::Expr> index)>
      load_if;

  scalar::Expr size(const Dim& dim) const { return {arena, arena.size_of(dim)}; }
  scalar::Expr number(std::int64_t value) const { return {arena, arena.index(value)}; }
};

// How the elements along the reduced axes become one: a fold over tuples.
//
// The order is part of the meaning, so that every way of running it gives the same bits.
//   - The reduced elements have numbers r = 0 ... R-1, row-major over the reduced axes. Chunk c is the
//     elements with r / chunk == c. There are none when R is 0, and the result is then the identity.
//   - Within a chunk, order `chain` starts with the identity and steps through the elements in ascending
//     r. Order `lanes` has L = reduction_lanes(types[0]) accumulators that start with the identity;
//     element r is stepped into lane r mod L, ascending. Then, for h = L/2, L/4, ... 1, lane l becomes
//     merge(lane l, lane l + h) for every l < h, and lane 0 is the chunk's result. Lanes without elements
//     take part with the identity.
//   - Chunk results are merged in a balanced binary tree: tree(first, 1) is the result of chunk `first`, and
//     tree(first, n) = merge(tree(first, m), tree(first + m, n - m)) with m the largest power of two below
//     n. So aligned runs of chunks are subtrees, and what is incomplete is merged from the highest chunks
//     downwards: 7 chunks are merge(tree(0, 4), merge(tree(4, 2), chunk 6)). ir/reduction_tree.h builds it.
struct Reduction {
  using Fold = std::function<std::vector<scalar::Expr>(std::span<const scalar::Expr> accumulators,
                                                       std::span<const scalar::Expr> elements)>;
  enum class Order : std::uint8_t { chain, lanes };

  std::string name;                    // as printed: "sum", "max", "dot"
  std::vector<DType> types;            // of the accumulators; the results are cast from them
  std::vector<scalar::Bits> identity;  // merging with it changes nothing
  Fold step;                           // an accumulator tuple with one element tuple
  Fold merge;                          // two accumulator tuples
  Order order = Order::chain;
  std::int64_t chunk = 1024;  // a power of two
};

// Lanes of order `lanes` for an element type: 256 bytes' worth, a multiple of every vector width.
int reduction_lanes(DType type);

struct Comprehension {
  std::vector<Dim> reduce_extents;  // with a reduction; empty otherwise
  std::optional<Reduction> reduction;
  // The elements of the results (without a reduction), or the tuple that the reduction folds.
  std::function<std::vector<scalar::Expr>(const Element&)> body;
};

// A result that is written element by element, in steps that may read what stands there: scatters
// and running sums.
//
// Steps have axes, as results have; there is one step for each index. Steps that differ along an
// axis of `in_order` run in row-major order of those axes, and may read and write the same
// elements. Along the other axes they are independent: no element that one of them touches is
// touched by another one.
struct Steps {
  struct Step {
    std::vector<scalar::Expr> place;  // in the result
    scalar::Expr value;
  };
  Shape extents;
  std::vector<bool> in_order;  // one for each axis
  // The operand, of the result's type, that the result is before the first step. Without one, a
  // step reads only elements that steps before it have written, and every element is written.
  std::optional<std::size_t> start;
  // `index` is that of the step. To load operand Element::kResult is to read the result as it
  // stands.
  std::function<Step(const Element&)> body;
};

// What a gradient rule sees. All values are in the graph under construction.
struct GradientContext {
  GraphBuilder& builder;
  const OpInstance& instance;
  std::span<const Var> operands;
  std::span<const Var> results;
  std::span<const Var> cotangents;  // one for each result
  std::span<const bool> wanted;     // operands whose gradient somebody reads
  std::span<const bool> reached;    // results that have one; the cotangents of others are zeros
};

// The training step that an op becomes part of, for OpDef::in_training.
class TrainingForm {
 public:
  virtual ~TrainingForm() = default;

  // What random numbers are made from: an i64 scalar that grows by 1 with every step, and another
  // number for every place that draws in one step, from 0 on.
  virtual Var counter() = 0;
  virtual std::int64_t next_site() = 0;
  virtual bool is_param(Var value) const = 0;
  // The value that the param has when the step has run.
  virtual void update(Var param, Var value) = 0;
};

// Whether and how an op is differentiated.
struct GradientRule {
  enum class Kind : std::uint8_t {
    derived,  // from the scalar expression, or from the composite body
    stated,   // by the rule below
    none,     // for the mathematical reason below
    stops,    // zero everywhere because the op says so; what lies behind it is not differentiated
  };
  Kind kind = Kind::derived;
  std::string reason;  // of `none`
  // One gradient for each operand; an invalid Var where there is none or it is not wanted.
  std::function<std::vector<Var>(const GradientContext&)> rule;
  // Whether the stated rule only moves elements: each element of a gradient is one of the
  // cotangent's, or zero. Then it holds for values of every type.
  bool moves = false;
  // Whether the stated rule is not the derivative of the op's meaning but what its user asks for.
  bool is_imposed = false;
};

// What a loss takes as targets, its second operand, where these are floats: who has them before
// they are trained on refuses others. The loss computes with these as well, and gives what means
// nothing.
struct TargetRange {
  double least = 0, most = 1;
  bool ends_alone = false;  // nothing between the two
  std::string text;         // "those of the hinge loss are -1 and 1"

  bool takes(double target) const {
    return ends_alone ? target == least || target == most : target >= least && target <= most;
  }
};

// A part of a tensor along one axis: the elements from `start` on, below `limit`.
struct AxisRange {
  std::size_t axis;
  Dim start, limit;
};

// An axis of an operand.
struct OperandAxis {
  std::size_t operand, axis;
};

struct OpDef {
  std::string name;
  std::string family;     // as in the reference: "activation", "reduce" ...
  std::string summary;    // one line
  std::string semantics;  // NaN, signed zero, ties, the gradient at a kink
  std::vector<OperandSpec> operands;
  std::vector<AttributeSpec> attributes;
  // Of an op with several results. "..." stands for any number like the one before.
  std::vector<std::string> result_names;

  // Types of the results. Derived for pointwise and composite ops. Throws Error without a location.
  std::function<std::vector<TensorType>(const OpInstance&)> infer;
  // Further checks of attributes, before `infer`. Throws Error without a location.
  std::function<void(const OpInstance&)> check;

  // The meaning: exactly one of these applies to an instance; `composite` first, where it gives
  // one.
  std::function<scalar::Expr(std::span<const scalar::Expr>, const Attributes&)> pointwise;
  std::function<Comprehension(const OpInstance&)> comprehension;
  std::function<Steps(const OpInstance&)> steps;
  std::function<std::vector<Var>(GraphBuilder&, std::span<const Var>, const Attributes&)> composite;
  // Of an op that has both: whether the body stands for this instance. Absent means yes.
  std::function<bool(const OpInstance&)> is_composite;
  // The operands that hold indices, if there are any. The body of a composite op checks them
  // itself, with in_range.
  std::function<std::vector<IndexOperand>(const OpInstance&)> index_operands;
  // What it needs of sizes besides those of its results, if there is anything.
  std::function<std::vector<SizeNeed>(const OpInstance&)> size_needs;
  // The operand that chooses by numbers, of whatever integer type, if there is one.
  std::function<ChoiceOperand(const OpInstance&)> choice_operand;
  // Of an op each of whose result's elements is one of its only operand's, where that can be said.
  std::function<std::optional<WayBack>(const OpInstance&)> way_back;
  // Of a loss that not every float is a target for.
  std::optional<TargetRange> targets = {};
  // What a training step has in the op's place; nothing where the instance stays as it is. Absent:
  // the op is the same in training.
  std::function<std::vector<Var>(TrainingForm&, std::span<const Var>, const Attributes&)>
      in_training;
  // Of an op that normalizes by statistics of a batch: how many values each of them is of. What is
  // normalized by a value of its own alone is 0, whatever it was, and has no gradient.
  std::function<Dim(const OpInstance&)> values_of_statistic;
  // The result as data, for constants.
  std::function<std::shared_ptr<const Tensor>(const Attributes&)> data;

  // True for a comprehension without arithmetic that can be read through, or a body of such ops:
  // movement.
  bool is_movement = false;
  // True for a movement of one operand in which each of its elements is found, if the result has
  // any: what holds for all elements of the result holds for all of the operand.
  bool keeps_elements = false;
  // True for a movement whose result has the elements of its only operand in the same row-major
  // order, in another shape.
  bool keeps_order = false;
  // Of a movement of one operand: the part of that along one axis that an instance's result is, if
  // it is one.
  std::function<std::optional<AxisRange>(const OpInstance&)> part;
  // Of a movement of several operands that lie one after the other in its result: where each is.
  std::function<std::vector<AxisRange>(const OpInstance&)> operand_ranges;
  // True for sums of products of the elements of two operands.
  bool is_contraction = false;
  // Of such sums: the operand's axis that alone goes along an axis of the result, if there is one.
  // Any part of the result along that is the same sums of that part of the operand.
  std::function<std::optional<OperandAxis>(const OpInstance&, std::size_t axis)> operand_axis;
  // True for one over images, [batch, channels, positions ...], that windows are moved over.
  bool takes_images = false;
  // True for such a one whose attribute `strides` spreads the positions of its images, and does not
  // skip any.
  bool spreads_images = false;
  // True for a loss of a prediction and its target, the first two operands, that has an attribute
  // `reduction`.
  bool is_loss = false;
  // True for one whose result is stored in memory, and its operand nowhere computed again for it.
  bool is_stored = false;
  // An operand that is computed, and stored, before anything that is made of the result; its
  // elements are not read.
  std::optional<std::size_t> waits_for;
  // True for a pointwise expression without arithmetic, which takes f16 and bf16 as they are.
  bool keeps_types = false;
  GradientRule gradient;
  // The partial derivative of the pointwise expression with respect to one operand, stated where
  // the derived one would lose accuracy or give NaN (infinity times zero); the gradient is the
  // cotangent times it. Absent: derived. An invalid expression: zero everywhere.
  std::function<scalar::Expr(std::span<const scalar::Expr>, const Attributes&, std::size_t operand)>
      derivative;
  OnnxOp onnx;
  // Writes an instance in ONNX ops, and returns its results: for an op that is not always the one
  // node of `onnx`. It may decline an instance by returning nothing, which is then written through
  // its body or its scalar expression.
  std::function<std::vector<OnnxValue>(OnnxNodes&, const OpInstance&, std::span<const OnnxValue>)>
      to_onnx;
  // The same in other ops, for ONNX alone: of an op that ONNX does not have, and that is a
  // comprehension because it is faster so.
  std::function<std::vector<Var>(GraphBuilder&, std::span<const Var>, const Attributes&)> onnx_body;

  bool composite_for(const OpInstance& instance) const {
    return composite && (!is_composite || is_composite(instance));
  }
};

// Checks one use against the declaration, fills in defaults, and infers the result types. Throws
// Error without a location, naming the op.
std::vector<TensorType> check_and_infer(const OpDef& op, std::span<const TensorType> operands,
                                        Attributes& attributes);

// Those sizes of one use, its results' dimensions first, that some symbols make negative.
std::vector<SizeNeed> size_needs(const OpInstance& instance, std::span<const TensorType> results);

// NumPy broadcasting of two shapes. Distinct symbols do not broadcast. Error when they do not fit.
Shape broadcast_shapes(const Shape& a, const Shape& b);

// The element that a pointwise op gives for elements of its operands: f16 and bf16 are widened to
// f32 first, and an f32 that comes of them is rounded to their type.
scalar::Expr pointwise_result(const OpDef& op, std::span<const scalar::Expr> elements,
                              const Attributes& attributes);
// That on arguments 0, 1, ... of the operands' types.
scalar::Expr pointwise_expression(scalar::Arena& arena, const OpInstance& instance);
// The results of a composite op: its body in f32, with casts around it, for operands of f16 and
// bf16 that are computed on.
std::vector<Var> composite_results(const OpDef& op, GraphBuilder& builder,
                                   std::span<const Var> operands, const Attributes& attributes);

}  // namespace weir
