#include "output.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <system_error>

#include <fmt/format.h>

#include "ir/escape.h"

namespace weir::tool {

OutputError::OutputError(int code)
    : std::runtime_error(
          fmt::format("the output cannot be written: {}", std::generic_category().message(code))),
      closed_pipe_(code == EPIPE) {}

void open_standard_files() {
  for (int number : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (::fcntl(number, F_GETFD) < 0 && errno == EBADF)
      // The wrong way round: what is closed can still be neither read nor written.
      static_cast<void>(::open("/dev/null", number == STDIN_FILENO ? O_WRONLY : O_RDONLY));
}

namespace {

// Text of others in a message says nothing to the terminal; lines and the tabs before a caret stay.
std::string without_controls(std::string_view message) {
  std::string text;
  while (!message.empty()) {
    std::size_t end = std::min(message.find_first_of("\n\t"), message.size());
    text += printable(message.substr(0, end));
    if (end < message.size()) text += message[end++];
    message.remove_prefix(end);
  }
  return text;
}

}  // namespace

void print_error(std::string_view label, Color color, std::string_view message) {
  const char* no_color = std::getenv("NO_COLOR");
  bool colored = isatty(STDERR_FILENO) == 1 && (no_color == nullptr || *no_color == '\0');
  std::string text(label);
  if (colored && !label.empty())
    text = fmt::format("\x1b[1;{}m{}\x1b[0m", static_cast<int>(color), label);
  text += fmt::format("{}{}\n", label.empty() ? "" : " ", without_controls(message));
  // Nobody is left to be told that this fails.
  static_cast<void>(std::fwrite(text.data(), 1, text.size(), stderr));
}

void warn(std::string_view message) {
  print_error("weir: warning:", Color::yellow, printable(message));
}

void print_out(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size()) throw OutputError(errno);
}

void flush_out() {
  if (std::fflush(stdout) != 0) throw OutputError(errno);
}

}  // namespace weir::tool
