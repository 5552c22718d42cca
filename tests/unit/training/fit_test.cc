// Epochs through a data set.
#include "compiler/training/fit.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compiler/initialize.h"
#include "tests/support/graphs.h"

namespace weir {
namespace {

using test::error_of;
using testing::HasSubstr;

// t = 2 * x0 - 3 * x1 + 1.
DataSet line(std::int64_t rows) {
  test::Generator generator(9);
  DataSet set{test::random_tensor(DType::f64, {rows, 2}, generator), Tensor(DType::f64, {rows, 1})};
  auto x = set.data.elements<double>();
  for (std::size_t i = 0; i < static_cast<std::size_t>(rows); ++i)
    set.targets.mutable_elements<double>()[i] = 2 * x[2 * i] - 3 * x[2 * i + 1] + 1;
  return set;
}

Trainer line_trainer(const TrainingOptions& options = {}) {
  Model model{with_loss(test::parse(R"(graph @line(%x: f64[N, 2]) -> (f64[N, 1]) {
  param %w: f64[1, 2]
  param %b: f64[1]
  %y = linear(%x, %w, %b)
  return %y
})"),
                        {.op = "mse"}),
              {}};
  initialize(model, {"he"}, 4);
  return Trainer(std::move(model), {"sgd"}, options);
}

FitOptions options_of(std::int64_t epochs) {
  FitOptions options;
  options.epochs = epochs;
  options.batch = 8;
  options.rate.base = 0.1;
  return options;
}

void run(Fit& fit) {
  while (!fit.done()) fit.step();
}

TEST(Fit, FindsTheLine) {
  Trainer trainer = line_trainer();
  auto [training, validation] = split(line(50), 0.18, 1);
  ASSERT_EQ(training.rows(), 41);
  ASSERT_EQ(validation.rows(), 9);
  Fit fit(trainer, training, &validation, options_of(30));
  run(fit);
  const std::vector<EpochReport>& reports = fit.state().reports;
  ASSERT_EQ(reports.size(), 30U);
  EXPECT_EQ(reports[1].epoch, 2);
  EXPECT_EQ(reports[1].step, 12);  // five whole batches and one row, twice
  EXPECT_LT(reports.back().training.loss, 1e-6);
  EXPECT_LT(reports.back().validation->loss, 1e-6);
  EXPECT_FALSE(reports.back().validation->accuracy.has_value());
  EXPECT_NEAR(trainer.read("w").elements<double>()[1], -3, 1e-3);
  EXPECT_NEAR(trainer.read("b").elements<double>()[0], 1, 1e-3);
}

TEST(Fit, KeepsTheBestByValidation) {
  Trainer trainer = line_trainer();
  auto [training, validation] = split(line(50), 0.2, 1);
  FitOptions options = options_of(6);
  // Rises without bounds from the third epoch on.
  options.rate.shape = RateSchedule::Shape::staircase;
  options.rate.every = 10;
  options.rate.factor = 40;
  Fit fit(trainer, training, &validation, options);
  run(fit);
  std::vector<double> losses;
  for (const EpochReport& report : fit.state().reports) losses.push_back(report.validation->loss);
  auto least = std::min_element(losses.begin(), losses.end());
  ASSERT_EQ(fit.state().best_epoch, least - losses.begin() + 1);
  EXPECT_LT(fit.state().best_epoch, 6);
  Trainer best = line_trainer();
  for (const auto& [name, value] : fit.best_model().weights) best.write(name, value);
  EXPECT_EQ(validate(best, validation, 8).loss, *least);
}

// y = w * x, where w is 1.
Trainer scale_trainer(const LossOptions& loss) {
  Model model{with_loss(test::parse(R"(graph @g(%x: f32[N, 3]) -> (f32[N, 3]) {
  param %w: f32[]
  %y = mul(%x, %w)
  return %y
})"),
                        loss),
              {{"w", Tensor::from({1.F}, {})}}};
  return Trainer(std::move(model), {"sgd"}, {.outputs = {"y"}});
}

// Behind an epoch of some quality comes one that reads all rows right.
TEST(Fit, TakesTheAccuracyOfLabelsBeforeTheLoss) {
  Tensor x = Tensor::from({0.F, 2.F, 1.F, 3.F, 0.F, 0.F}, {2, 3});
  auto best_epoch = [&](std::string op, Tensor targets, double loss, double accuracy) {
    Trainer trainer = scale_trainer({.op = std::move(op)});
    DataSet set{x, std::move(targets)};
    FitOptions options = options_of(2);
    options.batch = 2;
    options.rate.base = 0;
    Fit fit(trainer, set, &set, options);
    FitState state;
    state.epochs = state.steps = state.best_epoch = 1;
    state.reports.resize(1);
    state.reports[0].validation = {loss, accuracy};
    state.best = trainer.model().weights;
    fit.resume(std::move(state));
    run(fit);
    return fit.state().best_epoch;
  };
  Tensor labels = Tensor::from<std::int64_t>({1, 0}, {2});
  EXPECT_EQ(best_epoch("cross_entropy", labels, 0, 0.5), 2);
  EXPECT_EQ(best_epoch("cross_entropy", labels, 9, 1), 2);
  EXPECT_EQ(best_epoch("cross_entropy", labels, 0, 1), 1);
  // The largest of several numbers is no class.
  Tensor numbers = Tensor::from({0.F, 1.F, 0.F, 1.F, 0.F, 0.F}, {2, 3});
  EXPECT_EQ(best_epoch("mse", numbers, 0, 0.5), 1);
  EXPECT_EQ(best_epoch("mse", numbers, 9, 1), 2);
}

TEST(Fit, CountsWhatIsRight) {
  // The logits are the data: rows 0 and 2 are right, by labels and by probabilities.
  Trainer trainer = scale_trainer({.op = "cross_entropy"});
  Tensor x = Tensor::from({0.F, 2.F, 1.F, 3.F, 0.F, 0.F, 0.F, 0.F, 1.F}, {3, 3});
  DataSet labels{x, Tensor::from<std::int64_t>({1, 2, 2}, {3})};
  Quality quality = validate(trainer, labels, 2);
  ASSERT_TRUE(quality.accuracy.has_value());
  EXPECT_DOUBLE_EQ(*quality.accuracy, 2.0 / 3);
  auto row_loss = [&](int row, int label) {
    auto logits = x.elements<float>().subspan(static_cast<std::size_t>(3 * row), 3);
    double sum = 0;
    for (float logit : logits) sum += std::exp(static_cast<double>(logit));
    return std::log(sum) - static_cast<double>(logits[static_cast<std::size_t>(label)]);
  };
  EXPECT_NEAR(quality.loss, (row_loss(0, 1) + row_loss(1, 2) + row_loss(2, 2)) / 3, 1e-6);
  FitOptions options = options_of(1);
  options.batch = 2;
  options.rate.base = 0;
  Fit fit(trainer, labels, nullptr, options);
  run(fit);
  EXPECT_DOUBLE_EQ(*fit.state().reports[0].training.accuracy, 2.0 / 3);
}

TEST(Fit, ValidatesByTheLossWhereverItIsAmongTheOutputs) {
  for (const char* outputs : {"%loss, %y, %sum", "%y, %loss, %sum", "%y, %sum, %loss"}) {
    bool is_first = std::string_view(outputs).starts_with("%loss");
    Graph graph = test::parse(fmt::format(
        R"(graph @g(%x: f64[N, 2], %t: f64[N, 2]) -> ({}) {{
  param %w: f64[]
  %y = mul(%x, %w)
  %loss = mse_loss(%y, %t)
  %sum = reduce_sum(%y)
  return {}
}})",
        is_first ? "f64[], f64[N, 2], f64[]" : "f64[N, 2], f64[], f64[]", outputs));
    Trainer trainer({graph, {{"w", Tensor::from({2.0}, {})}}}, {"sgd"});
    DataSet set{Tensor::from({1.0, 2.0, 3.0, 4.0}, {2, 2}), Tensor(DType::f64, {2, 2})};
    EXPECT_DOUBLE_EQ(validate(trainer, set, 2).loss, (4 + 16 + 36 + 64) / 4.0) << outputs;
  }
}

TEST(Fit, IsFixedByTheSeed) {
  auto weights = [](std::uint64_t seed) {
    Trainer trainer = line_trainer();
    FitOptions options = options_of(3);
    options.seed = seed;
    DataSet set = line(50);
    Fit fit(trainer, set, nullptr, options);
    run(fit);
    return trainer.read("w").to_string();
  };
  EXPECT_EQ(weights(1), weights(1));
  EXPECT_NE(weights(1), weights(2));
}

TEST(Fit, NamesTheFirstNodeThatIsNotFinite) {
  Trainer trainer = line_trainer({.check_finite = true});
  DataSet set = line(50);
  FitOptions options = options_of(5);
  options.rate.base = 1e200;
  Fit fit(trainer, set, nullptr, options);
  fit.step();
  Weights before = trainer.read_state();
  std::string message = error_of([&] { fit.step(); });
  // The predictions are near 1e200, and their squares are too large.
  EXPECT_THAT(message, HasSubstr("loss of test.weir:4:8: error: step 2 gives inf"));
  EXPECT_THAT(message, HasSubstr("first in mul; it updated nothing"));
  EXPECT_EQ(fit.state().steps, 1);
  for (const auto& [name, value] : trainer.read_state())
    EXPECT_TRUE(compare(value, before.at(name)).identical) << name;
  set.data.mutable_elements<double>()[17] = std::nan("");
  options.batch = 50;
  Trainer other = line_trainer({.check_finite = true});
  Fit spoilt(other, set, nullptr, options);
  EXPECT_THAT(error_of([&] { spoilt.step(); }),
              HasSubstr("step 1 gives nan first in the input %x"));
}

// What hides the second column is infinite on purpose, as a constant and as a param that is not
// trained.
TEST(Fit, NamesNoMaskAsWhatIsNotFinite) {
  auto error_with = [](std::string_view mask, const Weights& masks) {
    Model model{with_loss(test::parse(fmt::format(R"(graph @g(%x: f64[N, 2]) -> (f64[N, 2]) {{
  param %w: f64[2, 2]
  {}
  %scores = linear(%x, %w)
  %hidden = add(%scores, %mask)
  %parts = softmax(%hidden)
  %y = mul(%parts, %scores)
  return %y
}})",
                                                  mask)),
                          {.op = "mse"}),
                masks};
    initialize(model, {"he"}, 4);
    Trainer trainer(std::move(model), {"sgd"}, {.trained = {"w"}, .check_finite = true});
    DataSet set = line(8);
    set.targets = set.data;
    FitOptions options = options_of(2);
    options.rate.base = 1e200;
    Fit fit(trainer, set, nullptr, options);
    return error_of([&] { run(fit); });
  };
  Tensor mask = Tensor::from({0.0, -std::numeric_limits<double>::infinity()}, {2});
  EXPECT_THAT(error_with("%mask = constant {value = f64[2] [0.0, -inf]}", {}),
              HasSubstr("step 2 gives inf first in mul; it updated nothing"));
  EXPECT_THAT(error_with("param %mask: f64[2]", {{"mask", mask}}),
              HasSubstr("step 2 gives inf first in mul; it updated nothing"));
  EXPECT_THAT(error_with("param %mask: f64[2]", {{"mask", Tensor::from({0.0, std::nan("")}, {2})}}),
              HasSubstr("step 1 gives nan first in the param %mask"));
}

TEST(DataSet, RefusesWhatDoesNotFit) {
  EXPECT_THAT(error_of([] { check_data({Tensor(DType::f32, {3, 2}), Tensor(DType::i64, {4})}); }),
              HasSubstr("there are 3 rows of data and 4 of targets"));
  EXPECT_THAT(error_of([] { check_data({Tensor(DType::f32, {0, 2}), Tensor(DType::i64, {0})}); }),
              HasSubstr("the data are f32[0, 2], which has no rows"));
  EXPECT_THAT(error_of([] { check_labels(Tensor::from<std::int64_t>({1, 3, 0}, {3}), 3); }),
              HasSubstr("row 1 of the targets is 3; the classes of the model are 0 to 2"));
  DataSet set = line(5);
  Trainer trainer = line_trainer();
  EXPECT_THAT(error_of([&] { Fit(trainer, set, nullptr, options_of(1)); }),
              HasSubstr("a batch has 8 rows, and there are 5 to train on"));
  // Before there is memory for them.
  FitOptions large = options_of(1);
  large.batch = std::int64_t{1} << 50;
  EXPECT_THAT(error_of([&] { Fit(trainer, set, nullptr, large); }),
              HasSubstr("a batch has 1125899906842624 rows, and there are 5 to train on"));
  EXPECT_THAT(error_of([&] { split(set, 0.01, 0); }),
              HasSubstr("is 0 to validate with and 5 to train on"));
}

TEST(DataSet, RowsTakeTheShapeOfTheInput) {
  TensorType image{DType::f32, {Dim::symbol("N"), 1, 2, 2}};
  Tensor bytes = Tensor::from<std::uint8_t>({0, 51, 102, 153, 204, 255, 0, 0}, {2, 4});
  Tensor rows = as_rows_of(bytes, image, "data", 1.0 / 255);
  EXPECT_EQ(rows.sizes(), (Tensor::Sizes{2, 1, 2, 2}));
  EXPECT_THAT(rows.elements<float>(), testing::ElementsAre(0, 0.2F, 0.4F, 0.6F, 0.8F, 1, 0, 0));
  TensorType labels{DType::i64, {Dim::symbol("N")}};
  Tensor column = Tensor::from({1.0, 7.0}, {2, 1});
  EXPECT_THAT(as_rows_of(column, labels, "targets").elements<std::int64_t>(),
              testing::ElementsAre(1, 7));
  EXPECT_THAT(error_of([&] { as_rows_of(Tensor::from({1.0, 0.5}, {2}), labels, "targets"); }),
              HasSubstr("row 1 of the targets has 0.5, and a whole number is wanted"));
  // A number that the type does not hold is no infinity, and an infinity stays one.
  const TensorType halves{DType::f16, {Dim::symbol("N")}}, floats{DType::f32, {Dim::symbol("N")}};
  const Tensor large = Tensor::from<double>({1, 1e39}, {2});
  EXPECT_THAT(error_of([&] { as_rows_of(large, floats, "data", 1); }),
              HasSubstr("row 1 of the data has 1e+39, which is beyond f32"));
  EXPECT_THAT(error_of([&] { as_rows_of(large, halves, "data", 1e-30); }),
              HasSubstr("row 1 of the data has 1000000000, which is beyond f16"));
  EXPECT_THAT(
      error_of([&] { as_rows_of(Tensor::from<float>({1, 1e30F}, {2}), floats, "data", 1e10); }),
      HasSubstr("row 1 of the data has"));
  const Tensor infinite = Tensor::from<double>({INFINITY}, {1});
  EXPECT_TRUE(std::isinf(as_rows_of(infinite, floats, "data", 1).elements<float>()[0]));
  EXPECT_THAT(error_of([&] { as_rows_of(bytes, labels, "targets"); }),
              HasSubstr("the targets are u8[2, 4]; a row of i64[N] does not fit"));
  EXPECT_THAT(error_of([&] { as_rows_of(bytes, {DType::f32, {2, 4}}, "data"); }),
              HasSubstr("its first dimension must be a symbol"));
}

TEST(DataSet, IsSplitByTheSeed) {
  DataSet set{Tensor(DType::i64, {10}), Tensor(DType::i64, {10})};
  for (std::int64_t i = 0; i < 10; ++i) {
    set.data.mutable_elements<std::int64_t>()[static_cast<std::size_t>(i)] = i;
    set.targets.mutable_elements<std::int64_t>()[static_cast<std::size_t>(i)] = 10 * i;
  }
  auto [first, second] = split(set, 0.3, 5);
  auto kept = first.data.elements<std::int64_t>(), drawn = second.data.elements<std::int64_t>();
  EXPECT_EQ(kept.size(), 7U);
  EXPECT_TRUE(std::is_sorted(kept.begin(), kept.end()));
  std::vector<std::int64_t> all(kept.begin(), kept.end());
  all.insert(all.end(), drawn.begin(), drawn.end());
  EXPECT_THAT(all, testing::UnorderedElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9));
  EXPECT_EQ(second.targets.elements<std::int64_t>()[1], 10 * drawn[1]);
  EXPECT_NE(split(set, 0.3, 6).second.data.to_string(), second.data.to_string());
  EXPECT_EQ(split(set, 0.3, 5).second.data.to_string(), second.data.to_string());
}

}  // namespace
}  // namespace weir
