// Rounds through a data set, batch by batch, in an order that the seed and the number of the round
// fix.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "compiler/trainer.h"
#include "compiler/training/rate_schedule.h"
#include "ir/tensor.h"

namespace weir {

// What a model is trained on: row i of the targets belongs to row i of the data.
struct DataSet {
  Tensor data, targets;
  std::int64_t rows() const { return data.sizes()[0]; }
};

// Error if there are no rows, or not as many of both.
void check_data(const DataSet& set);
// The rows before `row`, and the others; views of the same memory.
std::pair<DataSet, DataSet> split(const DataSet& set, std::int64_t row);

struct FitOptions {
  std::int64_t epochs = 10;
  std::int64_t batch = 32;  // rows of a batch; the last one of an epoch may have fewer
  RateSchedule rate;
  std::uint64_t seed = 0;
  const weir_executor* executor = nullptr;
};

struct EpochReport {
  std::int64_t epoch = 0;  // from 1 on
  std::int64_t step = 0;   // steps so far
  double rate = 0;         // of the last step
  double loss = 0;         // the mean over the epoch's rows, each before its step
  double seconds = 0;
  struct Validation {
    double loss = 0;
    std::optional<double>
        accuracy;  // where targets are labels: the part of the rows whose largest output they name
  };
  std::optional<Validation> validation;
  std::optional<std::int64_t>
      not_finite;  // the step whose numbers were not finite, with check_finite; it ends the fit
};

// The loss and the accuracy of the model as it is, over all rows.
EpochReport::Validation validate(const Trainer& trainer, const DataSet& set, std::int64_t batch,
                                 const weir_executor* executor = nullptr);

// Trains a model of two inputs, data and targets, whose first output is compared with the targets
// and whose last one is the loss (with_loss). Calls `report` after every epoch; where that returns
// false, or a step is not finite, it ends.
void fit(Trainer& trainer, const DataSet& training, const std::optional<DataSet>& validation,
         const FitOptions& options, const std::function<bool(const EpochReport&)>& report);

}  // namespace weir
