// From the start of the process to the digits result: `weir run` on examples/digits, the whole
// process as a user sees it, the same with the code found in a cache, and without a model, for what
// loading the library alone costs. Then the stages of one run each, from `--verbose`. Processor
// time is given beside the time that passes: on a busy machine it tells what the work alone takes.
//
// Goals: 120 ms, and from the cache 40 ms.
#include <fcntl.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <exception>
#include <stdexcept>

#include "benchmarks/report.h"

extern char** environ;

namespace weir::bench {
namespace {

// The rows, with the seconds that each may take.
struct Row {
  const char* name;
  double goal;
};
constexpr Row kRows[] = {
    {"weir run digits.weir", 0.12}, {"from the cache", 0.04}, {"weir --help", 0.04}};

// Runs a command to its end, its standard output thrown away or left. Returns the seconds that
// processors spent on it. Throws if it fails.
double run_command(const std::vector<std::string>& words, bool quiet) {
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  if (quiet) ::posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t child = 0;
  int failure = ::posix_spawn(&child, arguments[0], &actions, nullptr, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  int status = 0;
  rusage usage{};
  if (failure != 0 || ::wait4(child, &status, 0, &usage) != child || !WIFEXITED(status) ||
      WEXITSTATUS(status) != 0)
    throw std::runtime_error(words[0] + " failed");
  auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

}  // namespace
}  // namespace weir::bench

int main(int argc, char** argv) try {
  using namespace weir::bench;
  Options options =
      Options::parse(argc, argv, "Times a whole process, from its start to the digits result.");
  TimingLock lock;
  print_machine();
  auto bin = std::filesystem::canonical("/proc/self/exe").parent_path().parent_path();
  auto output = std::filesystem::temp_directory_path() /
                ("weir-logits-" + std::to_string(::getpid()) + ".npy");
  const std::string weir = bin / "weir", digits = WEIR_SOURCE_DIR "/examples/digits/";
  std::vector<std::string> run{weir,
                               "run",
                               digits + "digits.weir",
                               "--input",
                               "x=" + digits + "x_test.npy",
                               "--output",
                               "logits=" + output.string()};
  auto cache =
      std::filesystem::temp_directory_path() / ("weir-cache-" + std::to_string(::getpid()));
  std::vector<std::string> cached = run;
  cached.insert(cached.end(), {"--cache", cache.string()});
  run_command(cached, true);
  std::vector<double> processor[std::size(kRows)];
  auto side = [&processor](std::size_t row, std::vector<std::string> command) {
    return repeated([&times = processor[row], words = std::move(command)] {
      times.push_back(run_command(words, true));
    });
  };
  std::vector<Side> sides{side(0, run), side(1, cached), side(2, {weir, "--help"})};
  Effort effort = options.effort();
  effort.sample_seconds = 0;
  effort.fewest_rounds = effort.most_rounds = options.quick ? 3 : 20;
  Samples samples = interleave(sides, effort);

  Table table(
      "startup", "A whole process: median and quartiles",
      {{"process", 20}, {"median", 7}, {"quartiles", 17}, {"processor", 9}, {"goal", 6}, {"", 0}},
      options);
  for (std::size_t i = 0; i < std::size(kRows); ++i) {
    Spread seconds = samples.seconds(i);
    Spread work = spread_of(processor[i]);
    table.row({kRows[i].name,
               {duration(seconds.median), seconds},
               duration(seconds.low) + " - " + duration(seconds.high),
               {duration(work.median), work},
               {duration(kRows[i].goal), kRows[i].goal},
               seconds.median < kRows[i].goal ? "" : "ABOVE"});
  }
  for (std::vector<std::string>* command : {&run, &cached}) {
    std::printf("\nWhere it goes, in one run%s:\n", command == &run ? "" : " from the cache");
    std::fflush(stdout);
    command->push_back("--verbose");
    run_command(*command, false);
  }
  std::filesystem::remove(output);
  std::filesystem::remove_all(cache);
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
