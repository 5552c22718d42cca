// Learning rates against what PyTorch's schedulers give (torch 1.13: StepLR(step_size=3,
// gamma=0.5), CosineAnnealingLR(T_max=8), base rate 0.1), and the rise in front of them.
#include "compiler/training/rate_schedule.h"

#include <array>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/error_of.h"

namespace weir {
namespace {

using testing::HasSubstr;

TEST(RateSchedule, IsThatOfPyTorch) {
  constexpr std::array<double, 8> kSteps{0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.025, 0.025};
  constexpr std::array<double, 8> kCosine{
      0.1,  0.09619397662556434,  0.08535533905932738,  0.06913417161825449,
      0.05, 0.030865828381745515, 0.014644660940672627, 0.0038060233744356634};
  RateSchedule constant = parse_rate_schedule("constant", 0.1, 4, 2);
  RateSchedule steps = parse_rate_schedule("step:every=3,factor=0.5", 0.1, 1, 8);
  RateSchedule cosine = parse_rate_schedule("cosine", 0.1, 4, 2);
  for (std::size_t i = 0; i < kSteps.size(); ++i) {
    auto step = static_cast<std::int64_t>(i);
    EXPECT_DOUBLE_EQ(constant.at(step), 0.1);
    EXPECT_DOUBLE_EQ(steps.at(step), kSteps[i]);
    EXPECT_NEAR(cosine.at(step), kCosine[i], 1e-16);
  }
  EXPECT_EQ(cosine.at(8), 0);
  EXPECT_EQ(cosine.at(100), 0);
}

TEST(RateSchedule, RisesFirst) {
  RateSchedule schedule = parse_rate_schedule("step:every=2,factor=0.1,warmup=1", 0.8, 4, 10);
  EXPECT_DOUBLE_EQ(schedule.at(0), 0.2);
  EXPECT_DOUBLE_EQ(schedule.at(3), 0.8);
  EXPECT_DOUBLE_EQ(schedule.at(7), 0.8);
  EXPECT_DOUBLE_EQ(schedule.at(8), 0.08);
  EXPECT_DOUBLE_EQ(parse_rate_schedule("constant:warmup=1", 1, 2, 3).at(0), 0.5);
}

TEST(RateSchedule, SaysWhatIsWrong) {
  auto error = [](std::string_view text) {
    return test::error_of([&] { parse_rate_schedule(text, 0.1, 10, 10); });
  };
  EXPECT_THAT(error("linear"), HasSubstr("there is no schedule linear; there are constant"));
  EXPECT_THAT(error("step:every=0"), HasSubstr("every must be at least 1"));
  EXPECT_THAT(error("step:every=1.5"), HasSubstr("every takes a number of epochs"));
  EXPECT_THAT(error("step:factor=-1"), HasSubstr("factor must be at least 0; it is -1"));
  EXPECT_THAT(error("cosine:factor=1"), HasSubstr("the schedule cosine has no option factor"));
  EXPECT_THAT(error("constant:warmup=-1"), HasSubstr("warmup takes a number of epochs"));
  EXPECT_THAT(error("constant:warmup"), HasSubstr("'warmup' in constant:warmup is no option"));
}

}  // namespace
}  // namespace weir
