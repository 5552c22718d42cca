// What scans have found: kept as a file a function, printed as lines for a terminal, and put
// together as the table of docs/numerics.md.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tests/numerics/scan.h"

namespace weir::numerics {

// One cell of the table: the largest error of a result of a function.
struct Entry {
  std::string result;      // "exp", "exp'"
  std::string type;        // "f32" or "f64"
  std::string arithmetic;  // "fma" or "no-fma"
  double ulp = 0;
  double bound = 0;
  std::int64_t points = 0;
  std::string where;
};

std::vector<Entry> entries(const Function& function, bool is_f32, const Scan& scan);

// A file of entries, a line each. Throws Error where it cannot be written or read.
void write(const std::filesystem::path& file, const std::vector<Entry>& entries);
std::vector<Entry> read(const std::filesystem::path& file);

// Lines for a terminal.
std::string lines(const std::vector<Entry>& entries);
// The table in Markdown.
std::string table(const std::vector<Entry>& entries);

// The page with the table in place of the one between its marks, whose rows stay where the new one
// has nothing.
std::string with_table(const std::string& page, const std::string& table);
// What is wrong with the page's table: a result that it lacks or that there is not, or another
// bound than the one that is checked. Empty if nothing is.
std::string check_table(const std::string& page);

}  // namespace weir::numerics
