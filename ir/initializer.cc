#include "ir/initializer.h"

#include <cmath>
#include <numbers>

#include <fmt/format.h>

#include "ir/diagnostic.h"
#include "ir/scalar/expand.h"

namespace weir {
namespace {

using Draw = InitializerDef::Draw;
using scalar::Arena;
using scalar::Expr;

Expr number(Arena& arena, double value) { return {arena, arena.constant(DType::f64, value)}; }

Expr uniform_between(double low, double high, const Draw& draw) {
  return low + (high - low) * draw();
}

// Box and Muller's; the logarithm's argument is never 0, but at least 2^-53.
constexpr double kFarthest = 8.6;  // deviations from the mean: above sqrt(2 * 53 * log 2)
Expr normal_around(double mean, double deviation, const Draw& draw) {
  Expr radius = sqrt(-2.0 * log(1.0 - draw()));
  Expr direction = cos(2 * std::numbers::pi * draw());
  return mean + deviation * radius * direction;
}

struct Fans {
  double inputs = 1, outputs = 1;
};

Fans fans(const TensorType& type, const Attributes& attributes) {
  std::size_t of_outputs = attributes.boolean("transposed") ? 1 : 0;
  Fans result;
  for (std::size_t i = 0; i < type.shape.size(); ++i) {
    auto size = static_cast<double>(type.shape[i].value());
    if (i != of_outputs) result.inputs *= size;
    if (i != 1 - of_outputs) result.outputs *= size;
  }
  return result;
}

// A distribution about 0, named by the attribute, of this variance.
Expr with_variance(double variance, const Attributes& attributes, const Draw& draw) {
  if (attributes.text("distribution") == "normal")
    return normal_around(0, std::sqrt(variance), draw);
  double bound = std::sqrt(3 * variance);
  return uniform_between(-bound, bound, draw);
}

void check_float(const TensorType& type) {
  if (!is_float(type.dtype))
    throw Error(
        fmt::format("gives numbers of floating point, and the param is {}; take zeros or constant",
                    to_string(type)));
}

void check_fans(const TensorType& type, const Attributes& attributes) {
  check_float(type);
  if (type.rank() < 2)
    throw Error(
        fmt::format("wants a matrix or filters, and the param is {}; take zeros, constant, "
                    "uniform or normal",
                    to_string(type)));
  const std::string& distribution = attributes.text("distribution");
  if (distribution != "uniform" && distribution != "normal")
    throw Error(fmt::format("the attribute distribution must be \"uniform\" or \"normal\", not {}",
                            to_string(Attribute(distribution))));
}

void check_finite(const Attributes& attributes, std::string_view name) {
  if (!std::isfinite(attributes.real(name)))
    throw Error(fmt::format("the attribute {} must be finite, not {}", name,
                            scalar::shortest(attributes.real(name))));
}

void check_held(DType type, std::string_view what, double value) {
  if (!std::isfinite(scalar::to_double(type, scalar::bits_of(type, value))))
    throw Error(
        fmt::format("{} is {}, which {} does not hold", what, scalar::shortest(value), name(type)));
}

InitializerDef zeros() {
  return {"zeros",
          "0 everywhere.",
          {},
          [](const TensorType&, const Attributes&) {},
          [](Arena& arena, const Draw&, const TensorType&, const Attributes&) {
            return number(arena, 0);
          }};
}

InitializerDef constant() {
  return {
      "constant",
      "One value everywhere.",
      {{"value", AttributeKind::real, std::nullopt, "The value."}},
      [](const TensorType& type, const Attributes& attributes) {
        double value = attributes.real("value");
        double held = scalar::to_double(type.dtype, scalar::bits_of(type.dtype, value));
        if (std::isfinite(held) && (is_float(type.dtype) || held == value)) return;
        throw Error(fmt::format("{} has no value {}", name(type.dtype), scalar::shortest(value)));
      },
      [](Arena& arena, const Draw&, const TensorType& type, const Attributes& attributes) {
        return Expr(arena, arena.constant(type.dtype, attributes.real("value")));
      }};
}

InitializerDef uniform() {
  return {"uniform",
          "Equally distributed between two bounds.",
          {{"low", AttributeKind::real, -1.0, "The lower bound."},
           {"high", AttributeKind::real, 1.0, "The upper bound."}},
          [](const TensorType& type, const Attributes& attributes) {
            check_float(type);
            check_finite(attributes, "low");
            check_finite(attributes, "high");
            double low = attributes.real("low"), high = attributes.real("high");
            if (low > high)
              throw Error(fmt::format("low is {}, above high, which is {}", scalar::shortest(low),
                                      scalar::shortest(high)));
            check_held(type.dtype, "low", low);
            check_held(type.dtype, "high", high);
            check_held(DType::f64, "high - low", high - low);
          },
          [](Arena&, const Draw& draw, const TensorType&, const Attributes& attributes) {
            return uniform_between(attributes.real("low"), attributes.real("high"), draw);
          }};
}

InitializerDef normal() {
  return {"normal",
          "Normally distributed.",
          {{"mean", AttributeKind::real, 0.0, "The mean."},
           {"deviation", AttributeKind::real, 1.0, "The standard deviation."}},
          [](const TensorType& type, const Attributes& attributes) {
            check_float(type);
            check_finite(attributes, "mean");
            check_finite(attributes, "deviation");
            if (attributes.real("deviation") < 0)
              throw Error(fmt::format("the attribute deviation must not be negative, and is {}",
                                      scalar::shortest(attributes.real("deviation"))));
            double mean = attributes.real("mean"), deviation = attributes.real("deviation");
            check_held(type.dtype, "the largest value, |mean| + 8.6 * deviation,",
                       std::abs(mean) + kFarthest * deviation);
          },
          [](Arena&, const Draw& draw, const TensorType&, const Attributes& attributes) {
            return normal_around(attributes.real("mean"), attributes.real("deviation"), draw);
          }};
}

std::vector<AttributeSpec> with_fans(std::vector<AttributeSpec> attributes) {
  attributes.push_back(
      {"distribution", AttributeKind::text, std::string("uniform"), "\"uniform\" or \"normal\"."});
  attributes.push_back({"transposed", AttributeKind::boolean, false,
                        "The first dimension counts inputs, the second outputs."});
  return attributes;
}

InitializerDef xavier() {
  return {"xavier", "Of variance 2 / (inputs + outputs) (Glorot and Bengio, 2010).", with_fans({}),
          check_fans,
          [](Arena&, const Draw& draw, const TensorType& type, const Attributes& attributes) {
            Fans fan = fans(type, attributes);
            return with_variance(2 / (fan.inputs + fan.outputs), attributes, draw);
          }};
}

InitializerDef he() {
  return {"he",
          "Of variance 2 / ((1 + slope^2) * inputs), which LeakyReLU keeps (He et al., 2015).",
          with_fans(
              {{"negative_slope", AttributeKind::real, 0.01, "That of the LeakyReLU behind it."}}),
          [](const TensorType& type, const Attributes& attributes) {
            check_fans(type, attributes);
            check_finite(attributes, "negative_slope");
          },
          [](Arena&, const Draw& draw, const TensorType& type, const Attributes& attributes) {
            double slope = attributes.real("negative_slope");
            return with_variance(2 / ((1 + slope * slope) * fans(type, attributes).inputs),
                                 attributes, draw);
          }};
}

}  // namespace

std::span<const InitializerDef> initializers() {
  static const std::vector<InitializerDef> all{zeros(),  constant(), uniform(),
                                               normal(), xavier(),   he()};
  return all;
}

const InitializerDef& find_initializer(std::string_view name) {
  std::vector<std::string_view> names;
  for (const InitializerDef& known : initializers()) {
    if (known.name == name) return known;
    names.push_back(known.name);
  }
  throw Error(
      fmt::format("there is no initializer {}; there are {}", name, fmt::join(names, ", ")));
}

Initializer completed(Initializer initializer, const TensorType& type) {
  const InitializerDef& definition = find_initializer(initializer.name);
  try {
    complete_attributes(definition.attributes, initializer.attributes);
    definition.check(type, initializer.attributes);
  } catch (const Error& error) {
    throw Error(fmt::format("{}: {}", initializer.name, error.diagnostic().message));
  }
  return initializer;
}

InitialElement initial_element(const Initializer& initializer, const TensorType& type) {
  Initializer whole = completed(initializer, type);
  InitialElement result;
  Draw draw = [&] { return Expr(result.arena, result.arena.argument(result.draws++, DType::f64)); };
  Expr element = find_initializer(whole.name).element(result.arena, draw, type, whole.attributes);
  scalar::Id root = cast(element, type.dtype).id();
  result.value = scalar::expand_all(result.arena, {&root, 1})[0];
  return result;
}

}  // namespace weir
