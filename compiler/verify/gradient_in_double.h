// The gradient in f64, as a judge of one in f32 and its reference that are far apart.
//
// A gradient jumps where the input of a LeakyReLU or the like is 0 but for rounding, so there two
// computations in f32 may both be right, and far from each other. A gradient is right in this sense
// if
//   - every value that the backward pass reads is near the same value in f64;
//   - the gradient is near that which the backward pass computes in f64 from these values in f32,
//     which is far from that in f64: so rounding decides, and no reference in f32 says how;
//   - the gradient in f64 is itself right, for the reference is near it, or the function rises as
//     it says, and not as the reference says, along the line from one to the other.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "compiler/verify/comparison.h"
#include "compiler/verify/runner.h"

namespace weir::verification {

class GradientInDouble {
 public:
  // Of a graph whose last outputs are what is differentiated and then the gradients with respect to
  // the names, which are inputs or params.
  GradientInDouble(const Model& model, const Inputs& inputs, std::vector<std::string> names,
                   const VerifyOptions& options);

  // Whether the i-th gradient in f32 is right although it is not near its reference. If so, the
  // comparison has been told.
  bool accepts(std::size_t i, const std::string& shown, const Tensor& result,
               const Tensor& reference, Comparison& comparison) const;

 private:
  bool rises_as_said(std::size_t i, const Tensor& reference) const;
  // The function's slope along a line of that many steps, by a difference quotient.
  double slope_along(const std::string& name, std::span<const double> line, double step) const;

  std::vector<std::string> names_;
  Inputs inputs_;                   // in f64, with the params
  std::optional<Runner> runner_;    // of the graph in f64
  std::size_t product_ = 0;         // which of its results is differentiated
  std::vector<Tensor> gradients_;   // in f64
  std::vector<Tensor> of_rounded_;  // in f64, from the values that f32 rounds to
  bool values_are_near_ = true;
};

}  // namespace weir::verification
