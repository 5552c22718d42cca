#include "training_progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "common.h"
#include "ir/scalar/constant.h"
#include "terminal.h"

namespace weir::tool {
namespace {

constexpr std::chrono::milliseconds kBetweenBars{100};
constexpr std::size_t kLongestBar = 30;
constexpr double kLongLoss = 1e6;  // from here on with an exponent
constexpr const char* kClearLine = "\r\x1b[K";

// One less than the terminal has, so that no line is broken; it may change its size at any time.
std::size_t line_columns() {
  winsize size{};
  bool known = ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return (known ? size.ws_col : kTerminalColumns) - 1;
}

// Whether standard output is one that a line can be cleared on.
bool draws_bars() {
  const char* terminal = std::getenv("TERM");
  return isatty(STDOUT_FILENO) == 1 &&
         (terminal == nullptr || std::string_view(terminal) != "dumb");
}

// "0:07", "12:30" or "3:02:00".
std::string duration_text(double seconds) {
  auto whole = static_cast<std::int64_t>(std::min(seconds, 1e9) + 0.5);
  std::int64_t hours = whole / 3600, minutes = whole / 60 % 60;
  return hours > 0 ? fmt::format("{}:{:02}:{:02}", hours, minutes, whole % 60)
                   : fmt::format("{}:{:02}", minutes, whole % 60);
}

std::string epoch_line(const EpochReport& report, std::int64_t epochs) {
  std::string text =
      fmt::format("epoch {}/{}  loss {}", report.epoch, epochs, text_of(report.training));
  if (report.validation) text += fmt::format("  validation {}", text_of(*report.validation));
  return text + fmt::format("  {:.0f} rows/s\n", static_cast<double>(report.rows) / report.seconds);
}

}  // namespace

std::string text_of_loss(double loss) {
  if (!std::isfinite(loss)) return scalar::shortest(loss);
  return std::abs(loss) < kLongLoss ? fmt::format("{:.4f}", loss) : fmt::format("{:.4e}", loss);
}

std::string text_of(const Quality& quality) {
  std::string text = text_of_loss(quality.loss);
  if (quality.accuracy) text += fmt::format(" ({:.1f}%)", 100 * *quality.accuracy);
  return text;
}

TrainingProgress::TrainingProgress(std::int64_t rows, std::int64_t epochs, const FitState& before)
    : rows_(rows),
      epochs_(epochs),
      on_terminal_(draws_bars()),
      reports_(before.reports.size()),
      first_row_(before.epochs * rows + before.rows),
      rows_done_(first_row_) {}

void TrainingProgress::show(const Fit& fit) {
  const FitState& state = fit.state();
  rows_done_ = state.epochs * rows_ + state.rows;
  bool told = reports_ < state.reports.size();
  if (told) clear();
  for (; reports_ < state.reports.size(); ++reports_)
    print_out(epoch_line(state.reports[reports_], epochs_));
  if (on_terminal_ && !fit.done() && Clock::now() - latest_bar_ >= kBetweenBars) draw_bar(fit);
  if (told) flush_out();
}

void TrainingProgress::draw_bar(const Fit& fit) {
  latest_bar_ = Clock::now();
  const FitState& state = fit.state();
  double seconds = std::chrono::duration<double>(latest_bar_ - start_).count();
  double speed = static_cast<double>(rows_done_ - first_row_) / std::max(seconds, 1e-9);
  std::string left = fmt::format("epoch {}/{} ", state.epochs + 1, epochs_);
  std::string right;
  if (state.rows > 0) {
    Quality quality{state.loss / static_cast<double>(state.rows), std::nullopt};
    if (state.right)
      quality.accuracy = static_cast<double>(*state.right) / static_cast<double>(state.rows);
    right += fmt::format(" loss {}", text_of(quality));
  }
  right += fmt::format("  {:.0f} rows/s  {} left", speed,
                       duration_text(static_cast<double>(epochs_ * rows_ - rows_done_) / speed));
  std::string bar;
  const std::size_t columns = line_columns();
  if (left.size() + right.size() + 4 < columns) {
    std::size_t width = std::min(kLongestBar, columns - left.size() - right.size() - 2);
    auto full = static_cast<std::size_t>(
        static_cast<double>(width) * static_cast<double>(state.rows) / static_cast<double>(rows_));
    bar = "[" + std::string(full, '#') + std::string(width - full, '.') + "]";
  }
  print_out(fmt::format("{}{}", kClearLine, (left + bar + right).substr(0, columns)));
  flush_out();
  drawn_ = true;
}

void TrainingProgress::clear() {
  if (std::exchange(drawn_, false)) print_out(kClearLine);
}

}  // namespace weir::tool
