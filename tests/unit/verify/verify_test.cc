// Test folders that are wrong in one way each: the verdict, and what it says.
#include "compiler/verify.h"

#include <cstddef>
#include <filesystem>
#include <limits>
#include <optional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compiler/frontend/file.h"
#include "compiler/frontend/npz.h"
#include "compiler/frontend/onnx/export.h"
#include "compiler/frontend/onnx/pb_file.h"
#include "ir/text.h"
#include "tests/support/temporary_folder.h"

namespace weir {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using Kind = Verdict::Kind;

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

// y = 2 x, of any size.
constexpr std::string_view kDouble = R"(graph @double(%x: f32[N]) -> (f32[N]) {
  %y = add(%x, %x)
  return %y
})";

Tensor list(std::vector<float> elements) {
  return Tensor::from<float>(elements, {static_cast<std::int64_t>(elements.size())});
}

VerifyOptions within(double tolerance) {
  VerifyOptions options;
  options.tolerance = tolerance;
  return options;
}

class Verify : public testing::Test {
 protected:
  void model(std::string_view text) {
    write_file(folder_ / "model.onnx", {export_onnx({parse_graph(text, "model.weir"), {}})});
  }
  // The next data set.
  void data(const Tensor& x, const Tensor& y) {
    std::string set = folder_ / ("test_data_set_" + std::to_string(sets_++));
    std::filesystem::create_directory(set);
    write_pb(set + "/input_0.pb", x, "x");
    write_pb(set + "/output_0.pb", y, "y");
  }
  void gradients(const Weights& tensors) { write_npz(folder_ / "gradients.npz", tensors); }
  // The compiled verdict, which the interpreter shares.
  Verdict verdict(VerifyOptions options = {}) {
    Verdict result = verify(folder_ / "", options);
    options.interpreted = true;
    Verdict interpreted = verify(folder_ / "", options);
    EXPECT_EQ(result.kind, interpreted.kind) << result.reason << "\n" << interpreted.reason;
    return result;
  }
  std::string folder() const { return folder_ / ""; }
  std::string failure(const VerifyOptions& options = {}) {
    Verdict result = verdict(options);
    EXPECT_EQ(result.kind, Kind::fail);
    return result.reason;
  }

 private:
  test::TemporaryFolder folder_;
  int sets_ = 0;
};

// --- Outputs -----------------------------------------------------------------

TEST_F(Verify, ASmallDifferenceIsMeasuredAndPasses) {
  model(kDouble);
  data(list({1, 2, 4}), list({2, 4, 8 - 0x1p-14F}));
  Verdict result = verdict();
  EXPECT_EQ(result.kind, Kind::pass);
  EXPECT_NEAR(result.difference, 0x1p-17, 1e-9);
}

TEST_F(Verify, TheToleranceIsRelativeToTheLargestElement) {
  model(kDouble);
  data(list({1, 2, 4}), list({2, 4.001F, 8}));
  EXPECT_THAT(failure(), AllOf(HasSubstr("output %y differs by 0.000125, 1e-05 is allowed: 4.0 at "
                                         "[1], and 4.001 is right")));
  EXPECT_EQ(verdict(within(2e-4)).kind, Kind::pass);
  EXPECT_EQ(verdict(within(1e-4)).kind, Kind::fail);
  EXPECT_EQ(verdict(within(0.0)).kind, Kind::fail);
}

TEST_F(Verify, WithoutALargestElementTheToleranceIsAbsolute) {
  model(kDouble);
  data(list({1e-6F, 0}), list({0, 0}));
  EXPECT_EQ(verdict().kind, Kind::pass);
  EXPECT_EQ(verdict(within(1e-7)).kind, Kind::fail);
}

TEST_F(Verify, EveryDataSetCounts) {
  model(kDouble);
  data(list({1}), list({2}));
  data(list({1, 2}), list({2, 4}));
  EXPECT_EQ(verdict().kind, Kind::pass);
  data(list({1, 2, 3}), list({2, 4, 7}));
  data(list({1}), list({3}));
  EXPECT_THAT(failure(), HasSubstr("output %y of test_data_set_2 differs by 0.143"));
}

TEST_F(Verify, NaNsAreEqualAndNothingElseIsNaN) {
  model(kDouble);
  data(list({kNaN, 1}), list({-kNaN, 2}));
  EXPECT_EQ(verdict().kind, Kind::pass);
  data(list({1, 1}), list({kNaN, 2}));
  EXPECT_THAT(failure(within(1e30)), HasSubstr("2.0 at [0], and nan is right"));
}

TEST_F(Verify, ANaNIsNoNumber) {
  model(kDouble);
  data(list({kNaN, 1}), list({1e30F, 2}));
  EXPECT_THAT(failure(within(1e30)), HasSubstr("differs by inf"));
}

TEST_F(Verify, InfinitiesOfOneSignAreEqual) {
  model(kDouble);
  data(list({kInfinity, -kInfinity, 3e38F}), list({kInfinity, -kInfinity, kInfinity}));
  EXPECT_EQ(verdict().kind, Kind::pass);
  data(list({kInfinity}), list({-kInfinity}));
  EXPECT_THAT(failure(within(1e30)), HasSubstr("of test_data_set_1 differs by inf"));
}

// An infinite element says nothing about how large the others are.
TEST_F(Verify, InfinitiesDoNotWidenTheTolerance) {
  model(kDouble);
  data(list({kInfinity, 1}), list({kInfinity, 2.001F}));
  EXPECT_EQ(verdict().kind, Kind::fail);
}

TEST_F(Verify, IntegersHaveToBeEqual) {
  model("graph @same(%x: i64[2]) -> (i64[2]) { %y = neg(%x) return %y }");
  data(Tensor::from<std::int64_t>({5, 1'000'000}, {2}),
       Tensor::from<std::int64_t>({-5, -1'000'001}, {2}));
  EXPECT_THAT(failure(within(1.0)), HasSubstr("-1000000 at [1], and -1000001 is right"));
}

TEST_F(Verify, TypesHaveToBeEqual) {
  model(kDouble);
  data(list({1, 2}), Tensor::from<double>({2, 4}, {2}));
  EXPECT_THAT(failure(), HasSubstr("output %y is f32[2], and f64[2] is right"));
}

TEST_F(Verify, AnInputThatDoesNotFitIsNamed) {
  model("graph @fixed(%x: f32[3]) -> (f32[3]) { %y = neg(%x) return %y }");
  data(list({1, 2}), list({-1, -2}));
  EXPECT_THAT(failure(), AllOf(HasSubstr("x"), HasSubstr("f32[3]"), HasSubstr("f32[2]")));
}

// --- Gradients ---------------------------------------------------------------

// y = x * x, whose gradient with the cotangent c is 2 x c.
class VerifyGradients : public Verify {
 protected:
  VerifyGradients() {
    model("graph @square(%x: f32[2]) -> (f32[2]) { %y = mul(%x, %x) return %y }");
    data(list({1, 2}), list({1, 4}));
    options_.gradients = true;
  }
  Weights right_{{"cotangent", list({10, 100})}, {"input:x", list({20, 400})}};
  VerifyOptions options_;
};

TEST_F(VerifyGradients, ThatAreRightPass) {
  gradients(right_);
  EXPECT_EQ(verdict(options_).kind, Kind::pass);
}

TEST_F(VerifyGradients, AWrongOneIsShownAndLooksLikeAnOutput) {
  right_["input:x"] = list({20, 401});
  gradients(right_);
  EXPECT_EQ(verdict().kind, Kind::pass) << "they are not looked at unless asked for";
  EXPECT_THAT(failure(options_), HasSubstr("gradient of %x differs by 0.00249, 0.0001 is allowed: "
                                           "400.0 at [1], and 401.0 is right"));
}

TEST_F(VerifyGradients, HaveAToleranceOfTheirOwn) {
  right_["input:x"] = list({20, 400.02F});
  gradients(right_);
  Verdict result = verdict(options_);
  EXPECT_EQ(result.kind, Kind::pass) << result.reason;
  EXPECT_NEAR(result.difference, 5e-5, 1e-6);
  options_.tolerance = 1e-5;
  EXPECT_EQ(verdict(options_).kind, Kind::fail);
}

TEST_F(VerifyGradients, AWrongCotangentIsSeen) {
  right_["cotangent"] = list({11, 100});
  gradients(right_);
  EXPECT_THAT(failure(options_), HasSubstr("22.0 at [0], and 20.0 is right"));
  right_["cotangent"] = list({1, 2, 3});
  gradients(right_);
  EXPECT_THAT(failure(options_), AllOf(HasSubstr("cotangent"), HasSubstr("f32[3]")));
  right_.erase("cotangent");
  gradients(right_);
  EXPECT_THAT(failure(options_), HasSubstr("gradients.npz has no cotangent"));
}

TEST_F(VerifyGradients, OfWhatIsNoInputAreRefused) {
  right_.emplace("param:w", list({1}));
  gradients(right_);
  EXPECT_THAT(failure(options_), HasSubstr("gradients.npz has 'w', which is no input or param"));
}

// What reaches the LeakyReLU is x rounded to a multiple of 2: for 0.4 that is 0 in f32, where its
// slope is 0.01, and 0.4 in f64, where it is 1.
TEST_F(Verify, GradientsOnTheOtherSideOfAKinkAreJudgedInDouble) {
  VerifyOptions options;
  options.gradients = true;
  model(R"(graph @kink(%x: f32[2]) -> (f32[2]) {
    %c = constant() {value = f32[] 16777216.0}
    %far = add(%x, %c)
    %near = sub(%far, %c)
    %y = leaky_relu(%near)
    return %y
  })");
  data(list({0.4F, 1e6F}), list({0, 1e6F}));
  Weights tensors{{"cotangent", list({1, 1})}, {"input:x", list({1, 1})}};
  gradients(tensors);
  Verdict result = verdict(options);
  EXPECT_EQ(result.kind, Kind::pass);
  EXPECT_EQ(result.reason,
            "rounding decides at kinks: gradient of %x is 0.99 from that in f64, its reference 0");
}

TEST_F(VerifyGradients, AFolderWithoutThemPasses) { EXPECT_EQ(verdict(options_).kind, Kind::pass); }

// --- Threads ---

// An executor that leaves out the last task of each loop from a run on: a fault that depends on the
// threads.
class Leaving {
 public:
  // Of the runs of verify(), which are those of outputs, one for each data set, and of gradients.
  explicit Leaving(int first_run) : until_(first_run) {}
  Leaving(const Leaving&) = delete;

  const weir_executor& executor() const { return executor_; }
  int left_out() const { return left_out_; }

 private:
  static Leaving& self(void* context) { return *static_cast<Leaving*>(context); }
  static void run(void* context, std::ptrdiff_t tasks, weir_task task, void* argument) {
    if (self(context).until_ < 0 && tasks > 1) {
      --tasks;
      ++self(context).left_out_;
    }
    for (std::ptrdiff_t i = 0; i < tasks; ++i) task(argument, i, static_cast<int>(i % 2));
  }
  static void begin(void* context) { --self(context).until_; }

  int until_;
  int left_out_ = 0;
  weir_executor executor_{this, 2, run, begin, nullptr, nullptr};
};

// y = x * x of so many elements that threads share them.
class VerifyThreads : public Verify {
 protected:
  VerifyThreads() {
    model("graph @square(%x: f32[N]) -> (f32[N]) { %y = mul(%x, %x) return %y }");
    constexpr std::size_t kCount = 1 << 20;
    const std::vector<float> twos(kCount, 2), fours(kCount, 4);
    data(list(twos), list(fours));
    gradients({{"cotangent", list(fours)}, {"input:x", list(std::vector<float>(kCount, 16))}});
    options_.gradients = true;
  }
  Verdict on(const Leaving& threads, std::optional<double> tolerance = std::nullopt) {
    options_.executor = &threads.executor();
    options_.tolerance = tolerance;
    return verify(folder(), options_);
  }

 private:
  VerifyOptions options_;
};

TEST_F(VerifyThreads, ThatLeaveOutNothingPass) {
  Leaving nothing(1000);
  Verdict result = on(nothing);
  EXPECT_EQ(result.kind, Kind::pass) << result.reason;
  EXPECT_EQ(nothing.left_out(), 0);
}

TEST_F(VerifyThreads, OutputsThatDependOnThemFailWhateverTheTolerance) {
  Leaving always(0);
  Verdict result = on(always, 1e30);
  EXPECT_EQ(result.kind, Kind::fail);
  EXPECT_THAT(result.reason, HasSubstr("output %y depends on the number of threads: it is "));
  EXPECT_THAT(result.reason, HasSubstr("and 4.0 on others"));
}

TEST_F(VerifyThreads, GradientsThatDependOnThemFailWhateverTheTolerance) {
  Leaving gradients(1);
  Verdict result = on(gradients, 1e30);
  EXPECT_GT(gradients.left_out(), 0);
  EXPECT_EQ(result.kind, Kind::fail);
  EXPECT_THAT(result.reason, HasSubstr("grad_x depends on the number of threads: it is "));
  EXPECT_THAT(result.reason, HasSubstr("and 16.0 on others"));
}

// --- Limits ------------------------------------------------------------------

TEST_F(Verify, WhatAsksForTooMuchIsRefused) {
  model("graph @twice(%x: f32[N]) -> (f32[N]) { %h = neg(%x) %y = neg(%h) return %y }");
  data(Tensor(DType::f32, {100'000}), Tensor(DType::f32, {100'000}));
  VerifyOptions options;
  options.limits.nodes = 1;
  EXPECT_THAT(failure(options), HasSubstr("nodes, and at most 1 are allowed"));
  options = {};
  options.limits.memory = 100;
  EXPECT_THAT(failure(options), HasSubstr("reading the model takes about"));
  options.limits.memory = 799'999;
  EXPECT_THAT(failure(options), HasSubstr("a run takes 800"));
  options.limits.memory = 1'200'000;
  EXPECT_EQ(verdict(options).kind, Kind::pass);
}

}  // namespace
}  // namespace weir
