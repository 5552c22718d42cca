#include "common.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <ctime>
#include <filesystem>
#include <limits>
#include <mutex>
#include <set>
#include <system_error>

#include <fmt/format.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "compiler/autodiff/gradient.h"
#include "compiler/autodiff/named_options.h"
#include "compiler/frontend/file.h"
#include "compiler/rematerialize/pass_boundary.h"
#include "ir/escape.h"
#include "ir/lexer.h"
#include "runtime/thread_count.h"
#include "runtime/thread_pool.h"

namespace weir::tool {

CLI::App* add_command(CLI::App& app, std::string name, std::string summary, std::string examples) {
  CLI::App* command = app.add_subcommand(std::move(name), std::move(summary));
  command->footer(std::move(examples));
  return command;
}

namespace {

// What scripts write for a variable that is not set is no way to leave an option out.
std::string refuse_empty(const std::string& value) {
  return value.empty() ? "the value is empty" : std::string();
}

// A name in quotes, as the text form writes it, that the text begins with, with or without a %, and
// what follows it; nothing if it does not begin with one.
std::optional<std::pair<std::string, std::string_view>> quoted_name(std::string_view text) try {
  if (text.starts_with('%')) text.remove_prefix(1);
  if (!text.starts_with('"')) return std::nullopt;
  text::Lexer lexer("%" + std::string(text), "");
  return std::pair(lexer.peek().name(), text.substr(text.size() - lexer.remaining()));
} catch (const Error&) {
  return std::nullopt;
}

// Commas in quotes belong to a name.
std::vector<std::string> split_at_commas(const std::string& text) {
  std::vector<std::string> parts;
  std::string_view rest = text;
  for (;;) {
    auto quoted = quoted_name(rest);
    std::size_t comma = rest.find(',', quoted ? rest.size() - quoted->second.size() : 0);
    parts.emplace_back(rest.substr(0, comma));
    if (comma == rest.npos) return parts;
    rest.remove_prefix(comma + 1);
  }
}

}  // namespace

CLI::Option* add_value(CLI::App& command, const std::string& names, std::string& value,
                       std::string placeholder, std::string description) {
  return command.add_option(names, value, std::move(description))
      ->check(refuse_empty)
      ->option_text(std::move(placeholder));
}

CLI::Option* add_list(CLI::App& command, const std::string& names, std::vector<std::string>& values,
                      std::string placeholder, std::string description, bool commas) {
  // A delimiter of the library would drop empty parts.
  auto add_parts = [&values, names, commas](const std::vector<std::string>& given) {
    for (const std::string& text : given) {
      if (!commas) {
        values.push_back(text);
        continue;
      }
      for (std::string& part : split_at_commas(text)) {
        if (part.empty())
          throw CLI::ValidationError(
              names, fmt::format("a name between two commas is missing in {}", shown(text)));
        values.push_back(std::move(part));
      }
    }
  };
  return command
      .add_option_function<std::vector<std::string>>(names, add_parts, std::move(description))
      ->check(refuse_empty)
      ->option_text(std::move(placeholder))
      ->allow_extra_args(false);
}

void add_model(CLI::App& command, std::string& path) {
  add_value(command, "MODEL", path, "", "A .weir or .onnx file.")->required();
}

void add_limits(CLI::App& command, LimitOptions& options) {
  add_value(command, "--max-nodes", options.nodes, "N",
            "Refuses a model of more nodes; 1000000 if left out.");
  add_value(command, "--max-memory", options.memory, "BYTES",
            "Refuses what takes more: a model while its files are read, and a run, by what it is "
            "given, gives and keeps in between; no limit if left out.");
}

LoadLimits given_limits(const LimitOptions& options) {
  LoadLimits limits;
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  if (!options.nodes.empty()) limits.nodes = integer_of(options.nodes, "--max-nodes", 1, kMost);
  if (!options.memory.empty()) limits.memory = integer_of(options.memory, "--max-memory", 1, kMost);
  return limits;
}

void check_bytes(std::int64_t bytes, std::int64_t most) {
  if (bytes > most)
    throw Error(
        fmt::format("it takes {} bytes, and at most {} are allowed; --max-memory sets this limit",
                    bytes, most));
}

void add_cache(CLI::App& command, CacheArguments& arguments) {
  command
      .add_option("--cache", arguments.folder,
                  "Keeps compiled code in a folder, and finds it there again; if left out, in the "
                  "one that WEIR_CACHE_DIR names, if it is set. An empty name turns that off.")
      ->option_text("DIR");
  add_value(command, "--cache-size", arguments.bytes, "BYTES",
            fmt::format("What the folder may hold before what was not used for longest goes; {} if "
                        "left out.",
                        kDefaultCacheBytes));
}

CacheOptions given_cache(const CacheArguments& arguments) {
  CacheOptions options;
  const char* variable = std::getenv("WEIR_CACHE_DIR");
  options.folder = arguments.folder.value_or(variable == nullptr ? "" : variable);
  if (!arguments.bytes.empty())
    options.bytes = static_cast<std::uint64_t>(
        integer_of(arguments.bytes, "--cache-size", 1, std::numeric_limits<std::int64_t>::max()));
  // Several models, on several threads, may meet the same fault.
  struct Told {
    std::mutex mutex;
    std::set<std::string, std::less<>> messages;
  };
  options.warn = [told = std::make_shared<Told>()](std::string_view message) {
    std::lock_guard lock(told->mutex);
    if (told->messages.emplace(message).second) warn(message);
  };
  return options;
}

void add_gradient(CLI::App& command, std::vector<std::string>& names) {
  add_list(command, "--gradient", names, "WRT",
           "Adds the gradient of the sum of the outputs' elements with respect to an input or "
           "param, as an "
           "output grad_WRT. Several: --gradient x,w.",
           true);
}

void add_target(CLI::App& command, TargetSpec& target) {
  add_value(command, "--target", target.triple, "TRIPLE",
            "The machine to compile for, such as aarch64-linux-gnu; this one if left out.");
  add_value(
      command, "--cpu", target.cpu, "NAME",
      "Its processor, such as x86-64-v3 or cortex-a72, or native for this machine's; it is native "
      "if neither it nor a target is given.");
  add_value(command, "--features", target.features, "LIST",
            "Features to add to the processor's or to take away: +avx2,-fma.");
}

void add_contract(CLI::App& command, bool& contract) {
  command.add_flag("--contract", contract,
                   "Contracts products and sums: where a sum alone reads a product, the two become "
                   "one fma, which rounds once instead of twice.");
}

void add_outputs_leave(CLI::App& command, bool& leave) {
  command.add_flag("--outputs-leave", leave,
                   "The outputs are not read soon: large ones may be stored past the caches where "
                   "these are full of what is read.");
}

void add_memory_budget(CLI::App& command, std::string& budget, SymbolSizes sizes) {
  std::string help =
      "The most that the workspace may take: what the backward pass needs is computed again as "
      "far as that is necessary.";
  if (sizes == SymbolSizes::given) help += " Symbolic dimensions get sizes behind it: 65536:N=32.";
  add_value(command, "--memory-budget", budget, "BYTES", help);
}

MemoryBudget bytes_for_sizes(const std::string& text, std::string_view option) {
  constexpr std::int64_t kMost = INT64_MAX;
  NamedOptions given = parse_named_options(text);
  MemoryBudget result{static_cast<std::uint64_t>(integer_of(given.name, option, 0, kMost)), {}};
  for (const auto& [symbol, size] : given.options)
    result.sizes.emplace(symbol, integer_of(size, option, 0, kMost));
  return result;
}

std::optional<MemoryBudget> given_memory_budget(const std::string& budget,
                                                std::optional<Dim::Bindings> known) {
  if (budget.empty()) return std::nullopt;
  MemoryBudget result = bytes_for_sizes(budget, "--memory-budget");
  if (known && !result.sizes.empty())
    throw Error("--memory-budget takes no sizes here: those of the inputs are known");
  if (known) result.sizes = std::move(*known);
  return result;
}

void check_memory_budget(const std::string& budget, const Graph& graph) {
  if (!budget.empty() && !has_backward_pass(graph))
    throw Error(fmt::format(
        "--memory-budget is for a backward pass, and {} has none: no section gradient in "
        "its text; ask for one by --gradient or --train",
        graph.name()));
}

Dim::Bindings given_dims(std::span<const std::string> options) {
  Dim::Bindings result;
  for (const std::string& option : options) {
    auto [symbol, value] = name_and_value(option, "--dim", "SYMBOL=SIZE");
    std::int64_t size = integer_of(value, fmt::format("--dim {}", printable(symbol)), 0, INT64_MAX);
    if (!result.emplace(symbol, size).second)
      throw Error(fmt::format("the symbol {} is given twice", shown(symbol)));
  }
  return result;
}

Graph with_gradients(const Graph& graph, std::vector<std::string> names) {
  if (names.empty()) return graph;
  for (std::string& name : names) name = plain_name(name);
  return gradient(graph, names);
}

void check_apart(const std::vector<std::string>& read, const std::vector<std::string>& written) {
  for (const std::string& from : read)
    for (const std::string& to : written) {
      std::error_code ignored;
      if (std::filesystem::equivalent(from, to, ignored))
        throw Error(
            fmt::format("{} would be overwritten while it is read; give the output "
                        "another name",
                        shown(from)));
    }
  std::set<std::filesystem::path> places;
  for (const std::string& to : written) {
    std::error_code fault;
    std::filesystem::path place = to;
    if (!to.empty())
      place = std::filesystem::weakly_canonical(std::filesystem::absolute(to), fault);
    bool is_other =
        std::filesystem::exists(place, fault) && !std::filesystem::is_regular_file(place, fault);
    if (place.empty() || is_other || places.insert(std::move(place)).second) continue;
    throw Error(fmt::format("{} would be written twice; give each output its own name", shown(to)));
  }
}

std::string plain_name(std::string_view name) {
  if (auto quoted = quoted_name(name); quoted && quoted->second.empty()) return quoted->first;
  return std::string(name.starts_with('%') ? name.substr(1) : name);
}

std::pair<std::string, std::string> name_and_value(std::string_view text, std::string_view option,
                                                   std::string_view form) {
  if (auto quoted = quoted_name(text); quoted && quoted->second.starts_with('='))
    return {quoted->first, std::string(quoted->second.substr(1))};
  std::size_t equals = text.find('=');
  std::string name = plain_name(text.substr(0, equals));
  if (equals == std::string_view::npos || name.empty())
    throw Error(fmt::format("{} takes {}, and {} is given", option, form, shown(text)));
  return {std::move(name), std::string(text.substr(equals + 1))};
}

std::int64_t integer_of(std::string_view text, std::string_view option, std::int64_t least,
                        std::int64_t most) {
  std::int64_t number = 0;
  auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (fault != std::errc() || end != text.data() + text.size() || number < least || number > most)
    throw Error(fmt::format("{} takes an integer from {} to {}, and {} is given", option, least,
                            most, shown(text)));
  return number;
}

std::int64_t count_of(const std::string& text, std::string_view option, std::int64_t otherwise) {
  constexpr std::int64_t kMost = std::int64_t{1} << 31;
  return text.empty() ? otherwise : integer_of(text, option, 1, kMost);
}

std::optional<double> as_number(std::string_view text) {
  double value = 0;
  auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (fault != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

double number_of(std::string_view text, std::string_view option, double least, double most) {
  std::optional<double> value = as_number(text);
  if (!value || !(*value >= least) || !(*value <= most))
    throw Error(fmt::format("{} takes a number from {} to {}, and {} is given", option, least, most,
                            shown(text)));
  return *value;
}

int given_threads(const std::string& option) {
  if (option.empty()) return std::min(default_thread_count(), ThreadPool::maximum_threads);
  return static_cast<int>(integer_of(option, "--threads", 1, ThreadPool::maximum_threads));
}

std::optional<double> given_tolerance(const std::string& option) {
  if (option.empty()) return std::nullopt;
  std::optional<double> value = as_number(option);
  if (!value || !(*value >= 0) || std::isinf(*value))
    throw Error(fmt::format("--tolerance takes a number from 0, and {} is given", shown(option)));
  return value;
}

void StageTimes::add(std::string_view stage, double milliseconds) {
  rows_.emplace_back(stage, milliseconds);
}

void StageTimes::show() const {
  double total = 0;
  std::size_t width = std::string_view("total").size();
  for (const auto& [stage, milliseconds] : rows_) {
    total += milliseconds;
    width = std::max(width, stage.size());
  }
  auto sink = std::make_shared<spdlog::sinks::stderr_sink_st>();
  spdlog::logger log("times", sink);
  log.set_pattern("%v");
  for (const auto& [stage, milliseconds] : rows_)
    log.info("{:<{}}  {:>9.3f} ms", stage, width, milliseconds);
  log.info("{:<{}}  {:>9.3f} ms", "total", width, total);
}

void add_times(CLI::App& command, TimeOptions& options) {
  command.add_flag("--verbose", options.stages,
                   "Shows on standard error how long each stage took.");
  command.add_flag("--time-passes", options.passes, "Likewise, with the graph passes one by one.");
}

void collect_times(CompileOptions& options, const TimeOptions& given, StageTimes& times) {
  options.time_passes = given.passes;
  options.timing = [&times](std::string_view step, double milliseconds) {
    times.add(step, milliseconds);
  };
}

double milliseconds_before_main() {
  static const double milliseconds = [] {
    timespec used{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return static_cast<double>(used.tv_sec) * 1e3 + static_cast<double>(used.tv_nsec) / 1e6;
  }();
  return milliseconds;
}

}  // namespace weir::tool
