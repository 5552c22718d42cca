// The generator: windows, resizes and what reads or writes by index; the others are those of
// variant_draw.h. It chooses sizes for what is there to be read first, and then attributes and
// indices that lie within; what an op has no result for after all is chosen anew.
#include "tests/unit/pipeline/random_variant.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "compiler/autodiff/gradient.h"
#include "ir/builder.h"
#include "ir/op.h"
#include "ir/registry.h"
#include "tests/unit/pipeline/variant_draw.h"

namespace weir::test {
namespace {

class VariantGenerator : VariantDraw {
 public:
  explicit VariantGenerator(std::uint64_t seed)
      : VariantDraw(seed * 0x9e3779b97f4a7c15), special_(chance(6)) {}

  Program run() {
    if (chance(2)) return of_op(op_along_axes());
    static constexpr std::array<const char*, 17> kOps{
        "max_pool",   "max_pool", "arg_max_pool",     "average_pool",     "average_pool",
        "resize",     "resize",   "resize",           "gather",           "gather_elements",
        "gather_nd",  "top_k",    "scatter_elements", "scatter_elements", "scatter_nd",
        "scatter_nd", "one_hot"};
    return of_op(kOps[below(kOps.size())]);
  }

 private:
  Program of_op(std::string_view op) {
    for (;;) {
      operands_.clear(), bindings_.clear(), attributes_ = {};
      choose(op);
      if (fits()) return build();
    }
  }

  // --- Ops ---

  void choose(std::string_view op) {
    op_ = &get_op(op);
    if (choose_along_axes()) return;
    if (op.ends_with("_pool")) choose_window();
    if (op == "resize") choose_resize();
    if (op == "gather") choose_gather();
    if (op == "gather_elements" || op == "scatter_elements") choose_elements();
    if (op == "gather_nd" || op == "scatter_nd") choose_tuples();
    if (op == "one_hot") choose_one_hot();
    if (op == "top_k") choose_top_k();
    if (op.starts_with("scatter"))
      attributes_.set("reduction", std::string(one_of({"none", "add", "mul", "max", "min"})));
  }

  void choose_window() {
    const bool is_average = op_->name == "average_pool";
    const std::size_t axes = chance(4) ? 1 : chance(5) ? 3 : 2;
    Shape shape{dim(between(1, 3)), dim(one_of<std::int64_t>({1, 2, 3, 5, 8, 16, 17}))};
    std::vector<std::int64_t> kernel, strides, dilations, low, high;
    std::int64_t elements = value(shape[0]) * value(shape[1]);
    const bool plain = chance(3);
    for (std::size_t i = 0; i < axes; ++i) {
      kernel.push_back(one_of<std::int64_t>({1, 2, 2, 3, 3, 4, 5}));
      strides.push_back(plain ? kernel[i] : one_of<std::int64_t>({1, 1, 2, 2, 3, 4}));
      dilations.push_back(plain ? 1 : one_of<std::int64_t>({1, 1, 2, 3}));
      const std::int64_t reach = (kernel[i] - 1) * dilations[i];
      for (auto* frame : {&low, &high})
        frame->push_back(plain || chance(2) ? 0 : between(-1, reach + 1));
      std::int64_t size = reach + 1 + between(-1, 20);
      while (size > 1 && elements * size > kMostOfOperand) size = 1 + size / 3;
      elements *= std::max<std::int64_t>(size, 1);
      shape.push_back(dim(std::max<std::int64_t>(size, 0)));
    }
    operands_.push_back({is_average ? random_float() : random_number_type(), shape});
    attributes_.set("kernel", kernel);
    attributes_.set("strides", strides);
    attributes_.set("dilations", dilations);
    attributes_.set("low", low);
    attributes_.set("high", high);
    attributes_.set("ceil_mode", chance(2));
    if (is_average) attributes_.set("count_include_pad", chance(2));
  }

  void choose_resize() {
    const std::string mode = one_of({"nearest", "nearest", "linear", "linear", "cubic"});
    const Shape shape = random_shape(1, 4);
    const std::int64_t axis = random_axis(shape);
    operands_.push_back({mode == "nearest" ? random_type() : random_float(), shape});
    attributes_.set("axis", axis);
    const std::int64_t size = value(shape[axis_of(axis, shape)]);
    attributes_.set("size",
                    Shape{dim(chance(3) ? size * between(1, 3) : between(1, 2 * size + 3))});
    attributes_.set("mode", mode);
    attributes_.set("coordinates",
                    std::string(one_of({"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel",
                                        "align_corners", "asymmetric", "tf_half_pixel_for_nn",
                                        "tf_crop_and_resize"})));
    attributes_.set(
        "rounding",
        std::string(one_of({"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"})));
    if (chance(3)) attributes_.set("scale", one_of({0.4, 0.5, 1.0, 1.7, 2.0}));
    if (mode == "cubic") attributes_.set("exclude_outside", chance(2));
    if (attributes_.text("coordinates") == "tf_crop_and_resize") {
      attributes_.set("crop_start", one_of({-0.2, 0.0, 0.3}));
      attributes_.set("crop_end", one_of({0.6, 1.0, 1.3}));
      attributes_.set("extrapolation", one_of({0.0, 2.0}));
    }
  }

  void choose_gather() {
    const Shape shape = random_shape(1, 3);
    operands_.push_back({random_type(), shape});
    operands_.push_back({random_index_type(), chance(6) ? Shape{} : random_shape(1, 2)});
    attributes_.set("axis", random_axis(shape));
  }

  // Indices of one axis, for a part of the others.
  void choose_elements() {
    const Shape shape = random_shape(1, 3);
    const std::int64_t axis = random_axis(shape);
    Shape indices = shape;
    for (std::size_t i = 0; i < shape.size(); ++i)
      if (i == axis_of(axis, shape))
        indices[i] = dim(between(1, 12));
      else if (chance(3))
        indices[i] = between(1, value(shape[i]));
    operands_.push_back({random_type(), shape});
    operands_.push_back({random_index_type(), indices});
    if (op_->name == "scatter_elements") operands_.push_back({operands_[0].type, indices});
    attributes_.set("axis", axis);
  }

  void choose_tuples() {
    const Shape shape = random_shape(1, 4);
    const std::size_t in_common = chance(2) ? 0 : below(std::min<std::size_t>(shape.size(), 3));
    const std::size_t length = 1 + below(shape.size() - in_common);
    Shape indices(shape.begin(), shape.begin() + static_cast<std::ptrdiff_t>(in_common));
    if (in_common == 0 || chance(2)) indices.push_back(dim(between(1, 12)));
    Shape updates = indices;
    updates.insert(updates.end(), shape.begin() + static_cast<std::ptrdiff_t>(in_common + length),
                   shape.end());
    indices.emplace_back(static_cast<std::int64_t>(length));
    operands_.push_back({random_type(), shape});
    operands_.push_back({random_index_type(), indices});
    if (op_->name == "scatter_nd") operands_.push_back({operands_[0].type, updates});
    attributes_.set("batch_dims", static_cast<std::int64_t>(in_common));
  }

  void choose_one_hot() {
    const Shape shape = random_shape(1, 3);
    operands_.push_back({random_index_type(), shape});
    attributes_.set("depth", Shape{dim(between(1, 20))});
    const auto rank = static_cast<std::int64_t>(shape.size());
    attributes_.set("axis", between(-rank - 1, rank));
    attributes_.set("dtype", random_type());
  }

  void choose_top_k() {
    const Shape shape = random_shape(1, 3);
    const std::int64_t axis = random_axis(shape);
    operands_.push_back({random_number_type(), shape});
    attributes_.set("axis", axis);
    attributes_.set("k", between(1, value(shape[axis_of(axis, shape)])));
    attributes_.set("largest", chance(2));
  }

  // --- The program ---

  std::vector<TensorType> types() const {
    std::vector<TensorType> types;
    for (const Operand& operand : operands_) types.push_back({operand.type, operand.shape});
    return types;
  }

  bool fits() {
    const std::vector<TensorType> of_operands = types();
    try {
      const OpInstance instance{op_, of_operands, attributes_};
      const std::vector<TensorType> results = check_and_infer(*op_, of_operands, attributes_);
      for (const SizeNeed& need : size_needs(instance, results))
        if (need.message(bindings_)) return false;
      if (!has_indices()) return false;
      double elements = 1;
      for (const Dim& size : results.front().shape)
        elements *= static_cast<double>(size.evaluate(bindings_).value_or(0));
      return elements >= 0 && elements <= 8 * kMostOfOperand;
    } catch (const Error&) {
      return false;
    }
  }

  // The least of the sizes that an operand's indices have to be within.
  std::int64_t least_of(const IndexOperand& indices) const {
    std::int64_t least = 100;
    for (const Dim& size : indices.sizes) least = std::min(least, value(size));
    return least;
  }

  // Whether there are indices within what may be of no elements.
  bool has_indices() const {
    if (!op_->index_operands) return true;
    const std::vector<TensorType> of_operands = types();
    return std::ranges::none_of(
        op_->index_operands({op_, of_operands, attributes_}), [&](const IndexOperand& indices) {
          return least_of(indices) == 0 &&
                 value(element_count(
                     of_operands[static_cast<std::size_t>(indices.operand)].shape)) > 0;
        });
  }

  // Indices within all of the sizes, from either end where they may.
  Tensor random_indices(DType type, const Tensor::Sizes& sizes, std::int64_t least, bool from_end) {
    Tensor tensor(type, sizes);
    for (std::int64_t i = 0; i < tensor.element_count(); ++i)
      tensor.set_bits(i, scalar::bits_of(type, between(from_end ? -least : 0, least - 1)));
    return tensor;
  }

  Program build() {
    GraphBuilder builder("variant");
    // A symbol is read from an input that has it as a dimension.
    for (const auto& [symbol, size] : bindings_)
      builder.input("size_" + symbol, DType::boolean, {Dim::symbol(symbol)});
    std::vector<std::string> wanted;
    std::vector<Var> operands;
    const DType type = operands_[0].type;
    const bool maps = is_float(type) && !chance(3);
    for (std::size_t i = 0; i < operands_.size(); ++i) {
      const std::string name = fmt::format("x{}", i);
      Var operand = builder.input(name, operands_[i].type, operands_[i].shape);
      if (is_float(operand.dtype())) wanted.push_back(name);
      operands.push_back(maps && i == 0 ? builder.apply("leaky_relu", {operand}) : operand);
    }
    const std::vector<TensorType> results = check_and_infer(*op_, types(), attributes_);
    std::vector<Var> made = builder.apply_all(*op_, operands, attributes_);
    Var y = made.front();
    if (maps && is_float(y.dtype())) y = builder.apply("tanh", {y});
    const bool differentiate = !wanted.empty() && is_float(y.dtype()) && chance(2);
    if (differentiate)
      y = builder.apply("mul", {y, builder.input("g", y.dtype(), results.front().shape)});
    builder.output("y", y);
    for (std::size_t i = 1; i < made.size(); ++i) builder.output(fmt::format("y{}", i), made[i]);
    Program program{builder.finish().graph, {}, {}};
    if (differentiate) program.graph = gradient(program.graph, wanted, {.outputs = {"y"}});
    program.inputs =
        random_values(program.graph, program.graph.inputs(), random_, special_, bindings_);
    set_indices(program.inputs);
    return program;
  }

  void set_indices(Inputs& inputs) {
    if (!op_->index_operands) return;
    const std::vector<TensorType> of_operands = types();
    for (const IndexOperand& indices : op_->index_operands({op_, of_operands, attributes_})) {
      const std::int64_t least = least_of(indices);
      Tensor& tensor = inputs.find(fmt::format("x{}", indices.operand))->second;
      tensor = random_indices(tensor.dtype(), tensor.sizes(), least, indices.from_end && chance(2));
    }
  }

  bool special_;
};

}  // namespace

Program random_variant(std::uint64_t seed) { return VariantGenerator(seed).run(); }

}  // namespace weir::test
