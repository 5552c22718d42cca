#include "compiler/training/metrics.h"

#include <nlohmann/json.hpp>

namespace weir {

std::string json_line(const EpochReport& report) {
  nlohmann::ordered_json line;
  line["epoch"] = report.epoch;
  line["step"] = report.step;
  line["rate"] = report.rate;
  line["loss"] = report.training.loss;
  if (report.training.accuracy) line["accuracy"] = *report.training.accuracy;
  if (report.validation) {
    line["validation_loss"] = report.validation->loss;
    if (report.validation->accuracy) line["validation_accuracy"] = *report.validation->accuracy;
  }
  line["seconds"] = report.seconds;
  line["rows_per_second"] = static_cast<double>(report.rows) / report.seconds;
  return line.dump() + "\n";
}

}  // namespace weir
