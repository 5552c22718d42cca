#include "compiler/training/data_set.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <numeric>
#include <random>
#include <type_traits>

#include <fmt/format.h>

#include "compiler/training/target_fault.h"
#include "ir/bind_symbols.h"

namespace weir {
namespace {

// The epoch whose order is that of the split: none that is trained.
constexpr std::int64_t kSplit = -1;

Tensor view_of_rows(const Tensor& all, std::int64_t begin, std::int64_t end) {
  Tensor::Sizes sizes = all.sizes();
  std::size_t row_bytes =
      all.byte_count() / static_cast<std::size_t>(std::max<std::int64_t>(1, sizes[0]));
  sizes[0] = end - begin;
  const char* data =
      static_cast<const char*>(all.data()) + row_bytes * static_cast<std::size_t>(begin);
  return Tensor::shared(all.dtype(), std::move(sizes), std::make_shared<const Tensor>(all), data);
}

Tensor of_rows(const Tensor& all, std::int64_t rows) {
  Tensor::Sizes sizes = all.sizes();
  sizes[0] = rows;
  return {all.dtype(), std::move(sizes)};
}

void copy_rows(const Tensor& all, std::span<const std::int64_t> rows, Tensor& memory) {
  std::size_t row_bytes = all.byte_count() / static_cast<std::size_t>(all.sizes()[0]);
  auto* to = static_cast<char*>(memory.mutable_data());
  const auto* from = static_cast<const char*>(all.data());
  for (std::int64_t row : rows) {
    std::memcpy(to, from + row_bytes * static_cast<std::size_t>(row), row_bytes);
    to += row_bytes;
  }
}

DataSet copy_of_rows(const DataSet& set, std::span<const std::int64_t> rows) {
  auto count = static_cast<std::int64_t>(rows.size());
  DataSet result{of_rows(set.data, count), of_rows(set.targets, count)};
  copy_rows(set.data, rows, result.data);
  copy_rows(set.targets, rows, result.targets);
  return result;
}

// The row of an element, for messages.
std::int64_t row_of(const Tensor& tensor, std::int64_t element) {
  return element / (tensor.element_count() / tensor.sizes()[0]);
}

Error beyond(const Tensor& from, std::int64_t element, std::string_view what, double value,
             DType type) {
  return Error(fmt::format("row {} of the {} has {}, which is beyond {}", row_of(from, element),
                           what, value, name(type)));
}

template <class From>
void scale_into(const Tensor& from, Tensor& to, std::string_view what, double scale) {
  std::span<const From> source = from.elements<From>();
  std::span<float> target = to.mutable_elements<float>();
  auto scaled = [scale](From x) { return static_cast<double>(x) * scale; };
  std::transform(source.begin(), source.end(), target.begin(),
                 [&](From x) { return static_cast<float>(scaled(x)); });
  if constexpr (std::is_floating_point_v<From>)
    for (std::size_t i = 0; i < source.size(); ++i)
      if (std::isinf(target[i]) && std::isfinite(source[i]))
        throw beyond(from, static_cast<std::int64_t>(i), what, scaled(source[i]), to.dtype());
}

void convert(const Tensor& from, Tensor& to, std::string_view what, double scale) {
  // What large data sets are.
  if (to.dtype() == DType::f32) {
    if (from.dtype() == DType::u8) return scale_into<std::uint8_t>(from, to, what, scale);
    if (from.dtype() == DType::f32) return scale_into<float>(from, to, what, scale);
    if (from.dtype() == DType::f64) return scale_into<double>(from, to, what, scale);
  }
  bool whole = !is_float(to.dtype());
  for (std::int64_t i = 0; i < from.element_count(); ++i) {
    double value = scalar::to_double(from.dtype(), from.bits(i)) * scale;
    if (whole && !(value == std::floor(value) && std::abs(value) < 0x1p53))
      throw Error(fmt::format("row {} of the {} has {}, and a whole number is wanted",
                              row_of(from, i), what, value));
    to.set_bits(i, scalar::bits_of(to.dtype(), value));
    if (!whole && std::isfinite(value) && !std::isfinite(scalar::to_double(to.dtype(), to.bits(i))))
      throw beyond(from, i, what, value, to.dtype());
  }
}

// The sizes of `rows` rows of the input. Nothing if other dimensions than the first are symbols.
std::optional<Tensor::Sizes> sizes_of_rows(const TensorType& input, std::int64_t rows) {
  Tensor::Sizes sizes{rows};
  for (std::size_t i = 1; i < input.shape.size(); ++i) {
    if (!input.shape[i].is_constant()) return std::nullopt;
    sizes.push_back(input.shape[i].value());
  }
  return sizes;
}

}  // namespace

void check_data(const DataSet& set) {
  for (const auto& [name, tensor] : {std::pair("data", &set.data), {"targets", &set.targets}}) {
    if (tensor->rank() == 0 || tensor->sizes()[0] == 0)
      throw Error(fmt::format("the {} are {}, which has no rows", name,
                              to_string(tensor->dtype(), tensor->sizes())));
  }
  if (set.data.sizes()[0] != set.targets.sizes()[0])
    throw Error(fmt::format("there are {} rows of data and {} of targets", set.data.sizes()[0],
                            set.targets.sizes()[0]));
}

void check_labels(const Tensor& targets, std::int64_t classes) {
  if (std::optional<TargetFault> fault = find_label_fault(targets, classes))
    throw Error(fmt::format("row {} of the targets is {}",
                            fault->element / (targets.element_count() / targets.sizes()[0]),
                            fault->message));
}

Tensor as_rows_of(const Tensor& tensor, const TensorType& input, std::string_view what,
                  double scale) {
  if (input.shape.empty() || input.shape[0].is_constant())
    throw Error(
        fmt::format("the {} go to an input {}; its first dimension must be a symbol, such "
                    "as N, that counts rows",
                    what, to_string(input)));
  if (tensor.rank() == 0 || tensor.sizes()[0] == 0)
    throw Error(fmt::format("the {} are {}, which has no rows", what,
                            to_string(tensor.dtype(), tensor.sizes())));
  Tensor::Sizes sizes = sizes_of_rows(input, tensor.sizes()[0]).value_or(tensor.sizes());
  if (checked_element_count(DType::u8, sizes) != tensor.element_count() ||
      sizes.size() != input.shape.size())
    throw Error(fmt::format("the {} are {}; a row of {} does not fit", what,
                            to_string(tensor.dtype(), tensor.sizes()), to_string(input)));
  if (tensor.dtype() == input.dtype && scale == 1)
    return Tensor::shared(input.dtype, std::move(sizes), std::make_shared<const Tensor>(tensor),
                          tensor.data());
  Tensor result(input.dtype, std::move(sizes));
  convert(tensor, result, what, scale);
  return result;
}

std::vector<std::int64_t> shuffled(std::int64_t count, std::uint64_t seed, std::int64_t epoch) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  std::seed_seq sequence{seed, seed >> 32, static_cast<std::uint64_t>(epoch)};
  std::mt19937_64 random(sequence);
  for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random() % i]);
  return order;
}

std::pair<DataSet, DataSet> split(const DataSet& set, double part, std::uint64_t seed) {
  std::int64_t rows = set.rows();
  std::int64_t kept = rows - std::llround(part * static_cast<double>(rows));
  if (kept <= 0 || kept >= rows)
    throw Error(fmt::format(
        "of {} rows a part of {} is {} to validate with and {} to train on, and there has "
        "to be one of each at least",
        rows, part, rows - kept, kept));
  std::vector<std::int64_t> order = shuffled(rows, seed, kSplit);
  auto middle = order.begin() + static_cast<std::ptrdiff_t>(kept);
  std::sort(order.begin(), middle);
  std::sort(middle, order.end());
  return {copy_of_rows(set, {order.begin(), middle}), copy_of_rows(set, {middle, order.end()})};
}

DataSet rows_of(const DataSet& set, std::int64_t begin, std::int64_t end) {
  return {view_of_rows(set.data, begin, end), view_of_rows(set.targets, begin, end)};
}

Dim::Bindings sizes_of_batch(const Graph& graph, const DataSet& set, std::int64_t rows) {
  const DataSet batch = rows_of(set, 0, rows);
  std::vector<GivenTensor> given;
  for (const Tensor* tensor : {&batch.data, &batch.targets}) {
    const Value& input = graph.value(graph.inputs()[given.size()]);
    given.push_back({"input", input.name, &input.type, tensor, input.location});
  }
  return known_symbols(given);
}

Batch::Batch(const DataSet& set, std::int64_t most_rows)
    : set_(set), memory_{of_rows(set.data, most_rows), of_rows(set.targets, most_rows)} {}

std::vector<Tensor> Batch::take(std::span<const std::int64_t> rows) {
  copy_rows(set_.data, rows, memory_.data);
  copy_rows(set_.targets, rows, memory_.targets);
  DataSet taken = rows_of(memory_, 0, static_cast<std::int64_t>(rows.size()));
  return {std::move(taken.data), std::move(taken.targets)};
}

}  // namespace weir
