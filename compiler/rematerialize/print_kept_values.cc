// The layout of the table of kept values, in 80 columns.
//
// A column is as wide as what stands in it, and bytes end where the widest row ends: a long sum
// takes room that its row leaves in the other columns. Where a table would be wider, a row that
// does not fit goes on in lines of its own: first the value, then how it is kept and its bytes;
// what is too long even for a line is broken at spaces.
#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "compiler/rematerialize/kept_values.h"

namespace weir {
namespace {

constexpr std::size_t kColumns = 80, kGap = 2;

struct Row {
  std::string value, choice, bytes;
};

// The text in lines behind an indent.
std::string broken(std::string_view text, std::size_t indent) {
  std::string result;
  std::size_t column = 0;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(text.size(), word.size() + 1));
    if (column > 0 && column + 1 + word.size() > kColumns) {
      result += '\n';
      column = 0;
    }
    result += column > 0 ? " " : std::string(indent, ' ');
    column += (column > 0 ? 1 : indent) + word.size();
    result += word;
  }
  return result + '\n';
}

// Of a row behind a column of values that is as wide as its own value, or wider.
std::size_t width_of(const Row& row, std::size_t values) {
  const std::size_t left =
      row.choice.empty() ? row.value.size() : values + kGap + row.choice.size();
  return left + kGap + row.bytes.size();
}

bool fits(const Row& row, std::size_t values) {
  return (row.choice.empty() || row.value.size() <= values) && width_of(row, values) <= kColumns;
}

// That of the longest value, or if rows are wider then, that of the value behind which most of them
// have room.
std::size_t column_of_values(const std::vector<Row>& rows) {
  std::size_t best = 0, most = 0;
  for (const Row& chosen : rows) {
    const std::size_t values = std::max(chosen.value.size(), rows.front().value.size());
    const auto count = static_cast<std::size_t>(
        std::ranges::count_if(rows, [&](const Row& row) { return fits(row, values); }));
    if (chosen.choice.empty() || count < most || (count == most && values <= best)) continue;
    best = values;
    most = count;
  }
  return best;
}

std::string line_of(const Row& row, std::size_t values, std::size_t width) {
  const std::string left =
      row.choice.empty() ? row.value : fmt::format("{:<{}}  {}", row.value, values, row.choice);
  return fmt::format("{}{:>{}}\n", left, row.bytes, width - left.size());
}

std::string lines_of(const Row& row, std::size_t values) {
  const std::size_t rest = row.choice.size() + (row.choice.empty() ? 0 : kGap) + row.bytes.size();
  std::string text = broken(row.value, 0);
  if (rest + kGap > kColumns) {
    if (!row.choice.empty()) text += broken(row.choice, kGap);
    return text + broken(row.bytes, kGap);
  }
  const std::size_t indent = std::min(values + kGap, kColumns - rest);
  const std::string left = std::string(indent, ' ') + row.choice;
  return text + fmt::format("{}{:>{}}\n", left, row.bytes, kColumns - left.size());
}

}  // namespace

std::string print_kept_values(const Graph& graph, const Program& program,
                              const Dim::Bindings& sizes) {
  auto known = [&](const Dim& dim) {
    return dim.substituted([&](const std::string& symbol) {
      auto size = sizes.find(symbol);
      return size == sizes.end() ? Dim::symbol(symbol) : Dim(size->second);
    });
  };
  std::vector<Row> rows{{"kept for the backward pass", "as", "bytes"}};
  Dim total = 0, elsewhere = 0;
  for (const KeptValue& value : kept_values(graph, program)) {
    total = total + value.bytes;
    if (!value.in_workspace) elsewhere = elsewhere + value.bytes;
    rows.push_back({value.name + ": " + to_string(value.type),
                    value.form.empty() ? value.choice : value.choice + ", " + value.form,
                    known(value.bytes).to_string()});
  }
  rows.push_back({"in all", "", known(total).to_string()});
  if (elsewhere != Dim(0))
    rows.push_back({"of it outside the workspace", "", known(elsewhere).to_string()});
  const std::size_t values = column_of_values(rows);
  std::size_t width = 0;
  for (const Row& row : rows)
    width = std::max(width, fits(row, values) ? width_of(row, values) : kColumns);
  std::string text;
  for (const Row& row : rows)
    text += fits(row, values) ? line_of(row, values, width) : lines_of(row, values);
  return text;
}

}  // namespace weir
