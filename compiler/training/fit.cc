#include "compiler/training/fit.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>
#include <numeric>
#include <random>

#include <fmt/format.h>

namespace weir {
namespace {

// Rows `begin` to `end` as a view.
Tensor rows_of(const Tensor& all, std::int64_t begin, std::int64_t end) {
  Tensor::Sizes sizes = all.sizes();
  std::size_t row_bytes =
      all.byte_count() / static_cast<std::size_t>(std::max<std::int64_t>(1, sizes[0]));
  sizes[0] = end - begin;
  const char* data =
      static_cast<const char*>(all.data()) + row_bytes * static_cast<std::size_t>(begin);
  return Tensor::shared(all.dtype(), std::move(sizes), std::make_shared<const Tensor>(all), data);
}

// Memory for the rows of a batch, of which the last may want fewer.
class Batch {
 public:
  Batch(const Tensor& all, std::int64_t rows) : all_(all), rows_(room(all, rows)) {}

  Tensor take(std::span<const std::int64_t> numbers) {
    std::size_t row_bytes = all_.byte_count() / static_cast<std::size_t>(all_.sizes()[0]);
    auto* to = static_cast<char*>(rows_.mutable_data());
    const auto* from = static_cast<const char*>(all_.data());
    for (std::int64_t number : numbers) {
      std::memcpy(to, from + row_bytes * static_cast<std::size_t>(number), row_bytes);
      to += row_bytes;
    }
    return rows_of(rows_, 0, static_cast<std::int64_t>(numbers.size()));
  }

 private:
  static Tensor room(const Tensor& all, std::int64_t rows) {
    Tensor::Sizes sizes = all.sizes();
    sizes[0] = rows;
    return {all.dtype(), std::move(sizes)};
  }

  const Tensor& all_;
  Tensor rows_;
};

// Of the rows of `outputs`, those whose largest element the label names.
std::int64_t right_rows(const Tensor& outputs, const Tensor& labels) {
  std::int64_t rows = labels.element_count(), right = 0;
  std::int64_t classes = rows == 0 ? 0 : outputs.element_count() / rows;
  auto at = [](const Tensor& tensor, std::int64_t i) {
    return scalar::to_double(tensor.dtype(), tensor.bits(i));
  };
  for (std::int64_t row = 0; row < rows; ++row) {
    std::int64_t best = 0;
    for (std::int64_t c = 1; c < classes; ++c)
      if (at(outputs, row * classes + c) > at(outputs, row * classes + best)) best = c;
    if (static_cast<double>(best) == at(labels, row)) ++right;
  }
  return right;
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

std::pair<DataSet, DataSet> split(const DataSet& set, std::int64_t row) {
  return {{rows_of(set.data, 0, row), rows_of(set.targets, 0, row)},
          {rows_of(set.data, row, set.rows()), rows_of(set.targets, row, set.rows())}};
}

EpochReport::Validation validate(const Trainer& trainer, const DataSet& set, std::int64_t batch,
                                 const weir_executor* executor) {
  EpochReport::Validation result;
  double total = 0;
  std::int64_t right = 0;
  bool labels = !is_float(set.targets.dtype());
  for (std::int64_t row = 0; row < set.rows(); row += batch) {
    std::int64_t end = std::min(row + batch, set.rows());
    std::vector<Tensor> inputs{rows_of(set.data, row, end), rows_of(set.targets, row, end)};
    std::vector<Tensor> outputs = trainer.evaluate(inputs, executor);
    const Tensor& loss = outputs.back();
    total += static_cast<double>(end - row) * scalar::to_double(loss.dtype(), loss.bits(0));
    if (labels) right += right_rows(outputs.front(), inputs[1]);
  }
  auto rows = static_cast<double>(set.rows());
  result.loss = total / rows;
  if (labels) result.accuracy = static_cast<double>(right) / rows;
  return result;
}

void fit(Trainer& trainer, const DataSet& training, const std::optional<DataSet>& validation,
         const FitOptions& options, const std::function<bool(const EpochReport&)>& report) {
  check_data(training);
  if (validation) check_data(*validation);
  std::int64_t rows = training.rows(), batch = std::min(options.batch, rows);
  Batch data(training.data, batch), targets(training.targets, batch);
  std::vector<std::int64_t> order(static_cast<std::size_t>(rows));
  EpochReport now;
  for (std::int64_t epoch = 0; epoch < options.epochs; ++epoch) {
    auto start = std::chrono::steady_clock::now();
    std::iota(order.begin(), order.end(), std::int64_t{0});
    std::seed_seq seed{options.seed, options.seed >> 32, static_cast<std::uint64_t>(epoch)};
    std::mt19937_64 random(seed);
    for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random() % i]);
    double total = 0;
    for (std::int64_t row = 0; row < rows && !now.not_finite; row += batch) {
      std::int64_t count = std::min(batch, rows - row);
      auto numbers =
          std::span(order).subspan(static_cast<std::size_t>(row), static_cast<std::size_t>(count));
      std::vector<Tensor> inputs{data.take(numbers), targets.take(numbers)};
      now.rate = options.rate.at(now.step);
      total += static_cast<double>(count) * trainer.step(inputs, now.rate, options.executor);
      if (!trainer.finite()) now.not_finite = now.step;
      ++now.step;
    }
    now.epoch = epoch + 1;
    now.loss = total / static_cast<double>(rows);
    if (validation)
      now.validation = validate(trainer, *validation, options.batch, options.executor);
    now.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (!report(now) || now.not_finite) return;
  }
}

}  // namespace weir
