#include "ir/diagnostic.h"

#include <algorithm>

#include <fmt/format.h>

#include "ir/escape.h"

namespace weir {
namespace {

// Names of nodes come from files, and a message may quote several.
constexpr std::size_t kLongestNote = 400;
constexpr std::size_t kLongestMessage = 8000;

}  // namespace

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
  if (file) position = printable(*file);
  if (file && line > 0) position += fmt::format(":{}", line);
  if (file && line > 0 && column > 0) position += fmt::format(":{}", column);
  if (note.empty()) return position;
  std::string origin = shortened(note, kLongestNote);
  return position.empty() ? origin : fmt::format("{} {}", origin, position);
}

std::string Location::source_line() const {
  if (!text || line < 1) return {};
  std::string_view rest = *text;
  for (int before = 1; before < line; ++before) {
    std::size_t newline = rest.find('\n');
    if (newline == std::string_view::npos) return {};
    rest.remove_prefix(newline + 1);
  }
  rest = rest.substr(0, rest.find('\n'));
  if (rest.ends_with('\r')) rest.remove_suffix(1);
  return std::string(rest);
}

namespace {

// Columns shown of a long line, and how many of them stand before the caret at most.
constexpr std::size_t kShownBytes = 120;
constexpr std::size_t kShownBefore = 80;

bool continues_character(std::string_view line, std::size_t position) {
  return position < line.size() && (static_cast<unsigned char>(line[position]) & 0xC0) == 0x80;
}

// The part of a line from `start` to `end` as it can be shown; tabs stay.
std::string shown(std::string_view line, std::size_t start, std::size_t end) {
  std::string text;
  for (std::size_t i = start; i < end;) {
    std::size_t tab = std::min(line.find('\t', i), end);
    text += printable(line.substr(i, tab - i));
    if (tab < end) text += '\t';
    i = tab + 1;
  }
  return text;
}

}  // namespace

std::string Diagnostic::to_string() const {
  std::string where = location.to_string();
  std::string_view kept = prefix(message, kLongestMessage);
  std::string text = fmt::format("{}{}{}{}", where, where.empty() ? "" : ": error: ", kept,
                                 kept.size() < message.size() ? "..." : "");
  if (source_line.empty() || location.column < 1) return text;
  std::string_view line = source_line;
  std::size_t caret = std::min(static_cast<std::size_t>(location.column) - 1, line.size());
  std::size_t start = caret > kShownBefore ? caret - kShownBefore : 0;
  while (start < caret && continues_character(line, start)) ++start;
  std::size_t end = std::min(line.size(), start + kShownBytes);
  while (continues_character(line, end)) ++end;
  std::string before = (start > 0 ? "..." : "") + shown(line, start, caret);
  std::string after = shown(line, caret, end) + (end < line.size() ? "..." : "");
  // A tab keeps its width under the caret by being repeated; of a character in UTF-8 the first byte
  // counts.
  std::string pad;
  for (std::size_t i = 0; i < before.size(); ++i)
    if (!continues_character(before, i)) pad += before[i] == '\t' ? '\t' : ' ';
  return fmt::format("{}\n  {}{}\n  {}^", text, before, after, pad);
}

void internal_error(const char* condition, const std::source_location& where,
                    const std::string& detail) {
  std::string message = fmt::format("internal error: {} does not hold, at {}:{} in {}", condition,
                                    where.file_name(), where.line(), where.function_name());
  if (!detail.empty()) message += "\n" + detail;
  throw InternalError(message);
}

}  // namespace weir
