// weir_numerics: how far compiled functions are from the exact ones, over every float.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "ir/diagnostic.h"
#include "tests/numerics/results.h"
#include "tests/numerics/slopes.h"

namespace weir::numerics {
namespace {

struct Options {
  std::vector<std::string> names;
  bool all_floats = false;
  std::int64_t stride = 9973;
  std::int64_t samples = 0;  // 0: few, or many with all_floats
  int threads = 1;
  std::string results;
  std::string check, update;
  bool list = false, table = false;
};

constexpr std::int64_t kFewSamples = 4000, kManySamples = 2'000'000;

std::string text_of(const std::string& file) {
  std::ifstream in(file);
  std::ostringstream text;
  text << in.rdbuf();
  if (!in) throw Error("cannot read " + file);
  return text.str();
}

template <class T>
bool run(const Function& function, const Points<T>& points, int threads,
         std::vector<Entry>& found) {
  constexpr bool is_f32 = sizeof(T) == 4;
  Scan result = scan(function, points, threads);
  std::vector<Entry> rows = entries(function, is_f32, result);
  fmt::print("{}", lines(rows));
  if (result.faults > 0) {
    fmt::print("{} faults in {}, the first of them:\n", result.faults, is_f32 ? "f32" : "f64");
    for (const std::string& fault : result.descriptions) fmt::print("  {}\n", fault);
  }
  std::fflush(stdout);
  found.insert(found.end(), rows.begin(), rows.end());
  return result.faults == 0;
}

std::vector<Entry> stored(const std::string& folder) {
  std::vector<Entry> all;
  for (const Function& function : functions()) {
    std::filesystem::path file =
        std::filesystem::path(folder) / (std::string(function.name) + ".tsv");
    if (!std::filesystem::exists(file)) continue;
    std::vector<Entry> rows = read(file);
    all.insert(all.end(), rows.begin(), rows.end());
  }
  return all;
}

int prove(const Options& options) {
  bool good = true;
  Points<float> floats = options.all_floats ? Points<float>() : strided_floats(options.stride);
  std::int64_t samples = options.samples > 0  ? options.samples
                         : options.all_floats ? kManySamples
                                              : kFewSamples;
  Points<double> doubles = sampled_doubles(samples);
  for (const std::string& name : options.names) {
    if (name == kSlopesName) {
      std::string faults = check_slopes(floats, options.threads);
      fmt::print("{}", faults.empty() ? "leaky_relu: bit for bit\n" : faults);
      good = good && faults.empty();
      continue;
    }
    const Function* function = find_function(name);
    if (!function) throw Error("there is no function '" + name + "'; --list names them");
    std::vector<Entry> found;
    bool singles = run(*function, floats, options.threads, found);
    bool pairs = run(*function, doubles, options.threads, found);
    good = good && singles && pairs;
    if (!options.results.empty()) {
      std::filesystem::create_directories(options.results);
      write(std::filesystem::path(options.results) / (name + ".tsv"), found);
    }
  }
  return good ? 0 : 1;
}

int run(Options options) {
  if (options.list) {
    for (const Function& function : functions()) fmt::print("{}\n", function.name);
    fmt::print("{}\n", kSlopesName);
    return 0;
  }
  if (!options.check.empty()) {
    std::string fault = check_table(text_of(options.check));
    if (!fault.empty()) throw Error(options.check + ": " + fault);
    return 0;
  }
  if (options.table) {
    fmt::print("{}", lines(stored(options.results)));
    return 0;
  }
  if (!options.update.empty()) {
    std::string page = with_table(text_of(options.update), table(stored(options.results)));
    std::ofstream(options.update) << page;
    return 0;
  }
  if (options.names.empty()) {
    for (const Function& function : functions()) options.names.emplace_back(function.name);
    options.names.emplace_back(kSlopesName);
  }
  return prove(options);
}

}  // namespace
}  // namespace weir::numerics

int main(int argc, char** argv) {
  weir::numerics::Options options;
  CLI::App app("How far compiled functions are from the exact ones.");
  app.add_option("names", options.names, "Functions; all when none is named.");
  app.add_flag("--list", options.list, "Print the functions' names.");
  app.add_flag("--all-floats", options.all_floats, "Every float, and many f64.");
  app.add_option("--stride", options.stride, "Otherwise every STRIDEth float, and special ones.")
      ->check(CLI::PositiveNumber);
  app.add_option("--samples", options.samples, "Numbers of type f64.")->check(CLI::PositiveNumber);
  app.add_option("--threads", options.threads, "Threads.")->check(CLI::Range(1, 1024));
  app.add_option("--results", options.results, "Folder to keep what is found in.");
  app.add_flag("--table", options.table, "Print what the folder holds.");
  app.add_option("--update", options.update,
                 "Write what the folder holds into the table of a page.");
  app.add_option("--check", options.check,
                 "Whether a page's table has these functions and bounds.");
  CLI11_PARSE(app, argc, argv);
  try {
    return weir::numerics::run(options);
  } catch (const std::exception& error) {
    fmt::print(stderr, "error: {}\n", error.what());
    return 1;
  }
}
