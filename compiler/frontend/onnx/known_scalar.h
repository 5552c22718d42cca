// Scalars that are known while a model is loaded: numbers, and polynomials in its dimensions.
//
// The arithmetic that exporters write on shapes is done on these. A primitive on numbers is what it
// is everywhere; on polynomials it is known where the result is the same for all values of the
// symbols (which are integers from 0): sums and products always, quotients where the division
// leaves nothing, comparisons where the difference has one sign. Everything else is not known,
// which is no error; what it would be is kept for a message. A float may stand for a polynomial,
// too: sizes are scaled in floating point and rounded back.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>

#include "ir/dim.h"
#include "ir/scalar/constant.h"
#include "ir/scalar/primitive.h"

namespace weir::onnx_format {

// What is no dimension, such as "N / M"; null where it depends on elements of an input.
struct UnknownScalar {
  std::shared_ptr<const std::string> formula;
};

// Not known, a number, or a polynomial with at least one symbol.
using KnownScalar = std::variant<UnknownScalar, scalar::Bits, Dim>;

inline bool is_known(const KnownScalar& value) { return value.index() != 0; }
// A number of that type if the dimension is constant.
KnownScalar known_dim(DType type, const Dim& dim);
// What a value of that type is as a dimension; nothing if it is none.
std::optional<Dim> as_dim(DType type, const KnownScalar& value);

// One primitive on values, leaves and loads excepted. `type` is that of the result.
KnownScalar apply(scalar::Primitive primitive, DType type, std::span<const DType> operand_types,
                  std::span<const KnownScalar> operands);

}  // namespace weir::onnx_format
