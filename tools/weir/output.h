// What the tool says, on standard output and on standard error.
#pragma once

#include <stdexcept>
#include <string_view>

namespace weir::tool {

// Standard output did not take what was written: it is full, or closed.
class OutputError : public std::runtime_error {
 public:
  explicit OutputError(int code);
  // A reader that has seen enough is no reason for a message.
  bool is_closed_pipe() const { return closed_pipe_; }

 private:
  bool closed_pipe_;
};

// Opens what the process was started without, so that no file that is written later takes the
// place of standard error and gets its messages.
void open_standard_files();

// A message on standard error behind a label, which has its colour on a terminal where NO_COLOR
// (https://no-color.org) is not set or empty. That it cannot be written changes nothing.
enum class Color { red = 31, yellow = 33 };  // as terminals number them
void print_error(std::string_view label, Color color, std::string_view message);
void warn(std::string_view message);

// To standard output. Throws OutputError.
void print_out(std::string_view text);
void flush_out();

}  // namespace weir::tool
