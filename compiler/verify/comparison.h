// Comparing what a model computes with what it must compute.
#pragma once

#include <optional>
#include <string>

#include "compiler/verify.h"
#include "ir/tensor.h"

namespace weir::verification {

enum class Role { output, gradient };

// How far a result of this type may be from its reference; see VerifyOptions::tolerance.
double allowed(DType type, Role role, std::optional<double> given);

// Compares results with references, and keeps the first that is wrong and the largest difference.
class Comparison {
 public:
  explicit Comparison(std::optional<double> tolerance) : tolerance_(tolerance) {}

  void add(Role role, const std::string& name, const Tensor& result, const Tensor& reference);
  // A result of one number of threads and of another: no tolerance is for that.
  void add_threads(const std::string& name, const Tensor& result, const Tensor& other);
  // Whether `add` would find nothing wrong.
  bool holds(Role role, const Tensor& result, const Tensor& reference) const;
  // A result that is right by other means, that far from what is exact.
  void accept(double difference, const std::string& note);
  void fail(std::string fault);

  Verdict verdict() const;

 private:
  std::optional<double> tolerance_;
  std::string fault_, note_;
  double largest_ = 0;
};

}  // namespace weir::verification
