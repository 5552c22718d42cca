// Checkpoints: a training on disk, from which it goes on as if nothing had happened.
//
// The folder holds one file, checkpoint.safetensors: the state of the trainer (params, what the
// optimizer remembers, its counter), where the fit is (fit.h), the best params so far, and the
// settings that the training was started with. The order of an epoch and the rate of a step follow
// from seed, epoch, step and settings, so these are held as well. A checkpoint takes its name when
// it has reached the disk: whoever kills the process at any moment, or a full disk, leaves the last
// one whole. A checksum of all of it tells one that the disk has damaged. One process at a time uses
// a folder.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "compiler/training/fit.h"
#include "ir/builder.h"

namespace weir {

struct Checkpoint {
  // What must be the same where it goes on: the option or part, and its value.
  using Settings = std::map<std::string, std::string>;

  Settings settings;
  Weights state;  // Trainer::read_state()
  FitState fit;
};

// The file in a folder for checkpoints.
std::string checkpoint_in(const std::string& folder);

class CheckpointFolder {
 public:
  // Makes the folder if it is missing, and removes what a process that was killed has left half
  // written. Error if another process uses it, or if nothing can be written there.
  explicit CheckpointFolder(std::string folder);
  ~CheckpointFolder();
  CheckpointFolder(const CheckpointFolder&) = delete;
  CheckpointFolder& operator=(const CheckpointFolder&) = delete;

  std::string file() const { return checkpoint_in(folder_); }
  bool holds_one() const;
  // Error if the file cannot be written; the one before is then untouched.
  void write(const Checkpoint& checkpoint) const;
  // Error if the file is not a checkpoint, or not what was written; one without a checksum is
  // believed.
  Checkpoint read() const;

 private:
  std::string folder_;
  int lock_ = -1;
};

// Error that names the first setting that has another value now.
void check_settings(const Checkpoint::Settings& saved, const Checkpoint::Settings& now,
                    const std::string& file);
// A hash of all bytes and sizes, to tell data sets, or texts, apart.
std::string fingerprint(const DataSet& set);
std::string fingerprint(std::string_view text);

}  // namespace weir
