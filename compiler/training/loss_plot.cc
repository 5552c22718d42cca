// Both axes are linear. Their numbers are multiples of 1, 2 or 5 times a power of ten, at most
// seven of them; the axis of the loss begins at 0 and ends at the number above the largest loss.
#include "compiler/training/loss_plot.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include <fmt/format.h>

namespace weir {
namespace {

constexpr double kWidth = 720, kHeight = 420;
constexpr double kLeft = 70, kRight = 700, kTop = 50, kBottom = 365;
constexpr int kMostNumbers = 6;  // beside the first
constexpr const char* kTrainingColor = "#1f6fb2";
constexpr const char* kValidationColor = "#c8501e";

// The distance between numbers of an axis that goes `length` far.
double step_for(double length) {
  double power = std::pow(10, std::floor(std::log10(length / kMostNumbers)));
  for (double factor : {1.0, 2.0, 5.0})
    if (length <= factor * power * kMostNumbers * (1 + 1e-9)) return factor * power;
  return 10 * power;
}

// An axis from `first` to `last`, which lie at two places of the picture.
struct Axis {
  double first, last, begin, end;
  double at(double value) const { return begin + (value - first) / (last - first) * (end - begin); }
};

std::string text_at(double x, double y, std::string_view attributes, std::string_view text) {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" {}>{}</text>\n", x, y, attributes, text);
}

class Plot {
 public:
  explicit Plot(std::span<const EpochReport> reports) : reports_(reports) {
    for (const EpochReport& report : reports) {
      training_.push_back(report.training.loss);
      if (report.validation) validation_.push_back(report.validation->loss);
    }
    double largest = 0;
    for (const std::vector<double>* losses : {&training_, &validation_})
      for (double loss : *losses)
        if (std::isfinite(loss)) largest = std::max(largest, loss);
    loss_step_ = step_for(largest > 0 ? largest : 1);
    auto count = static_cast<double>(reports.size());
    epochs_ = {1, std::max(2.0, count), kLeft, kRight};
    losses_ = {0, loss_step_ * std::max(1.0, std::ceil(largest / loss_step_ - 1e-9)), kBottom,
               kTop};
  }

  std::string svg() {
    text_ = fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" "
        "height=\"{1}\" font-family=\"sans-serif\" font-size=\"13\" fill=\"#333\">\n"
        "<title>Loss by epoch</title>\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
        kWidth, kHeight);
    add_axis_of_losses();
    add_axis_of_epochs();
    add_line(training_, kTrainingColor);
    add_line(validation_, kValidationColor);
    add_legend(kLeft, kTrainingColor, "training");
    if (!validation_.empty()) add_legend(kLeft + 110, kValidationColor, "validation");
    return text_ + "</svg>\n";
  }

 private:
  void add_axis_of_losses() {
    for (int i = 0; i * loss_step_ <= losses_.last * (1 + 1e-9); ++i) {
      double y = losses_.at(i * loss_step_);
      text_ += fmt::format("<path d=\"M{:.1f} {:.1f}H{:.1f}\" stroke=\"{}\" fill=\"none\"/>\n",
                           kLeft, y, kRight, i == 0 ? "#333" : "#ddd");
      text_ +=
          text_at(kLeft - 8, y + 4, "text-anchor=\"end\"", fmt::format("{:g}", i * loss_step_));
    }
    double middle = (kTop + kBottom) / 2;
    text_ += text_at(
        18, middle,
        fmt::format("text-anchor=\"middle\" transform=\"rotate(-90 18 {:.1f})\"", middle), "loss");
  }

  void add_axis_of_epochs() {
    double step = std::max(1.0, step_for(epochs_.last));
    for (double epoch = 1; epoch <= static_cast<double>(reports_.size());
         epoch = epoch == 1 && step > 1 ? step : epoch + step)
      text_ += text_at(epochs_.at(epoch), kBottom + 20, "text-anchor=\"middle\"",
                       fmt::format("{:g}", epoch));
    text_ += text_at((kLeft + kRight) / 2, kBottom + 42, "text-anchor=\"middle\"", "epoch");
  }

  // A line through what is finite, and a dot where it has no neighbour.
  void add_line(const std::vector<double>& losses, const char* color) {
    auto is_finite = [&](std::size_t i) { return i < losses.size() && std::isfinite(losses[i]); };
    std::string path;
    for (std::size_t i = 0; i < losses.size(); ++i) {
      if (!is_finite(i)) continue;
      double x = epochs_.at(static_cast<double>(i + 1)), y = losses_.at(losses[i]);
      bool goes_on = i > 0 && is_finite(i - 1);
      path += fmt::format("{}{:.1f} {:.1f}", goes_on ? "L" : "M", x, y);
      if (!goes_on && !is_finite(i + 1))
        text_ +=
            fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\" fill=\"{}\"/>\n", x, y, color);
    }
    if (!path.empty())
      text_ += fmt::format("<path d=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\"/>\n",
                           path, color);
  }

  void add_legend(double x, const char* color, std::string_view name) {
    text_ +=
        fmt::format("<path d=\"M{:.1f} 26h24\" stroke=\"{}\" stroke-width=\"2\"/>\n", x, color);
    text_ += text_at(x + 30, 30, "", name);
  }

  std::span<const EpochReport> reports_;
  std::vector<double> training_, validation_;
  double loss_step_ = 1;
  Axis epochs_{}, losses_{};
  std::string text_;
};

}  // namespace

std::string loss_plot(std::span<const EpochReport> reports) { return Plot(reports).svg(); }

}  // namespace weir
