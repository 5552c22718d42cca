// Epochs through a data set, batch by batch, in an order that the seed and the number of the epoch
// fix.
//
// Where a fit is, is a value: with the state of the trainer it is all that a checkpoint needs, and
// a fit that goes on from there gives the same bits as one that was never left.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "compiler/trainer.h"
#include "compiler/training/data_set.h"
#include "compiler/training/rate_schedule.h"
#include "ir/tensor.h"

namespace weir {

struct FitOptions {
  std::int64_t epochs = 10;
  std::int64_t batch = 32;  // rows of a step; the last one of an epoch may have fewer
  RateSchedule rate;
  std::uint64_t seed = 0;
  // The loss of a batch is a sum over its rows, and not a mean: it is only told as a mean.
  bool sums_rows = false;
  const weir_executor* executor = nullptr;
};

// Whether the output of that name is the result of a loss with the reduction "sum".
bool sums_rows(const Graph& graph, std::string_view loss);

// How good a model is on some rows.
struct Quality {
  double loss = 0;  // the mean over the rows
  // Where targets are labels, or probabilities of classes that a loss for such compares them with:
  // the part of the rows whose largest output is that of the target.
  std::optional<double> accuracy;
};

struct EpochReport {
  std::int64_t epoch = 0;  // from 1 on
  std::int64_t step = 0;   // steps so far
  std::int64_t rows = 0;   // that were trained on
  double rate = 0;         // of the last step
  double seconds = 0;      // validation included
  Quality training;        // of each row before its step
  std::optional<Quality> validation;
};

struct FitState {
  std::int64_t epochs = 0;  // that are done
  // Of the next one: the rows that are done - all of them, if it has still to be closed - and over
  // these the sum of the losses, how many were right, if that can be told, and the time taken.
  std::int64_t rows = 0;
  double loss = 0;
  std::optional<std::int64_t> right = 0;
  double seconds = 0;
  std::int64_t steps = 0;  // of all epochs
  std::vector<EpochReport> reports;
  // With validation: the params of the epoch that did best there, and that epoch. Where targets are
  // labels it is that of the highest accuracy, of several the one with the least loss; else that
  // with the least loss.
  std::int64_t best_epoch = 0;  // 0: none yet
  Weights best = {};
};

// The model as it is, over all rows of a set.
Quality validate(const Trainer& trainer, const DataSet& set, std::int64_t batch,
                 const weir_executor* executor = nullptr, bool sums_rows = false);

class Fit {
 public:
  // Of a trainer whose model takes data and targets, in this order, and gives what is compared with
  // the targets as its first output and as the first of Trainer::results(). All of them must
  // outlive the fit. Error if there are fewer rows than in a batch, if the sets do not fit
  // (check_data), or if the model cannot be run on those for validation, which is tried.
  Fit(Trainer& trainer, const DataSet& training, const DataSet* validation,
      const FitOptions& options);

  bool done() const { return state_.epochs >= options_.epochs; }
  // Trains one batch; behind the last one of an epoch closes that: validates, and adds a report to
  // the state. Where an epoch has still to be closed, it does only this. Error, with the first node
  // at fault, if Trainer::finite() is false; everything is then as before the step. After an error
  // in validation the batch is trained, and the epoch has still to be closed. Either is a place to
  // resume from.
  void step();
  std::int64_t steps_of_epoch() const;

  const FitState& state() const { return state_; }
  // Goes on from there. The trainer's state is the caller's to write. Error if it is a place in a
  // training of other rows, batches or params.
  void resume(FitState state);
  // The best params by validation; without validation, or where none was, those of now.
  Model best_model() const;

 private:
  void end_epoch();

  Trainer& trainer_;
  const DataSet& training_;
  const DataSet* validation_;
  FitOptions options_;
  Batch batch_;
  std::vector<std::int64_t> order_;
  FitState state_;
};

}  // namespace weir
