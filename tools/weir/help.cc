// The layout of --help: what a command is for, usage, arguments, options and examples in 80
// columns.
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "help.h"
#include "terminal.h"

namespace weir::tool {
namespace {

constexpr std::size_t kDescriptionColumn = 26;

std::string entry(const std::string& name, const std::string& description) {
  std::string left = "  " + name;
  std::string gap = left.size() + 2 > kDescriptionColumn
                        ? "\n" + std::string(kDescriptionColumn, ' ')
                        : std::string(kDescriptionColumn - left.size(), ' ');
  return left + gap + wrapped(description, kDescriptionColumn) + "\n";
}

std::string option_entry(const CLI::Option& option) {
  return entry(option_title(option), option_description(option));
}

class HelpFormatter : public CLI::FormatterBase {
 public:
  std::string make_help(const CLI::App* app, std::string, CLI::AppFormatMode) const override {
    std::string arguments, options, commands;
    for (const CLI::Option* option : app->get_options())
      (option->get_positional() ? arguments : options) += option_entry(*option);
    for (const CLI::App* command : app->get_subcommands(nullptr))
      commands += entry(command->get_name(), command->get_description());
    std::string text =
        fmt::format("{}\n\nusage: {}\n", wrapped(app->get_description(), 0), usage_of(*app));
    if (!commands.empty()) text += "\ncommands:\n" + commands;
    if (!arguments.empty()) text += "\narguments:\n" + arguments;
    text += "\noptions:\n" + options;
    // CLI11 ends a computed footer with a line break.
    std::string footer = app->get_footer();
    while (footer.ends_with('\n')) footer.pop_back();
    return footer.empty() ? text : text + "\n" + footer + "\n";
  }
};

}  // namespace

std::string wrapped(std::string_view text, std::size_t indent) {
  std::string result;
  std::size_t column = indent;
  while (!text.empty()) {
    std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(text.size(), word.size() + 1));
    if (column > indent && column + 1 + word.size() > kTerminalColumns) {
      result += "\n" + std::string(indent, ' ');
      column = indent;
    } else if (column > indent) {
      result += ' ';
      ++column;
    }
    result += word;
    column += word.size();
  }
  return result;
}

std::string value_placeholder(const CLI::Option& option) {
  return option.get_positional() ? option.get_name(true, false) : option.get_option_text();
}

std::string option_title(const CLI::Option& option) {
  if (option.get_positional()) return value_placeholder(option);
  std::string title = option.get_name(false, true);
  for (std::size_t comma = 0; (comma = title.find(',', comma)) != std::string::npos; comma += 2)
    title.insert(comma + 1, " ");
  std::string value = value_placeholder(option);
  return value.empty() ? title : title + " " + value;
}

std::string option_description(const CLI::Option& option) {
  // Of an argument the line of usage says it.
  bool is_told = option.get_required() && !option.get_positional();
  return option.get_description() + (is_told ? " Required." : "");
}

std::string usage_of(const CLI::App& command) {
  if (command.get_parent() == nullptr) return command.get_name() + " COMMAND [OPTIONS]";
  std::string usage = command.get_parent()->get_name() + " " + command.get_name();
  for (const CLI::Option* option : command.get_options())
    if (option->get_positional()) {
      std::string argument = value_placeholder(*option);
      if (option->get_allow_extra_args()) argument += " ...";
      usage += option->get_required() ? " " + argument : " [" + argument + "]";
    }
  for (const CLI::Option* option : command.get_options()) {
    if (option->get_positional() || !option->get_required()) continue;
    const bool is_short = !option->get_snames().empty();
    usage += is_short ? " -" + option->get_snames().front() : " --" + option->get_lnames().front();
    usage += " " + value_placeholder(*option);
  }
  return usage + " [OPTIONS]";
}

std::shared_ptr<CLI::FormatterBase> help_formatter() { return std::make_shared<HelpFormatter>(); }

}  // namespace weir::tool
