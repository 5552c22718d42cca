#include "compiler/training/fit.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include <fmt/format.h>

#include "compiler/training/first_not_finite.h"
#include "ir/op.h"

namespace weir {
namespace {

double at(const Tensor& tensor, std::int64_t i) {
  return scalar::to_double(tensor.dtype(), tensor.bits(i));
}

std::int64_t largest_of(const Tensor& rows, std::int64_t row, std::int64_t classes) {
  std::int64_t best = 0;
  for (std::int64_t c = 1; c < classes; ++c)
    if (at(rows, row * classes + c) > at(rows, row * classes + best)) best = c;
  return best;
}

// Whether the targets, the second input, are labels, or what a loss that takes labels as well is
// given as its targets: probabilities of classes, and not numbers that are to be met.
bool has_classes(const Graph& graph) {
  if (graph.inputs().size() < 2) return false;
  ValueId target = graph.inputs()[1];
  if (!is_float(graph.type(target).dtype)) return true;
  return std::any_of(graph.nodes().begin(), graph.nodes().end(), [&](const Node& node) {
    return node.op->is_loss && node.operands[1] == target &&
           node.op->operands[1].types != TypeSet::floats;
  });
}

// Of the rows of `outputs`, those whose largest element is that of the target; nothing where
// neither labels nor classes are compared.
std::optional<std::int64_t> right_rows(const Graph& model, const Tensor& outputs,
                                       const Tensor& targets) {
  std::int64_t rows = targets.sizes()[0];
  bool labels = !is_float(targets.dtype());
  if (outputs.rank() != 2 || targets.rank() != (labels ? 1 : 2)) return std::nullopt;
  std::int64_t classes = outputs.sizes()[1], right = 0;
  if (classes < 2 || (!labels && targets.sizes() != outputs.sizes()) || !has_classes(model))
    return std::nullopt;
  for (std::int64_t row = 0; row < rows; ++row) {
    auto largest = static_cast<double>(largest_of(outputs, row, classes));
    double wanted =
        labels ? at(targets, row) : static_cast<double>(largest_of(targets, row, classes));
    if (largest == wanted) ++right;
  }
  return right;
}

std::optional<std::int64_t> sum_of(std::optional<std::int64_t> a, std::optional<std::int64_t> b) {
  return a && b ? std::optional(*a + *b) : std::nullopt;
}

std::optional<double> part_of(std::optional<std::int64_t> right, std::int64_t rows) {
  if (!right) return std::nullopt;
  return static_cast<double>(*right) / static_cast<double>(rows);
}

// By validation; nothing if no epoch is the best one yet.
std::optional<Quality> best_quality(const FitState& state) {
  if (state.best_epoch == 0) return std::nullopt;
  return state.reports[static_cast<std::size_t>(state.best_epoch - 1)].validation;
}

bool is_better(const Quality& quality, const Quality& than, bool labels) {
  if (labels && quality.accuracy != than.accuracy) return quality.accuracy > than.accuracy;
  return quality.loss < than.loss;
}

const DataSet& checked(const DataSet& set, std::int64_t batch) {
  check_data(set);
  if (batch < 1 || batch > set.rows())
    throw Error(
        fmt::format("a batch has {0} row{2}, and there are {1} to train on: it has {1} at most",
                    batch, set.rows(), batch == 1 ? "" : "s"));
  return set;
}

class Clock {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace

bool sums_rows(const Graph& graph, std::string_view loss) {
  for (const Graph::Output& output : graph.outputs()) {
    const Value& value = graph.value(output.value);
    if (output.name != loss || value.kind != Value::Kind::result) continue;
    const Node& node = graph.node(value.producer);
    return node.op->is_loss && node.attributes.text("reduction") == "sum";
  }
  return false;
}

Quality validate(const Trainer& trainer, const DataSet& set, std::int64_t batch,
                 const weir_executor* executor, bool sums_rows) {
  double total = 0;
  std::optional<std::int64_t> right = 0;
  for (std::int64_t row = 0; row < set.rows(); row += batch) {
    std::int64_t end = std::min(row + batch, set.rows());
    DataSet rows = rows_of(set, row, end);
    std::vector<Tensor> outputs = trainer.evaluate(std::vector{rows.data, rows.targets}, executor);
    double loss = at(outputs[trainer.loss_output()], 0);
    total += sums_rows ? loss : static_cast<double>(end - row) * loss;
    right = sum_of(right, right_rows(trainer.model_graph(), outputs.front(), rows.targets));
  }
  return {total / static_cast<double>(set.rows()), part_of(right, set.rows())};
}

Fit::Fit(Trainer& trainer, const DataSet& training, const DataSet* validation,
         const FitOptions& options)
    : trainer_(trainer),
      training_(checked(training, options.batch)),
      validation_(validation),
      options_(options),
      batch_(training, options.batch) {
  if (validation != nullptr) {
    check_data(*validation);
    validate(trainer, *validation, options.batch, options.executor, options.sums_rows);
  }
  resume({});
}

std::int64_t Fit::steps_of_epoch() const {
  return (training_.rows() + options_.batch - 1) / options_.batch;
}

void Fit::resume(FitState state) {
  std::int64_t steps = (state.rows + options_.batch - 1) / options_.batch;  // of the next epoch
  bool within = state.rows <= training_.rows() &&
                (state.rows % options_.batch == 0 || state.rows == training_.rows()) &&
                state.steps == state.epochs * steps_of_epoch() + steps &&
                std::ssize(state.reports) == state.epochs && state.best_epoch <= state.epochs &&
                (state.best_epoch == 0 || best_quality(state));
  Weights params = trainer_.model().weights;
  for (const auto& [name, value] : params) {
    auto best = state.best.find(name);
    within = within && (state.best_epoch == 0 ||
                        (best != state.best.end() && best->second.type() == value.type()));
  }
  if (!within) throw Error("this is no place in a training of these rows, batches and params");
  state_ = std::move(state);
  order_ = shuffled(training_.rows(), options_.seed, state_.epochs);
}

void Fit::step() {
  if (state_.rows == training_.rows()) return end_epoch();
  Clock clock;
  std::int64_t count = std::min(options_.batch, training_.rows() - state_.rows);
  std::vector<Tensor> inputs = batch_.take(std::span(order_).subspan(
      static_cast<std::size_t>(state_.rows), static_cast<std::size_t>(count)));
  double rate = options_.rate.at(state_.steps);
  double loss = trainer_.step(inputs, rate, options_.executor);
  if (!trainer_.finite()) throw not_finite_error(trainer_, inputs, rate, state_.steps + 1);
  std::optional<std::int64_t> right;
  if (!trainer_.results().empty())
    right = right_rows(trainer_.model_graph(), trainer_.results()[0], inputs[1]);
  state_.rows += count;
  state_.steps += 1;
  state_.loss += options_.sums_rows ? loss : static_cast<double>(count) * loss;
  state_.right = sum_of(state_.right, right);
  state_.seconds += clock.seconds();
  if (state_.rows == training_.rows()) end_epoch();
}

void Fit::end_epoch() {
  Clock clock;
  EpochReport report;
  report.epoch = state_.epochs + 1;
  report.step = state_.steps;
  report.rows = state_.rows;
  report.rate = options_.rate.at(state_.steps - 1);
  report.training.loss = state_.loss / static_cast<double>(state_.rows);
  report.training.accuracy = part_of(state_.right, state_.rows);
  if (validation_ != nullptr) {
    report.validation =
        validate(trainer_, *validation_, options_.batch, options_.executor, options_.sums_rows);
    bool labels = !is_float(validation_->targets.dtype());
    std::optional<Quality> best = best_quality(state_);
    if (!std::isnan(report.validation->loss) &&
        (!best || is_better(*report.validation, *best, labels))) {
      state_.best_epoch = report.epoch;
      state_.best = trainer_.model().weights;
    }
  }
  report.seconds = state_.seconds + clock.seconds();
  state_.reports.push_back(report);
  state_.epochs += 1;
  state_.rows = 0;
  state_.right = 0;
  state_.loss = state_.seconds = 0;
  order_ = shuffled(training_.rows(), options_.seed, state_.epochs);
}

Model Fit::best_model() const {
  Model model = trainer_.model();
  if (state_.best_epoch > 0) model.weights = state_.best;
  return model;
}

}  // namespace weir
