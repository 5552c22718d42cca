#include "compiler/verify/comparison.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace weir::verification {
namespace {

std::string place_of(const Tensor& tensor, std::int64_t position) {
  std::vector<std::int64_t> index(tensor.sizes().size());
  for (std::size_t i = index.size(); i-- > 0;) {
    index[i] = position % tensor.sizes()[i];
    position /= tensor.sizes()[i];
  }
  return fmt::format("[{}]", fmt::join(index, ", "));
}

}  // namespace

double allowed(DType type, Role role, std::optional<double> given) {
  if (!is_float(type)) return 0;
  if (given) return *given;
  if (type == DType::f16) return 0x1p-10;
  if (type == DType::bf16) return 0x1p-7;
  return role == Role::gradient ? 1e-4 : 1e-5;
}

bool Comparison::holds(Role role, const Tensor& result, const Tensor& reference) const {
  if (result.type() != reference.type()) return false;
  Difference difference = compare(result, reference);
  if (!is_float(result.dtype())) return difference.identical;
  return difference.relative() <= allowed(result.dtype(), role, tolerance_);
}

void Comparison::add(Role role, const std::string& name, const Tensor& result,
                     const Tensor& reference) {
  if (result.type() != reference.type())
    return fail(fmt::format("{} is {}, and {} is right", name, to_string(result.type()),
                            to_string(reference.type())));
  Difference difference = compare(result, reference);
  double relative = difference.relative();
  largest_ = std::max(largest_, relative);
  if (holds(role, result, reference)) return;
  auto number = [&](const Tensor& tensor) {
    return scalar::to_string(tensor.dtype(), tensor.bits(difference.position));
  };
  fail(fmt::format("{} differs by {:.3g}, {:g} is allowed: {} at {}, and {} is right", name,
                   relative, allowed(result.dtype(), role, tolerance_), number(result),
                   place_of(result, difference.position), number(reference)));
}

void Comparison::add_threads(const std::string& name, const Tensor& result, const Tensor& other) {
  if (compare(result, other).identical) return;
  std::int64_t at = 0;
  while (scalar::same_value(result.dtype(), result.bits(at), other.bits(at))) ++at;
  auto number = [&](const Tensor& tensor) {
    return scalar::to_string(tensor.dtype(), tensor.bits(at));
  };
  fail(fmt::format("{} depends on the number of threads: it is {} at {}, and {} on others", name,
                   number(result), place_of(result, at), number(other)));
}

void Comparison::accept(double difference, const std::string& note) {
  largest_ = std::max(largest_, difference);
  if (note_.empty()) note_ = note;
}

void Comparison::fail(std::string fault) {
  if (fault_.empty()) fault_ = std::move(fault);
}

Verdict Comparison::verdict() const {
  if (!fault_.empty()) return {Verdict::Kind::fail, fault_, largest_};
  return {Verdict::Kind::pass, note_, largest_};
}

}  // namespace weir::verification
