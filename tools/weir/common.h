// What the subcommands of `weir` share: how a subcommand is declared, output, timing, and options
// that several of them have.
//
// A subcommand parses into an options struct of its own; what is to be done is left behind as an
// Action, which main runs when the whole command line has proved right.
#pragma once

#include <chrono>
#include <exception>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include "compiler/cache/code_cache.h"
#include "compiler/frontend/load_limits.h"
#include "compiler/lowering/target.h"
#include "compiler/pipeline.h"
#include "ir/graph.h"
#include "output.h"

namespace weir::tool {

// What was asked for.
using Action = std::function<void()>;

void add_run_command(CLI::App& app, Action& action);
void add_inspect_command(CLI::App& app, Action& action);
void add_opt_command(CLI::App& app, Action& action);
void add_compile_command(CLI::App& app, Action& action);
void add_convert_command(CLI::App& app, Action& action);
void add_ops_command(CLI::App& app, Action& action);
void add_size_command(CLI::App& app, Action& action);
void add_verify_command(CLI::App& app, Action& action);
void add_train_command(CLI::App& app, Action& action);

// A subcommand whose options may each be given once, or the last one counts. `examples` ends its
// help.
CLI::App* add_command(CLI::App& app, std::string name, std::string summary, std::string examples);
CLI::Option* add_value(CLI::App& command, const std::string& names, std::string& value,
                       std::string placeholder, std::string description);
// An option that may be repeated, or hold several values with commas between them.
CLI::Option* add_list(CLI::App& command, const std::string& names, std::vector<std::string>& values,
                      std::string placeholder, std::string description, bool commas = false);
void add_model(CLI::App& command, std::string& path);
// --max-nodes and --max-memory, and what they mean.
struct LimitOptions {
  std::string nodes, memory;
};
void add_limits(CLI::App& command, LimitOptions& options);
LoadLimits given_limits(const LimitOptions& options);
// Error if a tensor of so many bytes is beyond --max-memory.
void check_bytes(std::int64_t bytes, std::int64_t most);
// --cache and --cache-size, and what they and WEIR_CACHE_DIR mean.
struct CacheArguments {
  std::optional<std::string> folder;
  std::string bytes;
};
void add_cache(CLI::App& command, CacheArguments& arguments);
CacheOptions given_cache(const CacheArguments& arguments);
void add_gradient(CLI::App& command, std::vector<std::string>& names);
void add_target(CLI::App& command, TargetSpec& target);
void add_contract(CLI::App& command, bool& contract);
void add_outputs_leave(CLI::App& command, bool& leave);
// Whether the sizes of symbolic dimensions stand in the option, or are those of the command's
// inputs.
enum class SymbolSizes { given, known };
void add_memory_budget(CLI::App& command, std::string& budget,
                       SymbolSizes sizes = SymbolSizes::given);
// BYTES or BYTES:N=SIZE,M=SIZE, the most that the workspace may take for symbolic dimensions of
// these sizes.
MemoryBudget bytes_for_sizes(const std::string& text, std::string_view option);
// What --memory-budget says: that, or BYTES alone where all sizes are known; nothing if it is
// empty.
std::optional<MemoryBudget> given_memory_budget(const std::string& budget,
                                                std::optional<Dim::Bindings> known = {});

// Error if --memory-budget is given and there is no backward pass that it could be for.
void check_memory_budget(const std::string& budget, const Graph& graph);

// The graph with the gradients that --gradient asks for.
Graph with_gradients(const Graph& graph, std::vector<std::string> names);

// Error if a file that is written is one that was read, or is written a second time, under whatever
// name: the user keeps what there was, and gets all that was asked for. Names that are empty are
// left out, and so is, where it is written twice, what is no regular file.
void check_apart(const std::vector<std::string>& read, const std::vector<std::string>& written);

// SYMBOL=SIZE of --dim, each once.
Dim::Bindings given_dims(std::span<const std::string> options);

// "x" for both "x" and "%x", and what is in the quotes of a name such as "a=b" or %"a=b".
std::string plain_name(std::string_view name);
// NAME=VALUE, the name plain. Error that shows `option` and its `form` if it is not of that form.
std::pair<std::string, std::string> name_and_value(std::string_view text, std::string_view option,
                                                   std::string_view form);
// Error if the text is not an integer from `least` to `most`.
std::int64_t integer_of(std::string_view text, std::string_view option, std::int64_t least,
                        std::int64_t most);
// A count from 1 on, of epochs, rows or steps, or `otherwise` if the option is left out.
std::int64_t count_of(const std::string& text, std::string_view option, std::int64_t otherwise);
// The whole text as a number, if it is one.
std::optional<double> as_number(std::string_view text);
// Error if the text is not a number from `least` to `most`.
inline constexpr double kLargestNumber = 1e30;
double number_of(std::string_view text, std::string_view option, double least,
                 double most = kLargestNumber);

// The value of --threads, and how many there are if it is not given.
int given_threads(const std::string& option);
// The value of --tolerance, if it is given.
std::optional<double> given_tolerance(const std::string& option);

// What was asked for is done and its output says that something is wrong: exit code 1, no message.
class Unsuccessful : public std::exception {};

// A signal asked for the end, and what was under way came to a good one. The exit code is that of a
// process that the signal ended, as a shell shows it.
class Interrupted : public std::exception {
 public:
  explicit Interrupted(int signal) : signal_(signal) {}
  int exit_code() const { return 128 + signal_; }

 private:
  int signal_;
};

// Durations of steps, shown as a table on standard error.
class StageTimes {
 public:
  void add(std::string_view stage, double milliseconds);
  // Does a step and adds its duration.
  template <class Step>
  auto measure(std::string_view stage, Step&& step) {
    auto start = std::chrono::steady_clock::now();
    auto result = step();
    add(stage, std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
                   .count());
    return result;
  }
  void show() const;

 private:
  std::vector<std::pair<std::string, double>> rows_;
};

// --verbose and --time-passes, and what they mean.
struct TimeOptions {
  bool stages = false, passes = false;
  bool any() const { return stages || passes; }
};
void add_times(CLI::App& command, TimeOptions& options);
// The compiler's steps go to `times`, which must outlive the options.
void collect_times(CompileOptions& options, const TimeOptions& given, StageTimes& times);

// The processor time that the process had used when main began: loading and linking the program.
// The first call fixes it.
double milliseconds_before_main();

}  // namespace weir::tool
