#include "compiler/frontend/onnx/known_scalar.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <fmt/format.h>

#include "ir/diagnostic.h"
#include "ir/scalar/evaluate.h"

namespace weir::onnx_format {
namespace {

using scalar::Bits;
using scalar::Primitive;

const KnownScalar kUnknown;

KnownScalar truth(bool value) { return scalar::from_bool(value); }

// Two polynomials joined by an operator, as in a formula.
KnownScalar unknown(const Dim& a, const char* joined_by, const Dim& b) {
  constexpr std::size_t kShown = 80;
  auto operand = [](const Dim& dim) {
    std::string text = dim.to_string().substr(0, kShown);
    return dim.terms().size() > 1 ? fmt::format("({})", text) : text;
  };
  return UnknownScalar{std::make_shared<const std::string>(
      fmt::format("{} {} {}", operand(a), joined_by, operand(b)))};
}

// Whether a dimension is above 0, whatever its symbols stand for.
bool always_positive(const Dim& dim) { return never_negative(dim - Dim(1)); }

// a < b, a <= b or a == b by the sign of the difference.
KnownScalar less(const Dim& a, const Dim& b) {
  if (always_positive(b - a)) return truth(true);
  return never_negative(a - b) ? truth(false) : unknown(a, "<", b);
}
KnownScalar equal(const Dim& a, const Dim& b) {
  if (a == b) return truth(true);
  return always_positive(b - a) || always_positive(a - b) ? truth(false) : unknown(a, "==", b);
}
KnownScalar negated(const KnownScalar& value) {
  const Bits* bits = std::get_if<Bits>(&value);
  return bits != nullptr ? truth(!scalar::as_bool(*bits)) : value;
}

// A float that is no integer, times a polynomial: 0.5 * 4*N.
std::optional<Dim> scaled(const Dim& dim, double factor) {
  double inverse = 1 / factor;
  if (!(std::abs(inverse) < 1e9) || inverse != std::rint(inverse)) return std::nullopt;
  return dim.divided_by(Dim(static_cast<std::int64_t>(inverse)));
}

KnownScalar product(DType type, std::span<const DType> types,
                    std::span<const KnownScalar> operands) {
  std::optional<Dim> a = as_dim(types[0], operands[0]), b = as_dim(types[1], operands[1]);
  if (a && b) return known_dim(type, *a * *b);
  for (std::size_t i = 0; i < 2; ++i) {
    const std::optional<Dim>& dim = i == 0 ? a : b;
    const Bits* bits = std::get_if<Bits>(&operands[1 - i]);
    if (!dim || bits == nullptr) continue;
    if (std::optional<Dim> result = scaled(*dim, scalar::to_double(types[1 - i], *bits)))
      return known_dim(type, *result);
  }
  return kUnknown;
}

// The lower or higher of two, by the sign of their difference.
KnownScalar extreme(DType type, const Dim& a, const Dim& b, bool lower) {
  if (never_negative(b - a)) return known_dim(type, lower ? a : b);
  if (never_negative(a - b)) return known_dim(type, lower ? b : a);
  return unknown(a, lower ? "min" : "max", b);
}

// a / b where that is exact, or both are integers that are not negative, so that cutting is
// rounding down.
std::optional<Dim> integer_quotient(DType type, const Dim& a, const Dim& b) {
  if (std::optional<Dim> quotient = a.divided_by(b)) return quotient;
  bool rounds_down = is_integer(type) && b.is_constant() && b.value() > 0 && never_negative(a);
  return rounds_down ? std::optional<Dim>(floor_quotient(a, b.value())) : std::nullopt;
}

// Where a reduction starts: the end of the type's range, below or above everything.
bool is_identity(Primitive primitive, DType type, const KnownScalar& value) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  const Bits* bits = std::get_if<Bits>(&value);
  return bits != nullptr &&
         *bits == scalar::bits_of(type, primitive == Primitive::max ? -infinity : infinity);
}

KnownScalar on_dims(Primitive primitive, DType type, const Dim& a, const Dim& b) {
  switch (primitive) {
    case Primitive::add:
      return known_dim(type, a + b);
    case Primitive::sub:
      return known_dim(type, a - b);
    case Primitive::div:
      if (std::optional<Dim> quotient = integer_quotient(type, a, b))
        return known_dim(type, *quotient);
      return unknown(a, "/", b);
    case Primitive::rem:
    case Primitive::modulo:
      if (std::optional<Dim> quotient = integer_quotient(type, a, b))
        return known_dim(type, a - *quotient * b);
      return unknown(a, "%", b);
    case Primitive::min:
      return extreme(type, a, b, true);
    case Primitive::max:
      return extreme(type, a, b, false);
    case Primitive::eq:
      return equal(a, b);
    case Primitive::ne:
      return negated(equal(a, b));
    case Primitive::lt:
      return less(a, b);
    case Primitive::le:
      return negated(less(b, a));
    default:
      return kUnknown;
  }
}

KnownScalar on_one_dim(Primitive primitive, DType type, const Dim& x) {
  switch (primitive) {
    case Primitive::neg:
      return known_dim(type, Dim(0) - x);
    case Primitive::abs:
      return never_negative(x) ? known_dim(type, x) : kUnknown;
    case Primitive::floor:
    case Primitive::ceil:
    case Primitive::trunc:
    case Primitive::round:
      return x;
    case Primitive::cast:
      return type == DType::boolean ? negated(equal(x, Dim(0))) : KnownScalar(x);
    default:
      return kUnknown;
  }
}

}  // namespace

namespace {

KnownScalar apply_known(Primitive primitive, DType type, std::span<const DType> operand_types,
                        std::span<const KnownScalar> operands) {
  if (primitive == Primitive::select) {
    const Bits* condition = std::get_if<Bits>(&operands[0]);
    if (condition == nullptr) return kUnknown;
    return operands[scalar::as_bool(*condition) ? 1 : 2];
  }
  if (std::all_of(operands.begin(), operands.end(),
                  [](const KnownScalar& each) { return each.index() == 1; })) {
    std::vector<Bits> bits;
    for (const KnownScalar& operand : operands) bits.push_back(std::get<Bits>(operand));
    return scalar::apply(primitive, type, operand_types, bits, {});
  }
  if (primitive == Primitive::min || primitive == Primitive::max)
    for (std::size_t i = 0; i < 2; ++i)
      if (is_identity(primitive, type, operands[i])) return operands[1 - i];
  if (primitive == Primitive::mul) return product(type, operand_types, operands);
  if (primitive == Primitive::fma) {
    KnownScalar factor = product(type, operand_types, operands.first(2));
    std::optional<Dim> a = as_dim(type, factor), b = as_dim(type, operands[2]);
    return a && b ? known_dim(type, *a + *b) : kUnknown;
  }
  std::optional<Dim> a = as_dim(operand_types[0], operands[0]);
  if (!a) return kUnknown;
  if (operands.size() == 1) return on_one_dim(primitive, type, *a);
  std::optional<Dim> b = as_dim(operand_types[1], operands[1]);
  return b && operands.size() == 2 ? on_dims(primitive, type, *a, *b) : kUnknown;
}

}  // namespace

KnownScalar known_dim(DType type, const Dim& dim) {
  if (!dim.is_constant()) return dim;
  return scalar::bits_of(type, dim.value());
}

std::optional<Dim> as_dim(DType type, const KnownScalar& value) {
  if (const Dim* dim = std::get_if<Dim>(&value)) return *dim;
  const Bits* bits = std::get_if<Bits>(&value);
  if (bits == nullptr || type == DType::boolean) return std::nullopt;
  if (is_integer(type)) return Dim(scalar::to_integer(type, *bits));
  double number = scalar::to_double(type, *bits);
  if (!(std::abs(number) < 1e15) || number != std::rint(number)) return std::nullopt;
  return Dim(static_cast<std::int64_t>(number));
}

KnownScalar apply(Primitive primitive, DType type, std::span<const DType> operand_types,
                  std::span<const KnownScalar> operands) try {
  KnownScalar result = apply_known(primitive, type, operand_types, operands);
  // What an operand would be is what the result depends on.
  auto* unknown_result = std::get_if<UnknownScalar>(&result);
  for (std::size_t i = 0; unknown_result != nullptr && i < operands.size(); ++i)
    if (const auto* operand = std::get_if<UnknownScalar>(&operands[i]))
      if (!unknown_result->formula) unknown_result->formula = operand->formula;
  return result;
} catch (const Error&) {
  // A polynomial that leaves 64 bits, or has too many terms.
  return kUnknown;
}

}  // namespace weir::onnx_format
