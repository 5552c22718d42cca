// Which core schedules are chosen for: that of the processor that is named, or of this machine's
// where none is.

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compiler/codegen/object.h"
#include "compiler/codegen/target_names.h"
#include "compiler/lowering/known_cores.h"
#include "compiler/pipeline.h"
#include "ir/text.h"
#include "tests/support/error_of.h"

namespace weir {
namespace {

// Its filters lie in panels of two vectors or of four, by what the second cache holds.
Graph many_steps() {
  return parse_graph(R"(
graph @many(%x: f32[1, 256, 2, 7], %w: f32[128, 256, 3, 3]) -> (f32[1, 128, 2, 7]) {
  %y = conv(%x, %w) {low = [1, 1], high = [1, 1]}
  return %y
}
)",
                     "many.weir");
}

std::string kernels_of(const TargetSpec& spec) {
  CompileOptions options;
  options.target = spec;
  return inspect(many_steps(), InspectStage::kernels, options);
}

TEST(HostCore, IsThatOfTheProcessorsName) {
  EXPECT_FALSE(host_cpu().empty());
  EXPECT_EQ(resolve_target({}).core, core_of(host_cpu()));
}

TEST(HostCore, IsNamedByFeaturesThatTheNameLacks) {
  EXPECT_EQ(name_by_features("rocketlake", true), "sapphirerapids");
  EXPECT_EQ(name_by_features("generic", true), "sapphirerapids");
  EXPECT_EQ(name_by_features("graniterapids", true), "graniterapids");
  EXPECT_EQ(name_by_features("rocketlake", false), "rocketlake");
  EXPECT_EQ(name_by_features("znver5", false), "znver5");
}

TEST(HostCore, IsThatOfFewerFeaturesToo) {
  const TargetSpec fewer{"", "", resolve_target({}).fma ? "-fma" : "-sse4.2"};
  if (!resolve_target({}).triple.starts_with("x86_64")) GTEST_SKIP() << "names features of x86-64";
  EXPECT_EQ(resolve_target(fewer).core, core_of(host_cpu()));
}

// Lowering finds the core without a code generator, and code generation with one.
TEST(HostCore, IsThatOfTheObjectForThisMachine) {
  CompileOptions here, named;
  named.target.cpu = host_cpu();
  if (resolve_target(named.target).vector_bytes != resolve_target({}).vector_bytes)
    GTEST_SKIP() << "this machine has fewer features than its name promises";
  EXPECT_EQ(inspect(many_steps(), InspectStage::kernels, here),
            inspect(many_steps(), InspectStage::kernels, named));
}

void expect_same(const Target& actual, const Target& expected) {
  EXPECT_EQ(actual.cpu, expected.cpu);
  EXPECT_EQ(actual.features, expected.features);
  EXPECT_EQ(actual.core, expected.core);
  EXPECT_EQ(actual.vector_bytes, expected.vector_bytes);
  EXPECT_EQ(actual.missing, "");
}

// By the name native, with a target or without one, which may be another system.
TEST(HostCore, IsNative) {
  const Target host = resolve_target({});
  expect_same(resolve_target({"", "native", ""}), host);
  expect_same(resolve_target({host.triple, "native", ""}), host);
  const std::string arch = host.triple.substr(0, host.triple.find('-'));
  const Target elsewhere = resolve_target({arch + "-pc-windows-msvc", "native", ""});
  expect_same(elsewhere, host);
  EXPECT_FALSE(elsewhere.is_host);
  EXPECT_EQ(kernels_of({"", "native", ""}), kernels_of({}));
}

TEST(HostCore, IsNativeWithOtherFeatures) {
  const Target host = resolve_target({});
  if (!host.triple.starts_with("x86_64")) GTEST_SKIP() << "names features of x86-64";
  const std::string fewer = host.fma ? "-fma" : "-sse4.2";
  EXPECT_EQ(resolve_target({"", "native", fewer}).features,
            resolve_target({"", "", fewer}).features);
}

TEST(HostCore, IsNativeForNoOtherArchitecture) {
  const bool is_x86 = resolve_target({}).triple.starts_with("x86_64");
  EXPECT_THAT(
      test::error_of([&] { resolve_target({is_x86 ? "aarch64" : "x86_64", "native", ""}); }),
      testing::HasSubstr("native is the processor of this machine"));
}

TEST(HostCore, IsNotAskedForWhereATargetIsNamed) {
  const Core all = Core();
  for (const char* cpu : {"", "x86-64-v3", "x86-64-v4"})
    EXPECT_EQ(resolve_target({"x86_64-linux-gnu", cpu, ""}).core, all) << cpu;
  EXPECT_EQ(resolve_target({"x86_64-linux-gnu", "icelake-server", ""}).core.second,
            (Cache{std::int64_t{1280} << 10, 20}));
  EXPECT_NE(kernels_of({"x86_64-linux-gnu", "icelake-server", ""}),
            kernels_of({"x86_64-linux-gnu", "x86-64-v4", ""}));
}

}  // namespace
}  // namespace weir
