// Models that others trained, in ONNX's test folders: those that the project has, and those of the
// folder that the environment variable WEIR_MODELS names, if it names one.
//
// A model passes with its gradients, or it needs ops that Weir does not have, and says which.
#include <cstdlib>
#include <filesystem>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compiler/frontend/onnx/test_folder.h"
#include "compiler/verify.h"

namespace weir {
namespace {

constexpr std::string_view kOurs = WEIR_SOURCE_DIR "/tests/data/models";

Verdict verdict_of(const std::string& folder) {
  VerifyOptions options;
  options.gradients = true;
  return verify(folder, options);
}

TEST(RealModels, OfTheProjectPassWithTheirGradients) {
  std::vector<std::string> folders = find_test_folders(std::string(kOurs));
  EXPECT_GE(folders.size(), 3u);
  for (const std::string& folder : folders) {
    Verdict verdict = verdict_of(folder);
    EXPECT_EQ(verdict.kind, Verdict::Kind::pass) << folder << ": " << verdict.reason;
  }
}

TEST(RealModels, OfAnotherFolderPassOrSayWhichOpsAreMissing) {
  const char* folder = std::getenv("WEIR_MODELS");
  if (folder == nullptr) GTEST_SKIP() << "WEIR_MODELS names no folder of models";
  int passed = 0;
  for (const std::string& each : find_test_folders(folder)) {
    Verdict verdict = verdict_of(each);
    std::string name = std::filesystem::path(each).filename().string();
    std::printf("%s: %s\n", name.c_str(),
                verdict.reason.empty() ? "passes" : verdict.reason.c_str());
    EXPECT_NE(verdict.kind, Verdict::Kind::fail) << name << ": " << verdict.reason;
    passed += verdict.kind == Verdict::Kind::pass;
    if (verdict.kind == Verdict::Kind::unsupported) {
      EXPECT_THAT(verdict.reason, ::testing::HasSubstr("of opset")) << name;
    }
  }
  EXPECT_GT(passed, 0);
}

}  // namespace
}  // namespace weir
