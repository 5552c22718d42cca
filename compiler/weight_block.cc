#include "compiler/weight_block.h"

#include <cstring>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "ir/diagnostic.h"

namespace weir {
namespace {

// The elements of a tensor, as positions in row-major order, in another order of dimensions, the last
// of which is in panels if `panel` is not 0.
template <class Visit>
void visit_in_order(const Tensor& tensor, std::span<const std::uint32_t> order_of_dimensions,
                    std::int64_t panel, Visit&& visit) {
  std::vector<std::int64_t> sizes = tensor.sizes();
  std::vector<std::int64_t> strides(sizes.size(), 1);
  for (std::size_t i = sizes.size(); i-- > 1;) strides[i - 1] = strides[i] * sizes[i];
  std::vector<std::uint32_t> order(order_of_dimensions.begin(), order_of_dimensions.end());
  if (panel != 0) {
    std::uint32_t cut = order.back();
    order.insert(order.begin(), static_cast<std::uint32_t>(sizes.size()));
    sizes.push_back(sizes[cut] / panel);
    strides.push_back(strides[cut] * panel);
    sizes[cut] = panel;
  }
  std::vector<std::int64_t> at(sizes.size());
  std::int64_t offset = 0;
  for (std::int64_t left = tensor.element_count(); left > 0; --left) {
    visit(static_cast<std::size_t>(offset));
    for (std::size_t i = order.size(); i-- > 0;) {
      std::uint32_t dimension = order[i];
      offset += strides[dimension];
      if (++at[dimension] < sizes[dimension]) break;
      offset -= strides[dimension] * sizes[dimension];
      at[dimension] = 0;
    }
  }
}

std::size_t element_size(const Tensor& tensor) {
  return static_cast<std::size_t>(byte_size(tensor.dtype()));
}

}  // namespace

void put_in_order(char* to, const Tensor& tensor, std::span<const std::uint32_t> order,
                  std::int64_t panel) {
  const std::size_t size = element_size(tensor);
  const char* from = static_cast<const char*>(tensor.data());
  if (order.empty()) {
    if (tensor.byte_count() > 0) std::memcpy(to, from, tensor.byte_count());
    return;
  }
  visit_in_order(tensor, order, panel, [&](std::size_t position) {
    std::memcpy(to, from + position * size, size);
    to += size;
  });
}

void take_in_order(Tensor& tensor, const char* from, std::span<const std::uint32_t> order,
                   std::int64_t panel) {
  char* to = static_cast<char*>(tensor.mutable_data());
  const std::size_t size = element_size(tensor);
  if (order.empty()) {
    if (tensor.byte_count() > 0) std::memcpy(to, from, tensor.byte_count());
    return;
  }
  visit_in_order(tensor, order, panel, [&](std::size_t position) {
    std::memcpy(to + position * size, from, size);
    from += size;
  });
}

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
    put_in_order(block.data() + *entry.offset, value, entry.order, entry.panel);
  }
}

}  // namespace weir
