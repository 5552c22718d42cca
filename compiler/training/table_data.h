// A data set from one table: some columns are the targets, and all others the data.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "compiler/frontend/file.h"
#include "compiler/training/data_set.h"

namespace weir {

struct TableData : DataSet {
  std::vector<std::int64_t> target_columns;  // of the targets, numbered from 0 on
};

// Of a CSV file (frontend/csv.h). A target is the name of a column, as in the header, or its number
// from 1 on; the targets are a vector if there is one of them, else a row for each row. Error if
// there are no rows, if there is no such column, if several have the name, if one is chosen twice,
// or if no column is left.
//
// `order` makes two tables one set: the first gives the names of the data's columns, if it has a
// header, and a second one with a header is read in their order. Error then if it has others.
TableData read_table(const FileBytes& file, std::span<const std::string> targets,
                     std::vector<std::string>* order = nullptr);

}  // namespace weir
