#include "compiler/training/table_data.h"

#include <algorithm>
#include <charconv>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "compiler/frontend/csv.h"

namespace weir {
namespace {

constexpr std::size_t kShownNames = 20;

std::string known_columns(const CsvTable& table, std::int64_t count) {
  if (table.names.empty()) return fmt::format("it has no header, and columns 1 to {}", count);
  std::size_t some = std::min(table.names.size(), kShownNames);
  std::vector<std::string> names;
  for (std::size_t i = 0; i < some; ++i) names.push_back(shown(table.names[i]));
  return fmt::format("it has {}{}", fmt::join(names, ", "),
                     some < table.names.size()
                         ? fmt::format(" and {} more", table.names.size() - some)
                         : std::string());
}

std::int64_t column_of(const FileBytes& file, const CsvTable& table, const std::string& target) {
  std::int64_t columns = table.cells.sizes()[1];
  auto named = std::find(table.names.begin(), table.names.end(), target);
  if (named != table.names.end()) {
    auto other = std::find(named + 1, table.names.end(), target);
    if (other != table.names.end())
      file.refuse(fmt::format(
          "the columns {} and {} are both named {}; say by the number which one",
          named - table.names.begin() + 1, other - table.names.begin() + 1, shown(target)));
    return named - table.names.begin();
  }
  std::int64_t number = 0;
  auto [end, fault] = std::from_chars(target.data(), target.data() + target.size(), number);
  if (fault != std::errc() || end != target.data() + target.size() || number < 1 ||
      number > columns)
    file.refuse(
        fmt::format("the file has no column {}; {}", shown(target), known_columns(table, columns)));
  return number - 1;
}

// The data's columns in the order of these names, of which several may be the same.
std::vector<std::int64_t> in_order(const FileBytes& file, const CsvTable& table,
                                   std::vector<std::int64_t> columns,
                                   std::span<const std::string> names) {
  std::vector<std::int64_t> result;
  for (const std::string& name : names) {
    auto found = std::find_if(columns.begin(), columns.end(), [&](std::int64_t column) {
      return table.names[static_cast<std::size_t>(column)] == name;
    });
    if (found == columns.end())
      file.refuse(
          fmt::format("the file has no column {}, and the data that are trained on have "
                      "one; {}",
                      shown(name), known_columns(table, table.cells.sizes()[1])));
    result.push_back(*found);
    columns.erase(found);
  }
  if (!columns.empty())
    file.refuse(fmt::format("the column {} is none of the data that are trained on",
                            shown(table.names[static_cast<std::size_t>(columns.front())])));
  return result;
}

// The columns of these numbers, in their order.
Tensor columns_of(const Tensor& cells, std::span<const std::int64_t> chosen) {
  std::int64_t rows = cells.sizes()[0], columns = cells.sizes()[1], to = 0;
  Tensor result(cells.dtype(), {rows, static_cast<std::int64_t>(chosen.size())});
  for (std::int64_t row = 0; row < rows; ++row)
    for (std::int64_t column : chosen) result.set_bits(to++, cells.bits(row * columns + column));
  return result;
}

}  // namespace

TableData read_table(const FileBytes& file, std::span<const std::string> targets,
                     std::vector<std::string>* order) {
  CsvTable table = read_csv_table(file);
  if (table.cells.sizes()[0] == 0) refuse_csv_without_rows(file);
  std::vector<std::int64_t> chosen, others;
  for (const std::string& target : targets) {
    chosen.push_back(column_of(file, table, target));
    if (std::count(chosen.begin(), chosen.end(), chosen.back()) > 1)
      file.refuse(fmt::format("the column {} is named twice", shown(target)));
  }
  for (std::int64_t column = 0; column < table.cells.sizes()[1]; ++column)
    if (std::find(chosen.begin(), chosen.end(), column) == chosen.end()) others.push_back(column);
  if (others.empty()) file.refuse("all columns are targets, and none is left for the data");
  if (order != nullptr && !table.names.empty()) {
    if (order->empty()) {
      for (std::int64_t column : others)
        order->push_back(table.names[static_cast<std::size_t>(column)]);
    } else {
      others = in_order(file, table, others, *order);
    }
  }
  TableData set{{columns_of(table.cells, others), columns_of(table.cells, chosen)}, chosen};
  if (chosen.size() == 1)
    set.targets = Tensor::shared(set.targets.dtype(), {set.targets.element_count()},
                                 std::make_shared<const Tensor>(set.targets), set.targets.data());
  return set;
}

}  // namespace weir
