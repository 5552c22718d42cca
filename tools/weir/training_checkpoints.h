// --checkpoint and --resume: what is on disk of a training, and where it goes on.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "common.h"
#include "compiler/trainer.h"
#include "compiler/training/checkpoint.h"
#include "compiler/training/fit.h"

namespace weir::tool {

// As given; empty for what is left out.
struct CheckpointArguments {
  std::string folder, every;
  bool resume = false;
};
void add_checkpoints(CLI::App& command, CheckpointArguments& arguments);

// Whether a checkpoint is gone on from: what the training starts from then.
bool goes_on(const CheckpointArguments& arguments);

class Checkpoints {
 public:
  // Trainer and fit must outlive this. Error if the options do not go together, or if the folder
  // holds what would be lost.
  Checkpoints(const CheckpointArguments& arguments, Trainer& trainer, Fit& fit);

  // Of a training with a folder. Goes on from what that holds, where this is asked for, and says
  // so. Error if it is no checkpoint of a training with these settings, or is behind so many
  // epochs.
  void start(Checkpoint::Settings settings, std::int64_t epochs);

  bool is_due() const;
  // If there is something new.
  void write();

  // Of an output that could not be written: where what it should have held is.
  std::string line_without_output() const;

 private:
  using Clock = std::chrono::steady_clock;
  // Steps and epochs: the last step of an epoch may be done while that has still to be closed.
  using Place = std::pair<std::int64_t, std::int64_t>;

  Place place() const { return {fit_.state().steps, fit_.state().epochs}; }

  Trainer& trainer_;
  Fit& fit_;
  std::optional<CheckpointFolder> folder_;
  Checkpoint::Settings settings_;
  std::int64_t every_ = 0;  // steps; 0: at the end of an epoch
  std::optional<Place> written_;
  Clock::time_point latest_ = Clock::now();
  bool resumes_ = false;
};

}  // namespace weir::tool
