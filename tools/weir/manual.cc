// weir(1): the help of the command and of all its commands as one page in man's macros.
//
// Text reaches groff and mandoc as it is: what has a meaning there is escaped, and so are the
// characters that typesetting would replace - quotes, hyphens - for whoever copies a command.
#include <algorithm>
#include <cctype>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "help.h"

namespace weir::tool {
namespace {

constexpr std::string_view kEnding = R"(.SH EXIT STATUS
0 if what was asked for is done, and 1 if not; standard error then says why.
.SH ENVIRONMENT
.TP
\fBNO_COLOR\fR
If it is set to anything, nothing is coloured. Without it, errors are, on a terminal.
)";

std::string escaped(std::string_view text) {
  std::string result;
  bool line_begins = true;
  for (char c : text) {
    if (line_begins && (c == '.' || c == '\'')) result += "\\&";
    line_begins = c == '\n';
    switch (c) {
      case '\\':
        result += "\\e";
        break;
      case '-':
        result += "\\-";
        break;
      case '\'':
        result += "\\(aq";
        break;
      case '`':
        result += "\\(ga";
        break;
      case '^':
        result += "\\(ha";
        break;
      case '~':
        result += "\\(ti";
        break;
      default:
        result += c;
    }
  }
  return result;
}

std::string bold(std::string_view text) { return "\\fB" + escaped(text) + "\\fR"; }

std::string upper_case(std::string text) {
  for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return text;
}

// A paragraph with a hanging title.
std::string manual_entry(const std::string& title, const std::string& description) {
  return ".TP\n" + bold(title) + "\n" + escaped(description) + "\n";
}

std::string heading(std::string_view macro, std::string_view title) {
  return fmt::format("{} {}\n", macro, escaped(title));
}

// The options or the arguments, under a heading; nothing if there are none.
std::string options_text(const CLI::App& command, bool positional, const std::string& title) {
  std::string text;
  for (const CLI::Option* option : command.get_options())
    if (option->get_positional() == positional)
      text += manual_entry(option_title(*option), option_description(*option));
  return text.empty() ? text : title + text;
}

// What stands below the options: lists under a line such as "examples:", as they are.
std::string footer_text(const CLI::App& command, std::string_view macro) {
  std::string text, footer = command.get_footer();
  bool open = false;
  for (std::string_view rest = footer; !rest.empty();) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    bool is_listed = line.starts_with(' ');
    if (open && !is_listed) text += ".EE\n";
    if (!open && is_listed) text += ".EX\n";
    open = is_listed;
    if (line.ends_with(':')) {
      std::string title(line.substr(0, line.size() - 1));
      title[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(title[0])));
      text += heading(macro, macro == ".SH" ? upper_case(title) : title);
    } else if (is_listed) {
      text += escaped(line.substr(2)) + "\n";
    } else if (!line.empty()) {
      text += ".PP\n" + escaped(line) + "\n";
    }
  }
  return open ? text + ".EE\n" : text;
}

std::string command_text(const CLI::App& command) {
  std::string text = heading(".SH", upper_case("weir " + command.get_name()));
  text += bold(usage_of(command)) + "\n.PP\n" + escaped(command.get_description()) + "\n";
  text += options_text(command, true, ".SS Arguments\n");
  text += options_text(command, false, ".SS Options\n");
  return text + footer_text(command, ".SS");
}

}  // namespace

std::string manual_page(const CLI::App& app) {
  // "weir: what it is. What it does."
  std::string description = app.get_description();
  std::string what = description.substr(0, description.find('.'));
  what.erase(0, what.find(": ") + 2);
  std::string text =
      fmt::format(".TH WEIR 1 {} \"weir {}\" \"User Commands\"\n", WEIR_VERSION_DATE, WEIR_VERSION);
  text += heading(".SH", "NAME") + "weir \\- " + escaped(what) + "\n";
  text += heading(".SH", "SYNOPSIS") + bold(usage_of(app)) + "\n";
  text += heading(".SH", "DESCRIPTION") + escaped(description) + "\n";
  text += heading(".SH", "COMMANDS");
  auto commands = app.get_subcommands(nullptr);
  for (const CLI::App* command : commands)
    text += manual_entry(command->get_name(), command->get_description());
  text += options_text(app, false, heading(".SH", "OPTIONS"));
  text += footer_text(app, ".SH");
  for (const CLI::App* command : commands) text += command_text(*command);
  return text + std::string(kEnding);
}

}  // namespace weir::tool
