// Rounds through a data set.
#include "compiler/training/fit.h"

#include <cmath>

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
  initialize(model, {}, 4);
  return Trainer(std::move(model), {"sgd"}, options);
}

FitOptions options_of(std::int64_t epochs) {
  FitOptions options;
  options.epochs = epochs;
  options.batch = 8;
  options.rate.base = 0.1;
  return options;
}

TEST(Fit, FindsTheLine) {
  Trainer trainer = line_trainer();
  auto [training, validation] = split(line(50), 41);
  EXPECT_EQ(training.rows(), 41);
  std::vector<EpochReport> reports;
  fit(trainer, training, validation, options_of(30), [&](const EpochReport& report) {
    reports.push_back(report);
    return true;
  });
  ASSERT_EQ(reports.size(), 30U);
  EXPECT_EQ(reports[1].epoch, 2);
  EXPECT_EQ(reports[1].step, 12);  // five whole batches and one row, twice
  EXPECT_LT(reports.back().loss, 1e-6);
  EXPECT_LT(reports.back().validation->loss, 1e-6);
  EXPECT_FALSE(reports.back().validation->accuracy.has_value());
  EXPECT_NEAR(trainer.read("w").elements<double>()[1], -3, 1e-3);
  EXPECT_NEAR(trainer.read("b").elements<double>()[0], 1, 1e-3);
}

TEST(Fit, IsFixedByTheSeed) {
  auto run = [](std::uint64_t seed) {
    Trainer trainer = line_trainer();
    FitOptions options = options_of(3);
    options.seed = seed;
    fit(trainer, line(50), {}, options, [](const EpochReport&) { return true; });
    return trainer.read("w").to_string();
  };
  EXPECT_EQ(run(1), run(1));
  EXPECT_NE(run(1), run(2));
}

TEST(Fit, EndsWhereItIsToldTo) {
  Trainer trainer = line_trainer({.check_finite = true});
  int reports = 0;
  fit(trainer, line(50), {}, options_of(5), [&](const EpochReport&) { return ++reports < 2; });
  EXPECT_EQ(reports, 2);
  DataSet spoilt = line(50);
  spoilt.data.mutable_elements<double>()[17] = std::nan("");
  std::optional<EpochReport> last;
  fit(trainer, spoilt, {}, options_of(5), [&](const EpochReport& report) {
    last = report;
    return true;
  });
  EXPECT_EQ(last->epoch, 1);
  ASSERT_TRUE(last->not_finite.has_value());
  EXPECT_LT(*last->not_finite, 7);
  EXPECT_TRUE(std::isfinite(trainer.read("w").elements<double>()[0]));
}

TEST(Fit, RefusesDataThatDoesNotFit) {
  EXPECT_THAT(error_of([] { check_data({Tensor(DType::f32, {3, 2}), Tensor(DType::i64, {4})}); }),
              HasSubstr("there are 3 rows of data and 4 of targets"));
  EXPECT_THAT(error_of([] { check_data({Tensor(DType::f32, {0, 2}), Tensor(DType::i64, {0})}); }),
              HasSubstr("the data are f32[0, 2], which has no rows"));
}

}  // namespace
}  // namespace weir
