// What `weir train` shows while it runs: a line for every epoch, and on a terminal a bar below them
// with loss, accuracy, speed and the time that is left.
#pragma once

#include <chrono>
#include <cstdint>

#include "compiler/training/fit.h"

namespace weir::tool {

class TrainingProgress {
 public:
  // The rows of an epoch, the epochs of the whole training, and what other processes have done of
  // it and shown.
  TrainingProgress(std::int64_t rows, std::int64_t epochs, const FitState& before);

  // After every step: the bar, now and then; the line of the epoch that the step has ended.
  void show(const Fit& fit);
  // Takes the bar away.
  void clear();

 private:
  using Clock = std::chrono::steady_clock;

  void draw_bar(const Fit& fit);

  std::int64_t rows_, epochs_;
  bool on_terminal_;
  bool drawn_ = false;
  std::size_t reports_;     // shown
  std::int64_t first_row_;  // of this process, and
  std::int64_t rows_done_;  // those of all
  Clock::time_point start_ = Clock::now(), latest_bar_;
};

// "0.3141 (92.6%)", the accuracy where there is one.
std::string text_of(const Quality& quality);
std::string text_of_loss(double loss);

}  // namespace weir::tool
