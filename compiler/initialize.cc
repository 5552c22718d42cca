#include "compiler/initialize.h"

#include <cmath>
#include <numbers>

#include <fmt/format.h>

#include "ir/escape.h"

namespace weir {
namespace {

double unit(std::mt19937_64& random) { return static_cast<double>(random() >> 11) * 0x1p-53; }

// Box and Muller's; the logarithm's argument is never 0.
double standard_normal(std::mt19937_64& random) {
  double radius = std::sqrt(-2 * std::log(1 - unit(random)));
  return radius * std::cos(2 * std::numbers::pi * unit(random));
}

}  // namespace

Tensor initial_value(const TensorType& type, const Initializer& initializer,
                     std::mt19937_64& random) {
  Tensor::Sizes sizes;
  double inputs = 1, outputs = 1;
  for (const Dim& dim : type.shape) {
    auto size = static_cast<double>(dim.value());
    if (sizes.size() != 0) inputs *= size;
    if (sizes.size() != 1) outputs *= size;
    sizes.push_back(dim.value());
  }
  Tensor result(type.dtype, std::move(sizes));
  double bound = initializer.scale;
  switch (initializer.kind) {
    case Initializer::Kind::zeros:
      return result;
    case Initializer::Kind::xavier:
      bound = std::sqrt(6 / (inputs + outputs));
      break;
    case Initializer::Kind::he:
      bound = std::sqrt(6 / ((1 + initializer.slope * initializer.slope) * inputs));
      break;
    case Initializer::Kind::uniform:
    case Initializer::Kind::normal:
      break;
  }
  bool normal = initializer.kind == Initializer::Kind::normal;
  for (std::int64_t i = 0; i < result.element_count(); ++i) {
    double number = normal ? standard_normal(random) : 2 * unit(random) - 1;
    result.set_bits(i, scalar::bits_of(type.dtype, bound * number));
  }
  return result;
}

void initialize(Model& model, const Initializer& initializer, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  for (ValueId id : model.graph.params()) {
    const Value& param = model.graph.value(id);
    if (model.weights.contains(param.name)) continue;
    if (!is_float(param.type.dtype))
      throw Error(
          param.location,
          fmt::format(
              "the param {} is {} and has no value; only those of floating point are initialized",
              value_name(param.name), to_string(param.type)));
    for (const Dim& dim : param.type.shape)
      if (!dim.is_constant())
        throw Error(param.location,
                    fmt::format("{} is {}; the dimensions of a param must be integers",
                                value_name(param.name), to_string(param.type)));
    Initializer chosen = initializer;
    if (param.type.rank() < 2) chosen.kind = Initializer::Kind::zeros;
    model.weights.emplace(param.name, initial_value(param.type, chosen, random));
  }
}

}  // namespace weir
