// Locations, diagnostics and the two checks.
//
// "Your input is wrong" is a weir::Error: it carries a Diagnostic that says where, what is wrong
// and what would be right. "Our bug" is WEIR_CHECK, which throws weir::InternalError with the
// failed condition and whatever IR the caller attaches. The two never share a code path.
#pragma once

#include <memory>
#include <source_location>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace weir {

// Where a thing was declared: a position in a text file, a named node of an imported file, or the
// source line of a C++ builder call. Lines and columns count from 1; 0 means unknown.
struct Location {
  std::shared_ptr<const std::string> file;  // null if unknown
  int line = 0;
  int column = 0;
  std::string note;  // what derived it ("gradient of"), or the name of the node in its file
  std::shared_ptr<const std::string> text;  // what the file holds, for messages; null if unknown

  Location() = default;
  Location(std::shared_ptr<const std::string> file_name, int line_number, int column_number,
           std::shared_ptr<const std::string> file_text = nullptr)
      : file(std::move(file_name)),
        line(line_number),
        column(column_number),
        text(std::move(file_text)) {}
  // The line of a C++ builder call.
  explicit Location(const std::source_location& where);

  bool known() const { return file != nullptr; }
  // This location with `prefix` put before its note, as "gradient of".
  Location derived(std::string_view prefix) const;
  // "gradient of model.weir:3:8", or "" when unknown. Names of files and nodes may hold any bytes
  // and be of any length: control characters and malformed UTF-8 are escaped, and long notes cut.
  std::string to_string() const;
  // The line of the file, where its text is known.
  std::string source_line() const;
};

// One message about the user's input.
struct Diagnostic {
  Location location;
  std::string message;      // what is wrong and what would be right, in one sentence or two
  std::string source_line;  // the line at fault, when there is one to show

  // "model.weir:3:8: error: MESSAGE", then the line and a caret under the column, when known. A
  // message of many kilobytes is cut.
  std::string to_string() const;
};

// The user's input is wrong.
class Error : public std::runtime_error {
 public:
  explicit Error(Diagnostic diagnostic)
      : std::runtime_error(diagnostic.to_string()), diagnostic_(std::move(diagnostic)) {}
  explicit Error(std::string message) : Error(Diagnostic{{}, std::move(message), {}}) {}
  // Shows the line of the file, where its text is known.
  Error(const Location& location, std::string message)
      : Error(Diagnostic{location, std::move(message), location.source_line()}) {}

  const Diagnostic& diagnostic() const { return diagnostic_; }

 private:
  Diagnostic diagnostic_;
};

// A fault in Weir itself.
class InternalError : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

[[noreturn]] void internal_error(const char* condition, const std::source_location& where,
                                 const std::string& detail = {});

}  // namespace weir

// An invariant of ours. The optional second argument is text (usually printed IR) to show.
#define WEIR_CHECK(condition, ...)                                                        \
  do {                                                                                    \
    if (!(condition)) [[unlikely]]                                                        \
      ::weir::internal_error(#condition,                                                  \
                             std::source_location::current() __VA_OPT__(, ) __VA_ARGS__); \
  } while (false)
