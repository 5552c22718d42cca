#include "compiler/weight_block.h"

#include <cstring>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "ir/diagnostic.h"

namespace weir {
namespace {

// Lays out a tensor as WeightEntry says.
void put_in_order(char* to, const Tensor& tensor, const WeightEntry& entry) {
  const auto size = static_cast<std::size_t>(byte_size(tensor.type().dtype));
  std::vector<std::int64_t> sizes = tensor.sizes();
  std::vector<std::int64_t> strides(sizes.size(), 1);
  for (std::size_t i = sizes.size(); i-- > 1;) strides[i - 1] = strides[i] * sizes[i];
  std::vector<std::uint32_t> order = entry.order;
  if (entry.panel != 0) {
    std::uint32_t cut = order.back();
    order.insert(order.begin(), static_cast<std::uint32_t>(sizes.size()));
    sizes.push_back(sizes[cut] / entry.panel);
    strides.push_back(strides[cut] * entry.panel);
    sizes[cut] = entry.panel;
  }
  std::vector<std::int64_t> at(sizes.size());
  const char* from = static_cast<const char*>(tensor.data());
  std::int64_t offset = 0;
  for (std::int64_t left = tensor.element_count(); left > 0; --left, to += size) {
    std::memcpy(to, from + static_cast<std::size_t>(offset) * size, size);
    for (std::size_t i = order.size(); i-- > 0;) {
      std::uint32_t dimension = order[i];
      offset += strides[dimension];
      if (++at[dimension] < sizes[dimension]) break;
      offset -= strides[dimension] * sizes[dimension];
      at[dimension] = 0;
    }
  }
}

}  // namespace

void check_weights(std::span<const WeightEntry> entries, const Weights& weights) {
  std::string missing;
  for (const WeightEntry& entry : entries) {
    if (entry.value || !entry.order.empty()) continue;
    auto found = weights.find(entry.param);
    if (found == weights.end()) {
      missing += fmt::format("{}%{} ({})", missing.empty() ? "" : ", ", entry.param,
                             to_string(entry.type));
    } else if (!(found->second.type() == entry.type)) {
      throw Error(fmt::format("param %{} must be {}, and {} is given", entry.param,
                              to_string(entry.type),
                              to_string(found->second.dtype(), found->second.sizes())));
    }
  }
  if (!missing.empty()) throw Error("these params have no value: " + missing);
}

void fill_weight_block(std::span<const WeightEntry> entries, const Weights& weights,
                       std::span<char> block) {
  for (const WeightEntry& entry : entries) {
    if (!entry.offset) continue;
    const Tensor& value = entry.value ? *entry.value : weights.find(entry.param)->second;
    WEIR_CHECK(*entry.offset + value.byte_count() <= block.size(), entry.param);
    char* to = block.data() + *entry.offset;
    if (!entry.order.empty())
      put_in_order(to, value, entry);
    else if (value.byte_count() > 0)
      std::memcpy(to, value.data(), value.byte_count());
  }
}

}  // namespace weir
