#include "compiler/aot/record_self_test.h"

#include <map>
#include <optional>

#include <fmt/format.h>

#include "ir/interpreter.h"

namespace weir {
namespace {

// Odd ones first: most vectors then have a tail.
constexpr std::int64_t kSizes[] = {3, 2, 5, 4, 8, 1, 16, 32};
// Integers from 0 up to these: labels and indices are rarely fewer, and zero is right wherever one
// is.
constexpr std::uint32_t kRanges[] = {10, 2, 1};

Inputs inputs_of(const Graph& graph, const Dim::Bindings& bindings, std::uint32_t range) {
  Inputs inputs;
  std::uint32_t number = 0;
  for (ValueId id : graph.inputs()) {
    const Value& value = graph.value(id);
    Tensor::Sizes sizes;
    for (const Dim& dim : value.type.shape) {
      std::optional<std::int64_t> size = dim.evaluate(bindings);
      if (!size || *size < 0) throw Error("no size");
      sizes.push_back(*size);
    }
    inputs.emplace(value.name,
                   self_test_input(value.type.dtype, std::move(sizes), number++, range));
  }
  return inputs;
}

// The graph's outputs as a SelfTest has them: those that are the program's, then the updates.
std::vector<std::size_t> order_of_results(const Graph& graph, const Program& program) {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < graph.outputs().size(); ++i)
    if (!graph.outputs()[i].updates.valid()) order.push_back(i);
  for (const StateEntry& entry : program.state)
    if (entry.updated) order.push_back(entry.output);
  return order;
}

}  // namespace

SelfTest record_self_test(const Graph& graph, const Weights& weights, const Program& program,
                          std::span<const Target> variants) {
  const std::vector<std::string>& symbols = program.symbols;
  const std::vector<std::size_t> order = order_of_results(graph, program);
  std::string fault;
  for (std::uint32_t range : kRanges) {
    for (std::int64_t size : kSizes) {
      if (symbols.empty() && size != kSizes[0]) break;
      try {
        SelfTest test;
        test.range = range;
        Dim::Bindings bindings;
        // Symbols of their own sizes, so that none can stand for another.
        for (std::size_t i = 0; i < symbols.size(); ++i) {
          test.dims.push_back(size + static_cast<std::int64_t>(i));
          bindings.emplace(symbols[i], test.dims.back());
        }
        Inputs inputs = inputs_of(graph, bindings, range);
        std::map<bool, std::vector<SelfTestDigest>> known;
        for (const Target& variant : variants) {
          auto [found, inserted] = known.try_emplace(variant.fma);
          if (inserted) {
            InterpretOptions options{{scalar::Numerics::Mode::expanded, variant.fma}};
            std::vector<Tensor> outputs = interpret(graph, weights, inputs, options);
            for (std::size_t output : order)
              found->second.push_back(self_test_digest(outputs[output]));
          }
          test.digests.push_back(found->second);
        }
        return test;
      } catch (const Error& error) {
        fault = error.what();
      }
    }
  }
  throw Error(fmt::format("no self test can be made of {}: {}", graph.name(), fault));
}

}  // namespace weir
