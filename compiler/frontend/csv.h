// CSV files: numbers in rows and columns, as spreadsheets and data tools write them.
//
// Format: RFC 4180. Commas separate the cells, LF or CRLF ends a row, the last one too or not; a
// cell may stand in quotes, and may then hold commas, line ends and doubled quotes. A byte order
// mark and blank lines at the end are skipped, and so are spaces and tabs around a cell. A first
// row without a number is a header and no part of the tensor.
//
// A tensor of rank 2 is a row of cells for each index of its first dimension. In higher ranks the
// dimensions after the first lie one behind the other in the row; a vector is one column, or is
// read from one row as well; a scalar is one cell.
//
// The text is gone through twice: the first time finds the size, and only then is memory taken.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "compiler/frontend/file.h"
#include "compiler/frontend/tensor_header.h"
#include "ir/tensor.h"

namespace weir {

// A tensor of the expected type; sizes of symbols come from the file. Where none is expected, the
// rank is 2 and the elements are bool if all cells are true or false, i64 if all are integers, and
// else f64.
//
// Error, with the line and column, for a cell that does not hold an element, for rows of different
// lengths, and for cells that do not fit the expected type. Cells of a bool are true or false in
// lower case, upper case or capitalized, or 1 or 0. Also what `check` throws.
Tensor read_csv(const FileBytes& file, const TensorType* expected = nullptr,
                const TensorCheck& check = {});

// A table: the names in its header, none if it has no header, and its cells, as of read_csv() where
// no type is expected.
struct CsvTable {
  std::vector<std::string> names;
  Tensor cells;
};
CsvTable read_csv_table(const FileBytes& file);

// Throws an Error at a cell of a file that could be read, both numbered from 0 on, without the
// header: for what is wrong with the number in it.
[[noreturn]] void refuse_csv_cell(const FileBytes& file, std::int64_t row, std::int64_t column,
                                  std::string message);

// Throws an Error at the header of a file that has nothing else, for who needs rows.
[[noreturn]] void refuse_csv_without_rows(const FileBytes& file);

// Without a header; numbers in the shortest form that reads back as the same number. Error if the
// tensor has no elements: CSV has no text for its sizes.
std::string csv_text(const Tensor& tensor);
void write_csv(const std::string& path, const Tensor& tensor);

}  // namespace weir
