#include "compiler/frontend/csv.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include <fmt/format.h>

#include "compiler/frontend/element_text.h"

namespace weir {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
// Of a file whose type is not known; wider tensors are no work for text.
constexpr std::int64_t kMostColumns = std::int64_t{1} << 18;
constexpr std::size_t kLongestShownLine = 65536;

bool is_blank(char c) { return c == ' ' || c == '\t'; }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

// What stands between two separators. Escaped quotes stay as they are: no number has one.
struct Cell {
  std::string_view text;
  std::size_t position;  // in the file
  bool ends_row;
};

class CsvText {
 public:
  explicit CsvText(const FileBytes& file) : file_(file), text_(file.text()) {
    if (text_.starts_with(kByteOrderMark)) begin_ = kByteOrderMark.size();
    end_ = text_.size();
    while (end_ > begin_ &&
           (is_blank(text_[end_ - 1]) || text_[end_ - 1] == '\n' || text_[end_ - 1] == '\r'))
      --end_;
    position_ = begin_;
  }

  bool at_end() const { return position_ >= end_; }
  std::size_t position() const { return position_; }
  void go_to(std::size_t position) { position_ = position; }

  Cell next() {
    std::size_t start = position_;
    while (start < end_ && is_blank(text_[start])) ++start;
    return start < end_ && text_[start] == '"' ? quoted_cell(start) : plain_cell();
  }

  [[noreturn]] void refuse(std::size_t position, std::string message) const {
    std::size_t line_begin = position == 0 ? 0 : text_.rfind('\n', position - 1) + 1;
    std::size_t line_end = std::min(text_.find_first_of("\r\n", position), text_.size());
    auto lines =
        std::count(text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(line_begin), '\n');
    Location location(
        std::make_shared<const std::string>(file_.name),
        static_cast<int>(std::min<std::ptrdiff_t>(lines + 1, INT32_MAX)),
        static_cast<int>(std::min<std::size_t>(position - line_begin + 1, INT32_MAX)));
    std::string line;
    if (line_end - line_begin <= kLongestShownLine)
      line = text_.substr(line_begin, line_end - line_begin);
    throw Error(Diagnostic{std::move(location), std::move(message), std::move(line)});
  }

 private:
  // Moves behind the separator at `end`, and makes the cell that it ends.
  Cell ended(std::string_view text, std::size_t position, std::size_t end) {
    bool ends_row = end >= end_ || text_[end] != ',';
    position_ = end + 1;
    return {text, position, ends_row};
  }

  Cell plain_cell() {
    std::size_t start = position_;
    std::size_t end = std::min(text_.find_first_of(",\n", start), end_);
    std::string_view text = text_.substr(start, end - start);
    if (end < end_ && text_[end] == '\n' && text.ends_with('\r')) text.remove_suffix(1);
    std::string_view inner = trimmed(text);
    return ended(inner, static_cast<std::size_t>(inner.data() - text_.data()), end);
  }

  Cell quoted_cell(std::size_t quote) {
    std::size_t end = quote + 1;
    for (;; end += 2) {
      end = text_.find('"', end);
      if (end == std::string_view::npos || end >= end_)
        refuse(quote, "the cell begins with a quote, and there is none at its end");
      if (end + 1 >= end_ || text_[end + 1] != '"') break;
    }
    std::size_t after = end + 1;
    while (after < end_ && is_blank(text_[after])) ++after;
    if (after + 1 < end_ && text_[after] == '\r' && text_[after + 1] == '\n') ++after;
    if (after < end_ && text_[after] != ',' && text_[after] != '\n')
      refuse(after, "a comma or the end of the row is missing behind the quoted cell");
    return ended(trimmed(text_.substr(quote + 1, end - quote - 1)), quote, after);
  }

  const FileBytes& file_;
  std::string_view text_;
  std::size_t begin_ = 0, end_, position_;
};

std::optional<bool> truth(std::string_view text) {
  for (std::string_view word : {"true", "True", "TRUE"})
    if (text == word) return true;
  for (std::string_view word : {"false", "False", "FALSE"})
    if (text == word) return false;
  return std::nullopt;
}

// Whether a cell holds something else than a name, be it of the type that is wanted or not.
bool is_value(std::string_view text) {
  if (truth(text)) return true;
  if (text.starts_with('+')) text.remove_prefix(1);
  double number = 0;
  auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), number);
  return fault != std::errc::invalid_argument && end == text.data() + text.size();
}

ElementText parse_cell(std::string_view text, DType dtype) {
  if (text.empty())
    return {{},
            is_float(dtype)
                ? "the cell is empty; write nan for a number that is missing"
                : fmt::format("the cell is empty, and the element type is {}", name(dtype))};
  if (dtype == DType::boolean) {
    if (text == "0" || text == "1") return {scalar::from_bool(text == "1"), {}};
    if (std::optional<bool> value = truth(text)) return {scalar::from_bool(*value), {}};
  }
  ElementText element = parse_element(text, dtype);
  if (!element.fault.empty() && text.find_first_of(";\t") != std::string_view::npos)
    element.fault += "; commas separate the cells";
  return element;
}

// With doubled quotes as single ones.
std::string unescaped(std::string_view text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    result += text[i];
    if (text.substr(i, 2) == "\"\"") ++i;
  }
  return result;
}

// Skips the first row if it is a header, and returns how many cells it has; 0 if it is none.
std::int64_t skip_header(CsvText& text) {
  std::size_t start = text.position();
  std::optional<Cell> name, value;
  std::int64_t count = 0;
  for (bool in_row = true; in_row; ++count) {
    Cell cell = text.next();
    in_row = !cell.ends_row;
    if (cell.text.empty()) continue;
    std::optional<Cell>& kind = is_value(cell.text) ? value : name;
    if (!kind) kind = cell;
  }
  if (name && value)
    text.refuse(name->position,
                fmt::format("{} is not a number, and {} in the same row is one: the "
                            "first row is a header of names alone, or numbers",
                            shown(name->text), shown(value->text)));
  if (!name) {
    text.go_to(start);
    return 0;
  }
  return count;
}

// The cells of a row that the type allows; none if it does not say.
std::optional<std::int64_t> expected_columns(const FileBytes& file, const TensorType* expected) {
  if (!expected || expected->rank() == 1) return std::nullopt;
  std::int64_t columns = 1;
  for (std::size_t i = 1; i < expected->shape.size(); ++i) {
    const Dim& dim = expected->shape[i];
    if (!dim.is_constant() && expected->rank() == 2) return std::nullopt;
    if (!dim.is_constant())
      file.refuse(
          fmt::format("CSV cannot tell the size {} of {}; give it with --dim, or take a "
                      ".npy file",
                      dim.to_string(), to_string(*expected)));
    if (__builtin_mul_overflow(columns, dim.value(), &columns))
      file.refuse(fmt::format("{} has too many elements", to_string(*expected)));
  }
  return columns;
}

struct Extent {
  std::int64_t rows, columns;
};

std::string cells(std::int64_t count) {
  return fmt::format("{} cell{}", count, count == 1 ? "" : "s");
}

// The rows from here to the end; `see` is shown every cell. `header` is the number of its cells.
template <class See>
Extent measure(CsvText& text, const TensorType* expected, std::optional<std::int64_t> columns,
               std::int64_t header, const See& see) {
  Extent extent{0, header};
  while (!text.at_end()) {
    std::size_t start = text.position();
    std::int64_t count = 0;
    for (bool in_row = true; in_row;) {
      Cell cell = text.next();
      in_row = !cell.ends_row;
      ++count;
      if (columns && count > *columns)
        text.refuse(cell.position, fmt::format("the row has more than {}; {} is expected",
                                               cells(*columns), to_string(*expected)));
      if (!columns && count > kMostColumns)
        text.refuse(cell.position, fmt::format("the row has more than {} cells; tensors as wide as "
                                               "that are read from .npy files",
                                               kMostColumns));
      see(cell);
    }
    if (columns && count != *columns)
      text.refuse(start, fmt::format("the row has {}; {} is expected, with {} in a row",
                                     cells(count), to_string(*expected), *columns));
    if (extent.columns > 0 && count != extent.columns)
      text.refuse(start, fmt::format("the row has {}, and the {} {}", cells(count),
                                     extent.rows > 0 ? "rows before it have" : "header has",
                                     extent.columns));
    extent.columns = count;
    ++extent.rows;
  }
  return extent;
}

Tensor::Sizes sizes_of(const FileBytes& file, Extent extent, const TensorType* expected) {
  if (!expected) return {extent.rows, extent.columns};
  auto fits = [&](std::size_t i, std::int64_t size) {
    return !expected->shape[i].is_constant() || expected->shape[i].value() == size;
  };
  Tensor::Sizes sizes;
  bool is_right = true;
  switch (expected->rank()) {
    case 0:
      is_right = extent.rows == 1;
      break;
    case 1:
      is_right = extent.rows == 1 || extent.columns == 1;
      sizes = {extent.rows * extent.columns};
      break;
    case 2:
      sizes = {extent.rows, extent.columns};
      break;
    default:
      sizes = {extent.rows};
      for (std::size_t i = 1; i < expected->shape.size(); ++i)
        sizes.push_back(expected->shape[i].value());
  }
  for (std::size_t i = 0; is_right && i < sizes.size(); ++i) is_right = fits(i, sizes[i]);
  if (!is_right)
    file.refuse(fmt::format("the file has {} row{} of {} cell{}, and {} is expected", extent.rows,
                            extent.rows == 1 ? "" : "s", extent.columns,
                            extent.columns == 1 ? "" : "s", to_string(*expected)));
  return sizes;
}

}  // namespace

Tensor read_csv(const FileBytes& file, const TensorType* expected, const TensorCheck& check) {
  CsvText text(file);
  if (text.at_end()) file.refuse("the file has no text; rows of numbers are expected");
  std::int64_t header = skip_header(text);
  std::size_t data = text.position();

  bool all_bool = true, all_integer = true;
  Extent extent =
      measure(text, expected, expected_columns(file, expected), header, [&](const Cell& cell) {
        if (expected) return;
        all_bool = all_bool && truth(cell.text).has_value();
        all_integer = all_integer && parse_element(cell.text, DType::i64).fault.empty();
      });
  DType dtype = expected      ? expected->dtype
                : all_bool    ? DType::boolean
                : all_integer ? DType::i64
                              : DType::f64;
  Tensor::Sizes sizes = sizes_of(file, extent, expected);
  if (check) check(header_in_memory(dtype, sizes));
  Tensor tensor(dtype, std::move(sizes));
  text.go_to(data);
  for (std::int64_t i = 0; i < tensor.element_count(); ++i) {
    Cell cell = text.next();
    ElementText element = parse_cell(cell.text, dtype);
    if (!element.fault.empty()) text.refuse(cell.position, std::move(element.fault));
    tensor.set_bits(i, element.bits);
  }
  return tensor;
}

CsvTable read_csv_table(const FileBytes& file) {
  CsvTable table{{}, read_csv(file)};
  CsvText text(file);
  auto count = static_cast<std::size_t>(skip_header(text));
  CsvText header(file);
  while (table.names.size() < count) table.names.push_back(unescaped(header.next().text));
  return table;
}

void refuse_csv_cell(const FileBytes& file, std::int64_t row, std::int64_t column,
                     std::string message) {
  CsvText text(file);
  skip_header(text);
  for (; row > 0; --row)
    while (!text.next().ends_row) {
    }
  for (; column > 0; --column) text.next();
  text.refuse(text.next().position, std::move(message));
}

void refuse_csv_without_rows(const FileBytes& file) {
  CsvText text(file);
  text.refuse(text.position(), "the file has a header, and no rows behind it");
}

std::string csv_text(const Tensor& tensor) {
  if (tensor.element_count() == 0)
    throw Error(fmt::format("{} has no elements, and CSV cannot say so; write a .npy file",
                            to_string(tensor.dtype(), tensor.sizes())));
  std::int64_t columns = tensor.rank() < 2 ? 1 : tensor.element_count() / tensor.sizes().front();
  std::string text;
  for (std::int64_t i = 0; i < tensor.element_count(); ++i) {
    text += scalar::to_string(tensor.dtype(), tensor.bits(i));
    text += (i + 1) % columns == 0 ? '\n' : ',';
  }
  return text;
}

void write_csv(const std::string& path, const Tensor& tensor) {
  write_file(path, {csv_text(tensor)});
}

}  // namespace weir
