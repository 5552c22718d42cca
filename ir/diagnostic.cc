#include "ir/diagnostic.h"

#include <fmt/format.h>

namespace weir {

Location::Location(const std::source_location& where)
    : file(std::make_shared<const std::string>(where.file_name())),
      line(static_cast<int>(where.line())),
      column(static_cast<int>(where.column())) {}

Location Location::derived(std::string_view prefix) const {
  Location result = *this;
  result.note = note.empty() ? std::string(prefix) : fmt::format("{} {}", prefix, note);
  return result;
}

std::string Location::to_string() const {
  std::string position;
  if (file) position = *file;
  if (file && line > 0) position += fmt::format(":{}", line);
  if (file && line > 0 && column > 0) position += fmt::format(":{}", column);
  if (note.empty()) return position;
  return position.empty() ? note : fmt::format("{} {}", note, position);
}

std::string Diagnostic::to_string() const {
  std::string where = location.to_string();
  std::string text = where.empty() ? message : fmt::format("{}: error: {}", where, message);
  if (source_line.empty() || location.column < 1) return text;
  // A tab keeps its width under the caret by being repeated; every other byte before the column
  // becomes a space, except the continuation bytes of UTF-8, which have no width.
  std::string pad;
  for (std::size_t i = 0; i + 1 < static_cast<std::size_t>(location.column); ++i) {
    if (i >= source_line.size()) {
      pad += ' ';
    } else if (source_line[i] == '\t') {
      pad += '\t';
    } else if ((static_cast<unsigned char>(source_line[i]) & 0xC0) != 0x80) {
      pad += ' ';
    }
  }
  return fmt::format("{}\n  {}\n  {}^", text, source_line, pad);
}

void internal_error(const char* condition, const std::source_location& where,
                    const std::string& detail) {
  std::string message = fmt::format("internal error: {} does not hold, at {}:{} in {}", condition,
                                    where.file_name(), where.line(), where.function_name());
  if (!detail.empty()) message += "\n" + detail;
  throw InternalError(message);
}

}  // namespace weir
