// Every processor and every feature that LLVM knows for a target, one at a time: either there is
// code, or one Error says why not. LLVM ends the process where a combination is impossible, so a
// child does the compiling, which tells what it is about to do. All are looked at, and one in
// kSample is compiled, or every one where the environment has WEIR_EVERY_TARGET_NAME, which takes
// some minutes.

#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compiler/codegen/target_names.h"
#include "compiler/pipeline.h"
#include "tests/support/graphs.h"

namespace weir {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr std::size_t kSample = 10;

// Arithmetic of several types, division and loops that may go to threads.
Graph small_graph() {
  return test::parse(
      "graph @small(%x: f32[N, 4], %d: f64[3], %h: f16[3], %i: i64[3]) {\n"
      "  %a = leaky_relu(%x)\n  %b = neg(%d)\n  %c = add(%h, %h)\n  %e = div(%i, %i)\n"
      "  return %a, %b, %c, %e\n}\n");
}

// The index of the first spec from `first` on that ends the child; specs.size() if none does.
std::size_t first_fatal(const Graph& graph, const std::vector<TargetSpec>& specs,
                        std::size_t first) {
  int pipe[2];
  if (::pipe(pipe) != 0) throw std::runtime_error("no pipe");
  pid_t child = ::fork();
  if (child == 0) {
    const bool every = std::getenv("WEIR_EVERY_TARGET_NAME") != nullptr;
    ::close(STDERR_FILENO);
    for (std::size_t i = first; i < specs.size(); ++i) {
      if (::write(pipe[1], "", 1) != 1) ::_exit(1);
      CompileOptions options;
      options.target = specs[i];
      options.debug_lines = false;
      try {
        resolve_target(options.target);
        if (every || i % kSample == 0) compile_object(graph, options);
      } catch (const Error&) {
        // What it says stands below.
      } catch (...) {
        ::_exit(1);
      }
    }
    ::_exit(0);
  }
  ::close(pipe[1]);
  std::size_t begun = 0;
  for (char byte; ::read(pipe[0], &byte, 1) == 1;) ++begun;
  ::close(pipe[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? specs.size() : first + begun - 1;
}

class EveryTargetName : public testing::TestWithParam<const char*> {};

TEST_P(EveryTargetName, EndsNoProcess) {
  TargetNames names = target_names(GetParam());
  EXPECT_FALSE(names.cpus.empty());
  EXPECT_FALSE(names.features.empty());
  std::vector<TargetSpec> specs;
  for (const std::string& cpu : names.cpus) specs.push_back({GetParam(), cpu, ""});
  for (const std::string& feature : names.features)
    for (const char* sign : {"+", "-"}) specs.push_back({GetParam(), "", sign + feature});
  Graph graph = small_graph();
  for (std::size_t i = 0; (i = first_fatal(graph, specs, i)) < specs.size(); ++i)
    ADD_FAILURE() << GetParam() << " " << specs[i].cpu << specs[i].features << " ends the process";
}

INSTANTIATE_TEST_SUITE_P(All, EveryTargetName,
                         testing::Values("x86_64", "i686", "aarch64", "armv7", "thumbv7", "riscv64",
                                         "riscv32", "wasm32"),
                         [](const auto& triple) { return std::string(triple.param); });

std::string refusal(const TargetSpec& spec) {
  return test::error_of([&] { resolve_target(spec); });
}

TEST(TargetRefusal, NamesWhatDoesNotFit) {
  EXPECT_THAT(refusal({"x86_64", "pentium4", ""}),
              HasSubstr("the CPU pentium4 does not fit x86_64: without 64bit it runs no code of 64 "
                        "bits; one that "
                        "does is x86-64"));
  EXPECT_THAT(refusal({"i686", "i686", ""}),
              HasSubstr("the CPU i686 does not fit i686: without sse2"));
  EXPECT_THAT(
      refusal({"x86_64", "", "+avx2,-sse"}),
      HasSubstr(
          "the feature -sse does not fit x86_64: without sse2 results would have other bits"));
  for (const char* taken : {"-v4t", "-v6m", "-v8m"})
    EXPECT_THAT(refusal({"thumbv7", "", taken}),
                HasSubstr("does not fit thumbv7: branches of thumb2 are those of v8m"));
  EXPECT_THAT(refusal({"x86_64", "haswell", "+soft-float"}),
              HasSubstr("the feature +soft-float does not fit x86_64 with the CPU haswell"));
  EXPECT_THAT(refusal({"riscv64", "sifive-e31", ""}), HasSubstr("one that does is generic-rv64"));
  EXPECT_THAT(refusal({"riscv64", "", "+zcmp"}), HasSubstr("'zcmp' extension is incompatible"));
  EXPECT_THAT(refusal({"armv7", "", "+mve"}), HasSubstr("no processor has both mve and neon"));
  // What is taken back in the same list does no harm.
  EXPECT_EQ(refusal({"x86_64", "", "-sse2,+sse2"}), "no error");
}

// What only a back end finds, and reports.
TEST(TargetRefusal, TellsWhatABackEndRefuses) {
  auto message = [](const TargetSpec& spec) {
    CompileOptions options;
    options.target = spec;
    return test::error_of([&] { compile_object(small_graph(), options); });
  };
  EXPECT_THAT(
      message({"riscv64", "", "+reserve-x10"}),
      AllOf(HasSubstr("there is no code for riscv64"), HasSubstr("has been reserved; take")));
  EXPECT_THAT(message({"armv7", "", "+noarm"}),
              HasSubstr("does not support ARM mode execution; take another CPU"));
}

TEST(TargetRefusal, NamesEmptyFeatures) {
  for (const char* features : {"+avx2,", ",+avx2", "+avx2,,+fma", ","})
    EXPECT_THAT(
        refusal({"x86_64", "", features}),
        HasSubstr(fmt::format("a feature between two commas is missing in '{}'", features)));
}

TEST(TargetRefusal, EscapesNames) {
  const TargetSpec wrong[] = {{"\x1b[31m", "", ""}, {"", "\x1b[31m", ""}, {"", "", "+\x1b[31m"}};
  for (const TargetSpec& spec : wrong) {
    EXPECT_THAT(refusal(spec), HasSubstr("\\x1b[31m"));
    EXPECT_THAT(refusal(spec), Not(HasSubstr("\x1b")));
  }
}

#ifdef __x86_64__
TEST(TargetRefusal, OfThisMachine) {
  EXPECT_THAT(refusal({"", "pentium4", ""}), HasSubstr("the CPU pentium4 does not fit x86_64"));
  // Functions that LLVM calls and nobody has are no fault of the loader's.
  CompileOptions options;
  options.target.features = "+retpoline";
  EXPECT_THAT(test::error_of([&] { compile({small_graph(), {}}, options); }),
              HasSubstr("__llvm_retpoline"));
}
#endif

}  // namespace
}  // namespace weir
