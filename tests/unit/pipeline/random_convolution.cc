// The generator. It chooses a window first, and then extents by the number of positions that they
// give the window, so that whatever is chosen fits.
#include "tests/unit/pipeline/random_convolution.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <random>

#include <fmt/format.h>

#include "compiler/autodiff/gradient.h"
#include "ir/builder.h"
#include "ir/op.h"
#include "ir/registry.h"
#include "ir/text.h"

namespace weir::test {
namespace {

using Integers = std::vector<std::int64_t>;

// Steps of sums in one run: the interpreter takes 10 to 20 million in a second. Large ones fill
// register tiles several times, and wide ones the panels that operands are copied to.
struct RunSize {
  double steps;
  std::size_t runs;
};
constexpr RunSize kSmallRuns{40'000, 14}, kLargeRuns{700'000, 3}, kWideRuns{7'000'000, 1};

enum class Form { forward, transposed, filters, gradients };

class ConvolutionGenerator {
 public:
  explicit ConvolutionGenerator(std::uint64_t seed) : random_(seed * 0x9e3779b97f4a7c15) {
    special_ = chance(16);
    wide_ = chance(40), large_ = wide_ || chance(8);
    size_ = wide_ ? kWideRuns : large_ ? kLargeRuns : kSmallRuns;
  }

  Convolutions run() {
    for (;;) {
      choose_window();
      choose_channels();
      choose_sizes();
      if (!sizes_.empty()) return {build(), std::move(sizes_), special_};
    }
  }

 private:
  std::size_t below(std::size_t bound) { return static_cast<std::size_t>(random_() % bound); }
  bool chance(std::size_t of) { return below(of) == 0; }
  template <std::size_t N>
  std::int64_t one_of(const std::int64_t (&values)[N]) {
    return values[below(N)];
  }

  void choose_window() {
    static constexpr std::array<Form, 8> kForms{Form::forward,    Form::forward,    Form::forward,
                                                Form::transposed, Form::transposed, Form::filters,
                                                Form::gradients,  Form::gradients};
    static constexpr std::array<DType, 10> kTypes{DType::f32, DType::f32, DType::f32, DType::f32,
                                                  DType::f32, DType::f32, DType::f64, DType::f64,
                                                  DType::f16, DType::bf16};
    form_ = kForms[below(kForms.size())];
    type_ = kTypes[below(kTypes.size())];
    axes_ = chance(4) ? 1 : chance(5) ? 3 : 2;
    kernel_.assign(axes_, 1), strides_ = dilations_ = kernel_, low_ = high_ = Integers(axes_, 0);
    const bool pointwise = chance(wide_ ? 3 : 8), plain = chance(3), same = chance(3);
    for (std::size_t i = 0; i < axes_; ++i) {
      if (!pointwise)
        kernel_[i] = axes_ == 3 ? one_of({1, 2, 3, 3}) : one_of({1, 2, 3, 3, 3, 4, 5, 7});
      if (!plain) strides_[i] = one_of({1, 1, 1, 2, 2, 2, 3, 4});
      if (!plain) dilations_[i] = one_of({1, 1, 1, 2, 3});
      const std::int64_t reach = (kernel_[i] - 1) * dilations_[i];
      if (same) {
        low_[i] = reach / 2, high_[i] = reach - low_[i];
      } else {
        // Up to one beyond the window, so that some are all frame; and negative.
        auto frame = [&] {
          return chance(3)
                     ? 0
                     : static_cast<std::int64_t>(below(static_cast<std::size_t>(reach) + 4)) - 2;
        };
        low_[i] = frame(), high_[i] = frame();
      }
    }
    // Some windows are the same along all axes, as most are.
    if (chance(2))
      for (Integers* entries : {&kernel_, &strides_, &dilations_, &low_, &high_})
        entries->assign(axes_, entries->front());
  }

  // About vectors, register tiles and panels of both.
  void choose_channels() {
    auto channels = [&] {
      if (wide_) return one_of({48, 64, 96, 128, 130, 144, 192});
      return large_ && chance(2) ? one_of({24, 32, 33, 48, 64, 66, 130})
                                 : one_of({1, 2, 3, 3, 4, 5, 7, 8, 9, 12, 16, 17, 20, 24, 32, 33});
    };
    groups_ = 1, of_group_ = channels(), filters_of_group_ = channels();
    switch (wide_ ? 5 : below(6)) {
      case 0:  // one channel a group, with one filter or a few
      case 1:
        groups_ = channels(), of_group_ = 1,
        filters_of_group_ = chance(3) ? 2 + one_of({0, 1, 2}) : 1;
        break;
      case 2:
        groups_ = one_of({2, 2, 3, 4, 5});
        of_group_ = one_of({1, 2, 3, 4, 8, 9}), filters_of_group_ = one_of({1, 2, 3, 4, 8, 17});
        break;
      case 3:  // first and last layers
        if (chance(2))
          of_group_ = one_of({1, 2, 3, 4});
        else
          filters_of_group_ = one_of({1, 2, 3, 4});
        break;
      default:
        break;
    }
  }

  // Positions of the window along an axis of that many elements, or elements that so many positions
  // are spread to.
  std::int64_t along(std::size_t axis, std::int64_t size) const {
    const std::int64_t reach = (kernel_[axis] - 1) * dilations_[axis],
                       frame = low_[axis] + high_[axis];
    if (form_ == Form::transposed) return (size - 1) * strides_[axis] + reach + 1 - frame;
    const std::int64_t room = size + frame - reach - 1;
    return static_cast<std::int64_t>(
               std::floor(static_cast<double>(room) / static_cast<double>(strides_[axis]))) +
           1;
  }

  // An extent; for images the one that has about that many positions.
  std::int64_t random_extent(std::size_t axis) {
    const bool last = axis + 1 == axes_;
    std::int64_t positions =
        last || chance(8)
            ? (large_ ? one_of({16, 17, 24, 31, 32, 33, 40, 64, 65, 70, 100})
                      : one_of({1, 2, 3, 4, 5, 7, 8, 9, 11, 13, 16, 17, 21, 33}))
            : (large_ ? one_of({2, 3, 5, 6, 8, 9, 13}) : one_of({1, 1, 2, 3, 4, 5, 6, 7}));
    if (chance(60)) positions = 0;
    if (form_ == Form::transposed) return positions;
    const std::int64_t reach = (kernel_[axis] - 1) * dilations_[axis];
    return (positions - 1) * strides_[axis] + reach + 1 - low_[axis] - high_[axis] +
           static_cast<std::int64_t>(below(static_cast<std::size_t>(strides_[axis])));
  }

  double steps_of(std::int64_t batch, const Integers& extents) const {
    double steps = static_cast<double>(batch * groups_ * of_group_ * filters_of_group_);
    for (std::size_t i = 0; i < axes_; ++i)
      steps *= static_cast<double>(kernel_[i]) *
               static_cast<double>(std::max(extents[i], form_ == Form::transposed
                                                            ? along(i, extents[i])
                                                            : extents[i] / strides_[i]));
    return form_ == Form::gradients ? 3 * steps : steps;
  }

  std::optional<Dim::Bindings> random_sizes() {
    for (int tries = 0; tries < 40; ++tries) {
      const std::int64_t batch = chance(60) ? 0 : one_of({1, 1, 1, 2, 2, 3, 5});
      Integers extents;
      bool fits = true;
      for (std::size_t i = 0; i < axes_; ++i) {
        extents.push_back(random_extent(i));
        fits = fits && extents[i] >= 0 && along(i, extents[i]) >= 0;
      }
      if (!fits || steps_of(batch, extents) > size_.steps) continue;
      Dim::Bindings sizes{{"N", batch}};
      for (std::size_t i = 0; i < axes_; ++i) sizes.emplace(symbol(i), extents[i]);
      return sizes;
    }
    return std::nullopt;
  }

  static std::string symbol(std::size_t axis) { return fmt::format("D{}", axis); }

  // What is known ahead is the same in all runs.
  void choose_sizes() {
    sizes_.clear();
    std::optional<Dim::Bindings> first = random_sizes();
    if (!first) return;
    known_.clear();
    const std::size_t which = below(wide_ ? 3 : 6);
    for (const auto& [name, size] : *first) {
      const bool is_batch = name == "N";
      // Everything, all but the batch, all but the first axis and the batch, or nothing.
      if (which < 2 || (which == 2 && !is_batch) || (which == 3 && !is_batch && name != "D0"))
        known_.emplace(name, size);
    }
    if (known_.size() == first->size()) {
      sizes_.push_back(*first);
      return;
    }
    for (std::size_t tries = 0; tries < 4 * size_.runs && sizes_.size() < size_.runs; ++tries) {
      std::optional<Dim::Bindings> sizes = random_sizes();
      if (!sizes) continue;
      for (const auto& [name, size] : known_) (*sizes)[name] = size;
      Integers extents;
      for (std::size_t i = 0; i < axes_; ++i) extents.push_back(sizes->at(symbol(i)));
      if (steps_of(sizes->at("N"), extents) > size_.steps) continue;
      if (std::find(sizes_.begin(), sizes_.end(), *sizes) == sizes_.end()) sizes_.push_back(*sizes);
    }
  }

  Dim dim(const std::string& name) const {
    auto found = known_.find(name);
    return found == known_.end() ? Dim::symbol(name) : Dim(found->second);
  }

  Graph build() {
    GraphBuilder builder("convolutions");
    const bool transposed = form_ == Form::transposed;
    const std::int64_t channels = groups_ * of_group_, filters = groups_ * filters_of_group_;
    Shape image{dim("N"), channels},
        window{transposed ? channels : filters, transposed ? filters_of_group_ : of_group_};
    for (std::size_t i = 0; i < axes_; ++i)
      image.push_back(dim(symbol(i))), window.emplace_back(kernel_[i]);
    Attributes attributes{{"strides", strides_},
                          {"dilations", dilations_},
                          {"low", low_},
                          {"high", high_},
                          {"groups", groups_}};
    const OpDef& op = get_op(transposed ? "conv_transpose" : "conv");
    const std::vector<TensorType> types{{type_, image}, {type_, window}};
    const Shape result = check_and_infer(op, types, attributes).front().shape;
    Var x = builder.input("x", type_, image);
    if (form_ == Form::filters) {
      Var g = builder.input("g", type_, result);
      attributes.set("kernel", kernel_);
      builder.output("y", builder.apply("conv_filter_gradient", {x, g}, std::move(attributes)));
      return builder.finish().graph;
    }
    const bool is_weight = chance(2);
    auto operand = [&](const char* name, const Shape& shape) {
      return is_weight ? builder.param(name, type_, shape) : builder.input(name, type_, shape);
    };
    std::vector<Var> operands{x, operand("w", window)};
    std::vector<std::string> wanted{"x", "w"};
    if (chance(2)) {
      operands.push_back(operand("bias", {filters}));
      wanted.emplace_back("bias");
    }
    Var y = builder.apply(op, operands, std::move(attributes));
    if (chance(3)) y = builder.apply("add", {y, builder.input("r", type_, result)});
    if (chance(2)) {
      static constexpr std::array<double, 4> kSlopes{0.01, 0.2, -0.5, 1.5};
      y = builder.apply("leaky_relu", {y}, {{"negative_slope", kSlopes[below(kSlopes.size())]}});
    }
    // What the gradients are of: results that differ in weight.
    if (form_ == Form::gradients) y = builder.apply("mul", {y, builder.input("g", type_, result)});
    builder.output("y", y);
    Graph graph = builder.finish().graph;
    return form_ == Form::gradients ? gradient(graph, wanted) : graph;
  }

  std::mt19937_64 random_;
  bool special_, wide_, large_;
  RunSize size_;
  Form form_ = Form::forward;
  DType type_ = DType::f32;
  std::size_t axes_ = 2;
  Integers kernel_, strides_, dilations_, low_, high_;
  std::int64_t groups_ = 1, of_group_ = 1, filters_of_group_ = 1;
  Dim::Bindings known_;
  std::vector<Dim::Bindings> sizes_;
};

}  // namespace

Convolutions random_convolutions(std::uint64_t seed) { return ConvolutionGenerator(seed).run(); }

std::vector<std::string> describe_convolutions(const Graph& graph, const Dim::Bindings& sizes) {
  std::vector<std::string> found;
  for (const Node& node : graph.nodes()) {
    if (!node.op->name.starts_with("conv")) continue;
    std::string text = node.op->name;
    for (ValueId operand : node.operands) {
      const TensorType& type = graph.type(operand);
      text += fmt::format(" {}", name(type.dtype));
      for (const Dim& dim : type.shape) text += fmt::format(",{}", dim.evaluate(sizes).value());
    }
    for (const char* attribute : {"kernel", "strides", "dilations", "low", "high"}) {
      if (!node.attributes.find(attribute)) continue;
      text += fmt::format(" {}", attribute);
      for (std::int64_t entry : node.attributes.integers(attribute))
        text += fmt::format(" {}", entry);
    }
    found.push_back(text + fmt::format(" groups {}", node.attributes.integer("groups")));
  }
  return found;
}

}  // namespace weir::test
