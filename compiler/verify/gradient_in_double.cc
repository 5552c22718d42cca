#include "compiler/verify/gradient_in_double.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "compiler/verify/double_precision.h"
#include "ir/builder.h"

namespace weir::verification {
namespace {

// The graph with further outputs behind its own.
Graph with_outputs(const Graph& graph, std::span<const ValueId> values) {
  GraphBuilder builder(graph);
  for (std::size_t i = 0; i < values.size(); ++i)
    builder.output(fmt::format("value {} of the backward pass", i), Var(builder, values[i]));
  return std::move(builder.graph());
}

}  // namespace

GradientInDouble::GradientInDouble(const Model& model, const Inputs& inputs,
                                   std::vector<std::string> names, const VerifyOptions& options)
    : names_(std::move(names)), inputs_(in_double_precision(inputs)) {
  const std::size_t outputs = model.graph.outputs().size();
  const std::size_t first_gradient = outputs - names_.size();
  product_ = first_gradient - 1;
  auto gradients_of = [&](const std::vector<Tensor>& results) {
    return std::vector<Tensor>(results.begin() + static_cast<std::ptrdiff_t>(first_gradient),
                               results.begin() + static_cast<std::ptrdiff_t>(outputs));
  };

  std::vector<ValueId> read = read_by_backward_pass(model.graph);
  Graph graph = with_outputs(model.graph, read);
  std::vector<Tensor> rounded = Runner({graph, model.weights}, options).run(inputs);

  inputs_.merge(in_double_precision(model.weights));
  runner_.emplace(Model{in_double_precision(graph), {}}, options);
  std::vector<Tensor> exact = runner_->run(inputs_);
  gradients_ = gradients_of(exact);

  Inputs given = inputs_;
  const double near = allowed(DType::f32, Role::output, options.tolerance);
  for (std::size_t i = 0; i < read.size(); ++i) {
    Tensor value = in_double_precision(rounded[outputs + i]);
    if (is_float(value.dtype()))
      values_are_near_ = values_are_near_ && compare(value, exact[outputs + i]).relative() <= near;
    given.insert_or_assign(given_name(i), std::move(value));
  }
  of_rounded_ =
      gradients_of(Runner({in_double_precision(model.graph, read), {}}, options).run(given));
}

bool GradientInDouble::accepts(std::size_t i, const std::string& shown, const Tensor& result,
                               const Tensor& reference, Comparison& comparison) const {
  Tensor ours = in_double_precision(result), theirs = in_double_precision(reference);
  if (!values_are_near_ || !comparison.holds(Role::gradient, ours, of_rounded_[i])) return false;
  if (comparison.holds(Role::gradient, of_rounded_[i], gradients_[i])) return false;
  if (!comparison.holds(Role::gradient, theirs, gradients_[i]) && !rises_as_said(i, theirs))
    return false;
  double ours_off = compare(ours, gradients_[i]).relative();
  comparison.accept(
      compare(ours, of_rounded_[i]).relative(),
      fmt::format("rounding decides at kinks: {} is {:.2g} from that in f64, its reference {:.2g}",
                  shown, ours_off, compare(theirs, gradients_[i]).relative()));
  return true;
}

bool GradientInDouble::rises_as_said(std::size_t i, const Tensor& reference) const {
  const auto ours = gradients_[i].elements<double>(), theirs = reference.elements<double>();
  const auto start = inputs_.find(names_[i])->second.elements<double>();
  std::vector<double> line(ours.size());
  double longest = 0, largest = 1;
  for (std::size_t k = 0; k < line.size(); ++k) {
    line[k] = theirs[k] - ours[k];
    longest = std::max(longest, std::abs(line[k]));
    largest = std::max(largest, std::abs(start[k]));
  }
  if (!(longest > 0) || !std::isfinite(longest)) return false;
  double by_ours = 0, by_theirs = 0;
  for (std::size_t k = 0; k < line.size(); ++k) {
    line[k] /= longest;
    by_ours += ours[k] * line[k];
    by_theirs += theirs[k] * line[k];
  }
  // So short that hardly a kink lies within, and so long that rounding counts little.
  for (int exponent : {-30, -33, -36}) {
    double slope = slope_along(names_[i], line, std::ldexp(largest, exponent));
    if (std::abs(slope - by_ours) < 0.1 * std::abs(slope - by_theirs)) return true;
  }
  return false;
}

double GradientInDouble::slope_along(const std::string& name, std::span<const double> line,
                                     double step) const {
  const Tensor& start = inputs_.find(name)->second;
  auto product_at = [&](double distance) {
    Tensor moved(DType::f64, start.sizes());
    auto elements = moved.mutable_elements<double>();
    for (std::size_t k = 0; k < line.size(); ++k)
      elements[k] = start.elements<double>()[k] + distance * line[k];
    Inputs inputs = inputs_;
    inputs.insert_or_assign(name, std::move(moved));
    return runner_->run(inputs)[product_];
  };
  Tensor before = product_at(-step), behind = product_at(step);
  double rise = 0;
  for (std::size_t k = 0; k < before.elements<double>().size(); ++k)
    rise += behind.elements<double>()[k] - before.elements<double>()[k];
  return rise / (2 * step);
}

}  // namespace weir::verification
