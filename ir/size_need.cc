// Sizes that a use of an op needs and that only a call tells.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "ir/op.h"

namespace weir {

std::optional<std::string> SizeNeed::message(const Dim::Bindings& bindings) const {
  const std::optional<std::int64_t> value = size.evaluate(bindings);
  if (value && *value >= 0) return std::nullopt;
  std::vector<std::string> symbols, sizes;
  size.collect_symbols(symbols);
  for (const std::string& symbol : symbols) {
    auto found = bindings.find(symbol);
    WEIR_CHECK(found != bindings.end(), symbol);
    sizes.push_back(fmt::format("{} = {}", symbol, found->second));
  }
  const std::string dimension = fmt::format("the dimension {}", size.to_string());
  std::string wrong = !value          ? dimension + " does not fit in 64 bits"
                      : fault.empty() ? fmt::format("{} is {}", dimension, *value)
                                      : fault;
  return fmt::format("{} for {}", wrong, fmt::join(sizes, ", "));
}

std::vector<SizeNeed> size_needs(const OpInstance& instance, std::span<const TensorType> results) {
  std::vector<SizeNeed> needs;
  for (const TensorType& result : results)
    for (const Dim& dim : result.shape) needs.push_back({dim});
  if (instance.op->size_needs) {
    std::vector<SizeNeed> own = instance.op->size_needs(instance);
    needs.insert(needs.end(), own.begin(), own.end());
  }
  std::erase_if(needs, [](const SizeNeed& need) { return never_negative(need.size); });
  return needs;
}

}  // namespace weir
