// What a benchmark prints: the machine, tables of at most 120 columns, and the same figures as
// JSON.
//
// Options that all benchmarks take: `--json FILE` appends a line of JSON for every row, `--quick`
// takes few samples and leaves the large sizes out, `--only TEXT` leaves out all cases but some
// where a benchmark has many, `--help`. Some take `--cpu NAME` (for_processor.h).
#pragma once

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "benchmarks/paired.h"

namespace weir::bench {

struct Options {
  std::string json;
  std::string only;
  std::string cpu;  // empty: this machine's
  bool quick = false;

  // Whether a case is to be measured.
  bool wants(std::string_view name) const { return name.find(only) != name.npos; }

  enum class Cpu { fixed, option };  // whether there is --cpu
  static Options parse(int argc, char** argv, const char* what, Cpu cpu = Cpu::fixed) {
    Options options;
    for (int i = 1; i < argc; ++i) {
      std::string_view argument = argv[i];
      if (argument == "--json" && i + 1 < argc) {
        options.json = argv[++i];
      } else if (argument == "--only" && i + 1 < argc) {
        options.only = argv[++i];
      } else if (argument == "--cpu" && cpu == Cpu::option && i + 1 < argc) {
        options.cpu = argv[++i];
      } else if (argument == "--quick") {
        options.quick = true;
      } else {
        bool help = argument == "--help" || argument == "-h";
        std::fprintf(help ? stdout : stderr,
                     "%s\n\noptions:\n"
                     "  --quick      Few samples, no large sizes.\n"
                     "  --only TEXT  Of models and shapes, those with TEXT in their names.\n"
                     "  --json FILE  Also appends every row to FILE, as a line of JSON.\n%s",
                     what,
                     cpu == Cpu::option
                         ? "  --cpu NAME   Code for that processor, which this one has to run.\n"
                         : "");
        std::exit(help ? 0 : 1);
      }
    }
    return options;
  }

  Effort effort() const {
    Effort effort;
    if (quick) {
      effort.total_seconds = 0.02;
      effort.fewest_rounds = 3;
    }
    return effort;
  }
};

// 12.3 ns, 1.23 ms: three digits.
inline std::string duration(double seconds) {
  const char* units[] = {"ns", "us", "ms", "s"};
  double number = seconds * 1e9;
  int unit = 0;
  while (unit < 3 && std::abs(number) >= 999.5) {
    number /= 1000;
    ++unit;
  }
  double size = std::abs(number);
  return fmt::format("{:.{}f} {}", number, size < 9.995 ? 2 : size < 99.95 ? 1 : 0, units[unit]);
}

inline std::string percent(const Spread& ratio) {
  return fmt::format("{:.0f} % [{:.0f}-{:.0f}]", ratio.median * 100, ratio.low * 100,
                     ratio.high * 100);
}
inline std::string times(const Spread& ratio) {
  return fmt::format("{:.2f}x [{:.2f}-{:.2f}]", ratio.median, ratio.low, ratio.high);
}

// A cell: as people read it, and as JSON.
struct Cell {
  std::string text, json;

  Cell(std::string_view words) : text(words), json("\"" + text + "\"") {}  // NOLINT
  Cell(std::string words) : Cell(std::string_view(words)) {}               // NOLINT
  Cell(const char* words) : Cell(std::string_view(words)) {}               // NOLINT
  Cell(std::string_view words, double number) : text(words), json(fmt::format("{:.9g}", number)) {}
  // Quartiles and median.
  Cell(std::string_view words, const Spread& value)
      : text(words),
        json(fmt::format("[{:.9g}, {:.9g}, {:.9g}]", value.low, value.median, value.high)) {}
};

// A table whose rows appear as they are measured. Column widths are given; text is right-aligned
// but in the last column.
class Table {
 public:
  struct Column {
    std::string name;
    int width;
  };

  Table(std::string benchmark, std::string title, std::vector<Column> columns,
        const Options& options)
      : benchmark_(std::move(benchmark)),
        title_(std::move(title)),
        columns_(std::move(columns)),
        json_(options.json) {
    std::printf("\n%s\n", title_.c_str());
    std::vector<std::string> names;
    for (const Column& column : columns_) names.push_back(column.name);
    print(names);
  }

  void row(const std::vector<Cell>& cells) {
    std::vector<std::string> texts;
    for (const Cell& cell : cells) texts.push_back(cell.text);
    print(texts);
    if (json_.empty()) return;
    std::ofstream file(json_, std::ios::app);
    file << "{\"benchmark\": \"" << benchmark_ << "\", \"table\": \"" << title_ << "\"";
    for (std::size_t i = 0; i < cells.size(); ++i)
      file << ", \"" << columns_[i].name << "\": " << cells[i].json;
    file << "}\n";
  }

 private:
  void print(const std::vector<std::string>& texts) const {
    std::string line;
    for (std::size_t i = 0; i < texts.size(); ++i) {
      int width = columns_[i].width;
      std::string cell = texts[i];
      if (cell.size() < static_cast<std::size_t>(width) && i + 1 < columns_.size())
        cell.insert(0, static_cast<std::size_t>(width) - cell.size(), ' ');
      line += (i == 0 ? "" : "  ") + cell;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    std::printf("%s\n", line.c_str());
    std::fflush(stdout);
  }

  std::string benchmark_, title_;
  std::vector<Column> columns_;
  std::string json_;
};

// The processor, and whether it is free for us.
inline void print_machine() {
  std::string model = "unknown processor", line;
  std::ifstream processors("/proc/cpuinfo");
  while (std::getline(processors, line)) {
    if (!line.starts_with("model name")) continue;
    model = line.substr(line.find(':') + 2);
    break;
  }
  double load[1] = {0};
  if (::getloadavg(load, 1) < 1) load[0] = 0;
  std::printf("%s, %u CPUs, load %.1f\n", model.c_str(), std::thread::hardware_concurrency(),
              load[0]);
  if (load[0] >= 1)
    std::printf(
        "The machine is busy: look at ratios, not at times; with 2 threads not even at these.\n");
  std::printf("In brackets: quartiles of the paired ratios.\n");
}

// What `main` returns: measures with the options of the command line, one program at a time on the
// machine.
template <class Measure>
int run_benchmark(int argc, char** argv, const char* what, Measure&& measure,
                  Options::Cpu cpu = Options::Cpu::fixed) try {
  Options options = Options::parse(argc, argv, what, cpu);
  TimingLock lock;
  print_machine();
  measure(options);
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}

}  // namespace weir::bench
