#include "compiler/initialize.h"

#include <fmt/format.h>

#include "ir/escape.h"
#include "ir/scalar/evaluate.h"

namespace weir {

Tensor initial_value(const TensorType& type, const Initializer& initializer,
                     std::mt19937_64& random) {
  InitialElement element = initial_element(initializer, type);
  scalar::Evaluator evaluator(element.arena, {element.value},
                              {scalar::Numerics::Mode::expanded, /*has_fma=*/false});
  Tensor::Sizes sizes;
  for (const Dim& dim : type.shape) sizes.push_back(dim.value());
  Tensor result(type.dtype, std::move(sizes));
  std::vector<scalar::Bits> drawn(element.draws);
  scalar::Environment environment;
  environment.arguments = drawn;
  for (std::int64_t i = 0; i < result.element_count(); ++i) {
    for (scalar::Bits& number : drawn)
      number = scalar::from_f64(static_cast<double>(random() >> 11) * 0x1p-53);
    result.set_bits(i, evaluator.run(environment)[0]);
  }
  return result;
}

std::vector<DrawnParam> drawn_params(const Graph& graph, const Weights& weights,
                                     const Initializer& otherwise) {
  std::vector<DrawnParam> drawn;
  for (ValueId id : graph.params()) {
    const Value& param = graph.value(id);
    const Initializer* declared = graph.initializer(id);
    if (weights.contains(param.name) || (!declared && !is_float(param.type.dtype))) continue;
    for (const Dim& dim : param.type.shape)
      if (!dim.is_constant())
        throw Error(param.location,
                    fmt::format("{} is {}; the dimensions of a param must be integers",
                                value_name(param.name), to_string(param.type)));
    drawn.push_back({param.name, param.type,
                     declared                ? *declared
                     : param.type.rank() < 2 ? Initializer{"zeros"}
                                             : otherwise});
  }
  return drawn;
}

Weights draw(std::span<const DrawnParam> params, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  Weights values;
  for (const DrawnParam& param : params)
    values.emplace(param.name, initial_value(param.type, param.initializer, random));
  return values;
}

void initialize(Model& model, const Initializer& otherwise, std::uint64_t seed) {
  model.weights.merge(draw(drawn_params(model.graph, model.weights, otherwise), seed));
  for (ValueId id : model.graph.params()) {
    const Value& param = model.graph.value(id);
    if (!model.weights.contains(param.name))
      throw Error(param.location,
                  fmt::format("the param {} is {} and has neither a value nor an initializer; only "
                              "those of floating point are initialized without one",
                              value_name(param.name), to_string(param.type)));
  }
}

}  // namespace weir
