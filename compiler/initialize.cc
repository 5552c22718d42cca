#include "compiler/initialize.h"

#include <fmt/format.h>

#include "ir/escape.h"

namespace weir {

Tensor initial_value(const TensorType& type, const Initializer& initializer,
                     std::mt19937_64& random) {
  Initializer whole = completed(initializer, type);
  InitializerDef::Source source = find_initializer(whole.name).source(type, whole.attributes);
  Tensor::Sizes sizes;
  for (const Dim& dim : type.shape) sizes.push_back(dim.value());
  Tensor result(type.dtype, std::move(sizes));
  for (std::int64_t i = 0; i < result.element_count(); ++i)
    result.set_bits(i, scalar::bits_of(type.dtype, source(random)));
  return result;
}

void initialize(Model& model, const Initializer& otherwise, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  for (ValueId id : model.graph.params()) {
    const Value& param = model.graph.value(id);
    if (model.weights.contains(param.name)) continue;
    const Initializer* declared = model.graph.initializer(id);
    if (!declared && !is_float(param.type.dtype))
      throw Error(param.location,
                  fmt::format("the param {} is {} and has neither a value nor an initializer; only "
                              "those of floating point are initialized without one",
                              value_name(param.name), to_string(param.type)));
    for (const Dim& dim : param.type.shape)
      if (!dim.is_constant())
        throw Error(param.location,
                    fmt::format("{} is {}; the dimensions of a param must be integers",
                                value_name(param.name), to_string(param.type)));
    Initializer chosen = declared                ? *declared
                         : param.type.rank() < 2 ? Initializer{"zeros"}
                                                 : otherwise;
    model.weights.emplace(param.name, initial_value(param.type, chosen, random));
  }
}

}  // namespace weir
