// The steps of `weir train`, with what is shown and written between them.
#pragma once

#include <exception>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "compiler/training/fit.h"
#include "training_checkpoints.h"
#include "training_progress.h"

namespace weir::tool {

// --log: a line of JSON for every epoch, there as soon as the epoch is done.
class MetricsLog {
 public:
  // Begins with the epochs that were done before.
  MetricsLog(std::string path, const std::vector<EpochReport>& reports);

  void show(const std::vector<EpochReport>& reports);

 private:
  std::string lines(const std::vector<EpochReport>& reports);

  std::string path_;
  std::ofstream file_;
  std::size_t written_ = 0;
};

// What goes wrong beside the training: it ends, and what is trained is written before it is told.
class Fault {
 public:
  explicit operator bool() const { return first_ != nullptr; }
  template <class Action>
  void attempt(Action&& action) {
    try {
      action();
    } catch (...) {
      if (!first_) first_ = std::current_exception();
    }
  }
  void tell() const {
    if (first_) std::rethrow_exception(first_);
  }

 private:
  std::exception_ptr first_;
};

// Steps until all is done, until a step fails, until checkpoint, log or standard output cannot be
// written, or until a signal asks for the end, which is returned; else 0.
int run_training(Fit& fit, Checkpoints& checkpoints, TrainingProgress& progress, MetricsLog& log,
                 Fault& fault);

}  // namespace weir::tool
