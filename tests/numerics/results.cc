#include "tests/numerics/results.h"

#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include <fmt/format.h>

#include "ir/diagnostic.h"

namespace weir::numerics {
namespace {

constexpr std::string_view kBegin = "<!-- table of errors -->\n";
constexpr std::string_view kEnd = "<!-- end of table -->\n";

// The shortest text that names the number in its type.
std::string number(double x, bool is_f32) {
  return is_f32 ? fmt::format("{}", static_cast<float>(x)) : fmt::format("{}", x);
}

std::string bound_text(const Bounds& bounds) {
  if (bounds.with_fma == bounds.without) return fmt::format("{}", bounds.with_fma);
  return fmt::format("{} / {}", bounds.with_fma, bounds.without);
}

std::string first_cells(const Function& function, int result) {
  return fmt::format("| {} | {} | {} |", function.name_of(result),
                     bound_text(function.bounds(true, result)),
                     bound_text(function.bounds(false, result)));
}

}  // namespace

std::vector<Entry> entries(const Function& function, bool is_f32, const Scan& scan) {
  std::vector<Entry> result;
  for (int r = 0; r < function.results(); ++r) {
    for (std::size_t arithmetic = 0; arithmetic < 2; ++arithmetic) {
      const auto& largest = scan.largest[static_cast<std::size_t>(r)][arithmetic];
      if (!largest) continue;
      const Bounds& bounds = function.bounds(is_f32, r);
      std::string where = number(largest->x, is_f32);
      if (function.operands() == 2) where += ", " + number(largest->y, is_f32);
      result.push_back({function.name_of(r), is_f32 ? "f32" : "f64",
                        arithmetic == 0 ? "fma" : "no-fma", largest->ulp,
                        arithmetic == 0 ? bounds.with_fma : bounds.without, scan.points, where});
    }
  }
  return result;
}

void write(const std::filesystem::path& file, const std::vector<Entry>& entries) {
  std::ofstream out(file);
  for (const Entry& entry : entries)
    out << fmt::format("{}\t{}\t{}\t{:.4f}\t{}\t{}\t{}\n", entry.result, entry.type,
                       entry.arithmetic, entry.ulp, entry.bound, entry.points, entry.where);
  out.close();
  if (!out) throw Error("cannot write " + file.string());
}

std::vector<Entry> read(const std::filesystem::path& file) {
  std::ifstream in(file);
  if (!in) throw Error("cannot read " + file.string());
  std::vector<Entry> result;
  for (std::string line; std::getline(in, line);) {
    std::istringstream cells(line);
    std::array<std::string, 7> cell;
    for (std::string& text : cell) std::getline(cells, text, '\t');
    result.push_back({cell[0], cell[1], cell[2], std::stod(cell[3]), std::stod(cell[4]),
                      std::stoll(cell[5]), cell[6]});
  }
  return result;
}

std::string lines(const std::vector<Entry>& entries) {
  std::string text;
  for (const Entry& entry : entries)
    text += fmt::format("{:<14} {} {:<7} {:5.2f} ulp of {} at {}\n", entry.result, entry.type,
                        entry.arithmetic == "fma" ? "FMA" : "no FMA", entry.ulp, entry.bound,
                        entry.where);
  return text;
}

std::string table(const std::vector<Entry>& entries) {
  std::map<std::string, std::string> cells;
  std::map<std::string, std::int64_t> floats;
  for (const Entry& entry : entries) {
    cells[entry.result + entry.type + entry.arithmetic] =
        fmt::format(" {:.2f} at {} |", entry.ulp, entry.where);
    if (entry.type == "f32") floats[entry.result] = entry.points;
  }
  std::string text =
      "| result | bound f32 | bound f64 | floats | f32, FMA | f32, no FMA | f64, FMA | f64, no FMA "
      "|\n"
      "|---|---|---|---|---|---|---|---|---|\n";
  for (const Function& function : functions()) {
    for (int r = 0; r < function.results(); ++r) {
      text += first_cells(function, r);
      std::int64_t points = floats[function.name_of(r)];
      text += points == kAllFloats ? " all |" : fmt::format(" {} |", points);
      for (const char* column : {"f32fma", "f32no-fma", "f64fma", "f64no-fma"}) {
        auto found = cells.find(function.name_of(r) + column);
        text += found == cells.end() ? " |" : found->second;
      }
      text += "\n";
    }
  }
  return text;
}

std::string with_table(const std::string& page, const std::string& table) {
  std::size_t begin = page.find(kBegin), end = page.find(kEnd);
  if (begin == std::string::npos || end == std::string::npos || end < begin)
    throw Error(fmt::format("the page has no lines {} and {}", kBegin.substr(0, kBegin.size() - 1),
                            kEnd.substr(0, kEnd.size() - 1)));
  begin += kBegin.size();
  auto start_of = [](const std::string& row) { return row.substr(0, row.find('|', 1)); };
  std::map<std::string, std::string> known;
  std::istringstream old_rows(page.substr(begin, end - begin)), rows(table);
  for (std::string row; std::getline(old_rows, row);) known[start_of(row)] = row;
  std::string text;
  for (std::string row; std::getline(rows, row);) {
    auto old_row = known.find(start_of(row));
    bool is_empty = row.ends_with("| 0 | | | | |");
    text += (is_empty && old_row != known.end() ? old_row->second : row) + "\n";
  }
  return page.substr(0, begin) + text + page.substr(end);
}

std::string check_table(const std::string& page) {
  std::set<std::string> expected, found;
  for (const Function& function : functions())
    for (int r = 0; r < function.results(); ++r) expected.insert(first_cells(function, r));
  std::istringstream rows(page);
  bool inside = false;
  for (std::string line; std::getline(rows, line);) {
    if (line + "\n" == kBegin) inside = true;
    if (line + "\n" == kEnd) inside = false;
    if (!inside || !line.starts_with("| ") || line.starts_with("| result")) continue;
    std::size_t end = 0;
    for (int i = 0; i < 4; ++i) end = line.find('|', end) + 1;
    found.insert(line.substr(0, end));
    if (line.find(" | |") != std::string::npos || line.ends_with("| |"))
      return "a cell is empty: " + line;
  }
  for (const std::string& row : expected)
    if (!found.contains(row)) return "missing: " + row;
  for (const std::string& row : found)
    if (!expected.contains(row)) return "not one of the functions: " + row;
  return {};
}

}  // namespace weir::numerics
