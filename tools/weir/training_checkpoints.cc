#include "training_checkpoints.h"

#include <filesystem>
#include <system_error>

#include <fmt/format.h>

#include "ir/escape.h"

namespace weir::tool {
namespace {

// Where epochs are short.
constexpr std::chrono::seconds kBetweenCheckpoints{1};

}  // namespace

void add_checkpoints(CLI::App& command, CheckpointArguments& arguments) {
  add_value(command, "--checkpoint", arguments.folder, "DIR",
            "Keeps where the training is in a folder, whole at every moment: what is killed there "
            "goes on from it.");
  add_value(command, "--checkpoint-every", arguments.every, "STEPS",
            "How often; if left out, at the end of an epoch, but not more than once a second.");
  command.add_flag("--resume", arguments.resume,
                   "Goes on from the checkpoint in the folder, with the bits that it would have "
                   "had. What they depend on must be the same; --threads, --memory-budget and "
                   "what is written may be other than before, and --epochs may grow where "
                   "--schedule does not depend on it.");
}

bool goes_on(const CheckpointArguments& arguments) {
  std::error_code ignored;
  return arguments.resume && !arguments.folder.empty() &&
         std::filesystem::exists(checkpoint_in(arguments.folder), ignored);
}

Checkpoints::Checkpoints(const CheckpointArguments& arguments, Trainer& trainer, Fit& fit)
    : trainer_(trainer), fit_(fit), resumes_(arguments.resume) {
  if (arguments.folder.empty()) {
    if (arguments.resume) throw Error("--resume needs --checkpoint DIR");
    if (!arguments.every.empty()) throw Error("--checkpoint-every needs --checkpoint DIR");
    return;
  }
  every_ = count_of(arguments.every, "--checkpoint-every", 0);
  folder_.emplace(arguments.folder);
  if (folder_->holds_one() && !arguments.resume)
    throw Error(
        fmt::format("{} holds a checkpoint: --resume goes on from there; to start anew, "
                    "give another folder, or remove the file",
                    printable(arguments.folder)));
}

void Checkpoints::start(Checkpoint::Settings settings, std::int64_t epochs) {
  settings_ = std::move(settings);
  if (!resumes_) return;
  if (!folder_->holds_one())
    return warn(fmt::format("{} holds no checkpoint; this is a new start", folder_->file()));
  Checkpoint checkpoint = folder_->read();
  check_settings(checkpoint.settings, settings_, folder_->file());
  if (checkpoint.fit.epochs > epochs)
    throw Error(fmt::format("{} is behind epoch {}, and --epochs is {}; it may only grow",
                            printable(folder_->file()), checkpoint.fit.epochs, epochs));
  trainer_.write_state(checkpoint.state);
  fit_.resume(std::move(checkpoint.fit));
  written_ = place();
  print_out(fmt::format("resumed after step {}, in epoch {}\n", fit_.state().steps,
                        fit_.state().epochs + (fit_.done() ? 0 : 1)));
  flush_out();
}

bool Checkpoints::is_due() const {
  if (!folder_) return false;
  const FitState& state = fit_.state();
  if (every_ > 0) return state.steps % every_ == 0;
  return state.rows == 0 && Clock::now() - latest_ >= kBetweenCheckpoints;
}

void Checkpoints::write() {
  if (!folder_ || place() == written_) return;
  folder_->write({settings_, trainer_.read_state(), fit_.state()});
  written_ = place();
  latest_ = Clock::now();
}

std::string Checkpoints::line_without_output() const {
  if (!folder_ || place() != written_)
    return "what is trained is lost; with --checkpoint DIR it would be kept there";
  return fmt::format(
      "what is trained is kept in {}; the same command with --resume writes it, also to another "
      "--output",
      folder_->file());
}

}  // namespace weir::tool
