// weir verify: models against what they must compute, in ONNX's test folders.
//
// Cases are taken in order by a few threads, each of which compiles and runs on its own; a single
// case gets all threads to itself. A line is printed as soon as those before it are.
#include <algorithm>
#include <array>
#include <atomic>
#include <exception>
#include <filesystem>
#include <mutex>
#include <thread>

#include <unistd.h>

#include <fmt/format.h>

#include "common.h"
#include "compiler/frontend/file.h"
#include "compiler/frontend/onnx/test_folder.h"
#include "compiler/verify.h"
#include "help.h"
#include "ir/escape.h"
#include "runtime/thread_pool.h"
#include "terminal.h"

namespace weir::tool {
namespace {

constexpr const char* kVerifyExamples =
    R"(A folder holds model.onnx, test_data_set_0/input_0.pb, ... and
test_data_set_0/output_0.pb, ..., as ONNX's own tests do; all such folders below
one that is given are found. Each is a line; on a terminal, long ones are
wrapped. The exit code is 0 if all pass.

examples:
  weir verify model
  weir verify /usr/share/libonnx-testdata/data --allow-unsupported
  weir verify model --gradients --tolerance 1e-4)";

constexpr std::array<std::string_view, 3> kVerdicts{"pass", "fail", "unsupported"};
constexpr std::size_t kVerdictWidth = 13;

struct VerifyCommand {
  std::vector<std::string> folders;
  std::string tolerance, threads;
  LimitOptions limits;
  CacheArguments cache;
  bool gradients = false, contract = false, reference = false, allow_unsupported = false;
};

struct Case {
  std::string folder;
  std::string name;        // as it is shown
  std::string fault = {};  // why there is nothing to verify
};

// What is given and holds no test folder is a case that fails.
std::vector<Case> cases_in(std::span<const std::string> folders) {
  std::vector<Case> cases;
  for (const std::string& folder : folders) {
    std::vector<std::string> found;
    std::string fault = "there is no model.onnx in it or below it";
    try {
      found = find_test_folders(folder);
    } catch (const Error& error) {
      fault = error.diagnostic().message;
    }
    if (found.empty()) cases.push_back({folder, printable(folder), std::move(fault)});
    for (std::string& path : found) {
      std::string name =
          path == folder ? path : std::filesystem::path(path).lexically_relative(folder).string();
      cases.push_back({std::move(path), printable(name)});
    }
  }
  return cases;
}

// Text behind a line's head: on the same line if it fits or no terminal is written to, else below
// it, indented and wrapped.
std::string with_reason(std::string head, std::string_view reason, std::size_t column,
                        bool on_terminal) {
  if (reason.empty()) return head + "\n";
  std::string gap(column > head.size() + 1 ? column - head.size() : 2, ' ');
  if (!on_terminal || head.size() + gap.size() + reason.size() <= kTerminalColumns)
    return fmt::format("{}{}{}\n", head, gap, reason);
  return fmt::format("{}\n{:{}}{}\n", head, "", kVerdictWidth, wrapped(reason, kVerdictWidth));
}

std::string verdict_line(const Case& shown, const Verdict& verdict, std::size_t name_width,
                         bool on_terminal) {
  std::string head = fmt::format("{:<{}}{}", kVerdicts.at(static_cast<std::size_t>(verdict.kind)),
                                 kVerdictWidth, shown.name);
  std::string reason = verdict.reason;
  if (verdict.kind == Verdict::Kind::pass && verdict.difference > 0)
    reason = fmt::format("{:.2g}{}{}", verdict.difference, reason.empty() ? "" : ", ", reason);
  if (verdict.lacks_gradients)
    reason += fmt::format("{}without gradients: there is no gradients.npz",
                          reason.empty()                        ? ""
                          : verdict.kind == Verdict::Kind::pass ? ", "
                                                                : "; ");
  return with_reason(std::move(head), printable(reason), kVerdictWidth + name_width + 2,
                     on_terminal);
}

// Verifies the cases on that many threads. `give` is called with the verdicts in order, one at a
// time; what it throws ends the work.
template <class Give>
void verify_all(std::span<const Case> cases, const VerifyOptions& options, int threads,
                const Give& give) {
  std::atomic<std::size_t> next = 0;
  std::mutex mutex;
  std::vector<std::optional<Verdict>> verdicts(cases.size());
  std::size_t given = 0;
  std::exception_ptr fault;
  auto work = [&] {
    for (;;) {
      std::size_t i = next.fetch_add(1);
      if (i >= cases.size()) return;
      Verdict verdict = cases[i].fault.empty() ? verify(cases[i].folder, options)
                                               : Verdict{Verdict::Kind::fail, cases[i].fault};
      std::lock_guard lock(mutex);
      if (fault) return;
      verdicts[i] = std::move(verdict);
      try {
        for (; given < cases.size() && verdicts[given]; ++given)
          give(cases[given], *verdicts[given]);
      } catch (...) {
        fault = std::current_exception();
      }
    }
  };
  std::vector<std::jthread> others;
  for (int i = 1; i < threads; ++i) others.emplace_back(work);
  work();
  others.clear();
  if (fault) std::rethrow_exception(fault);
}

void verify_folders(const VerifyCommand& command) {
  VerifyOptions options;
  options.tolerance = given_tolerance(command.tolerance);
  options.gradients = command.gradients;
  options.contract = command.contract;
  options.interpreted = command.reference;
  options.limits = given_limits(command.limits);
  options.cache = given_cache(command.cache);
  int threads = given_threads(command.threads);
  std::vector<Case> cases = cases_in(command.folders);
  std::optional<ThreadPool> pool;
  if (cases.size() == 1) {
    pool.emplace(threads);
    options.executor = &pool->executor();
  }
  std::size_t width = 0;
  for (const Case& each : cases)
    if (kVerdictWidth + each.name.size() < kTerminalColumns)
      width = std::max(width, each.name.size());

  bool on_terminal = isatty(STDOUT_FILENO) == 1;
  std::array<std::size_t, kVerdicts.size()> counts{};
  threads = std::min(threads, static_cast<int>(std::min<std::size_t>(cases.size(), 1024)));
  verify_all(cases, options, threads, [&](const Case& each, const Verdict& verdict) {
    ++counts.at(static_cast<std::size_t>(verdict.kind));
    print_out(verdict_line(each, verdict, width, on_terminal));
    flush_out();
  });
  auto [passed, failed, unsupported] = counts;
  print_out(fmt::format("{} passed, {} failed, {} unsupported\n", passed, failed, unsupported));
  if (failed > 0 || (unsupported > 0 && !command.allow_unsupported)) throw Unsuccessful();
}

}  // namespace

void add_verify_command(CLI::App& app, Action& action) {
  auto options = std::make_shared<VerifyCommand>();
  CLI::App* command =
      add_command(app, "verify", "Compares what models compute with what ONNX's test folders say.",
                  kVerifyExamples);
  add_list(*command, "FOLDER", options->folders, "", "A test folder, or a folder of such folders.")
      ->required()
      ->allow_extra_args();
  command->add_flag("--allow-unsupported", options->allow_unsupported,
                    "The exit code is 0 also if models need what Weir does not have.");
  command->add_flag(
      "--gradients", options->gradients,
      "Also compares gradients with those in gradients.npz; a folder without one says "
      "so.");
  add_value(*command, "--tolerance", options->tolerance, "R",
            "How far a tensor may be from its reference, relative to the largest element there, or "
            "absolutely where that is 0; if left out 1e-05, for gradients 1e-04, and for f16 and "
            "bf16 a unit in the last place. Integers and bools have to be equal, and NaNs are.");
  add_value(*command, "--threads", options->threads, "K",
            "Threads to work on; as many as there are processors if left out. The results do not "
            "depend on it: compiled models run on one and on several, which must give equal bits.");
  add_contract(*command, options->contract);
  add_cache(*command, options->cache);
  command
      ->add_flag("--reference", options->reference,
                 "Interprets the models instead of compiling them: slow and obvious.")
      ->excludes(command->get_option("--cache"))
      ->excludes(command->get_option("--cache-size"));
  add_limits(*command, options->limits);
  command->callback([options, &action] { action = [options] { verify_folders(*options); }; });
}

}  // namespace weir::tool
