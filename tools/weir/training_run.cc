#include "training_run.h"

#include <cerrno>
#include <cmath>
#include <system_error>

#include <fmt/format.h>

#include "common.h"
#include "compiler/frontend/file.h"
#include "compiler/training/metrics.h"
#include "interruption.h"
#include "ir/escape.h"

namespace weir::tool {
namespace {

// Once, behind the first step whose loss is no number.
class LossWarning {
 public:
  void show(const FitState& state, TrainingProgress& progress) {
    double loss =
        state.rows > 0 || state.reports.empty() ? state.loss : state.reports.back().training.loss;
    if (is_told_ || std::isfinite(loss)) return;
    is_told_ = true;
    progress.clear();
    warn(
        fmt::format("the loss of step {} is {}; with --check-finite the training ends at the "
                    "first step that gives such a number, and says at which node",
                    state.steps, text_of_loss(loss)));
  }

 private:
  bool is_told_ = false;
};

}  // namespace

MetricsLog::MetricsLog(std::string path, const std::vector<EpochReport>& reports)
    : path_(std::move(path)) {
  if (path_.empty()) return;
  write_file(path_, {lines(reports)});
  file_.open(path_, std::ios::app);
}

void MetricsLog::show(const std::vector<EpochReport>& reports) {
  if (path_.empty() || written_ == reports.size()) return;
  file_ << lines(reports) << std::flush;
  if (!file_)
    throw Error(fmt::format("{} cannot be written: {}", printable(path_),
                            std::generic_category().message(errno)));
}

std::string MetricsLog::lines(const std::vector<EpochReport>& reports) {
  std::string text;
  for (; written_ < reports.size(); ++written_) text += json_line(reports[written_]);
  return text;
}

int run_training(Fit& fit, Checkpoints& checkpoints, TrainingProgress& progress, MetricsLog& log,
                 Fault& fault) try {
  finish_when_interrupted();
  LossWarning loss_warning;
  int signal = 0;
  while (!fault && !fit.done() && (signal = waiting_interruption()) == 0) {
    // After a fault all is as before the step, or its epoch has still to be closed.
    fault.attempt([&] { fit.step(); });
    if (fault) break;
    fault.attempt([&] {
      if (checkpoints.is_due()) checkpoints.write();
      progress.show(fit);
      log.show(fit.state().reports);
      loss_warning.show(fit.state(), progress);
    });
  }
  fault.attempt([&] { progress.clear(); });
  fault.attempt([&] { checkpoints.write(); });
  return signal;
} catch (...) {
  progress.clear();
  throw;
}

}  // namespace weir::tool
