// Completion for bash, as a script that holds all it knows: commands, options, and the values of
// those options whose placeholder says what they are. It needs neither bash-completion nor a run of
// the command.
//
// In the script one `case` over COMMAND:OPTION chooses the values; the option is the word before
// the one that is being typed, or stands before a "=", which bash takes for a word of its own.
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "compiler/aot/compile_model.h"
#include "compiler/passes/pass_manager.h"
#include "compiler/pipeline.h"
#include "help.h"
#include "ir/registry.h"

namespace weir::tool {
namespace {

constexpr std::string_view kHead =
    R"(# Completion of weir for bash, written by `weir --bash-completion`.

_weir_words() { mapfile -t COMPREPLY < <(compgen -W "$1" -- "$current"); }

# One of a list with commas between: what is before the last comma stays.
_weir_list() {
  local before=
  [[ $current == *,* ]] && before=${current%,*},
  mapfile -t COMPREPLY < <(compgen -P "$before" -W "$1" -- "${current##*,}")
}

_weir_files() {
  compopt -o filenames 2>/dev/null
  mapfile -t COMPREPLY < <(compgen -f -- "$current")
}

_weir_folders() {
  compopt -o filenames 2>/dev/null
  mapfile -t COMPREPLY < <(compgen -d -- "$current")
}

# Files whose names end with one of the endings, and the folders on the way to them.
_weir_files_of() {
  local ending
  compopt -o filenames 2>/dev/null
  mapfile -t COMPREPLY < <(
    compgen -d -- "$current"
    for ending in "$@"; do compgen -f -X "!*.$ending" -- "$current"; done
  )
}

_weir() {
  local current=${COMP_WORDS[COMP_CWORD]} command= option= i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; ++i)); do
    case ${COMP_WORDS[i]} in
      -*) ;;
      *) command=${COMP_WORDS[i]} && break ;;
    esac
  done
  i=$COMP_CWORD
  if [[ $current == = ]]; then
    current=
  elif [[ ${COMP_WORDS[i - 1]} == = ]]; then
    ((--i))
  fi
  option=${COMP_WORDS[i - 1]}
  # --input NAME=VALUE, and --input=NAME=VALUE
  if [[ ${COMP_WORDS[i]} == = && $option != -* ]]; then
    option=${COMP_WORDS[i - 2]}
    [[ $option == = ]] && option=${COMP_WORDS[i - 3]}
    option+==
  fi
  case $command:$option in
)";

constexpr std::string_view kTail = R"(  esac
}

complete -F _weir weir
)";

template <class Names>
std::string call_with(std::string_view function, const Names& names) {
  return fmt::format("{} '{}'", function, fmt::join(names, " "));
}

// What completes a value with this placeholder; empty if there is nothing to offer.
std::string reply_for(std::string_view placeholder) {
  if (placeholder == "MODEL") return "_weir_files_of weir onnx";
  if (placeholder == "FORM") return call_with("_weir_words", object_endings());
  if (placeholder == "STAGE") return call_with("_weir_words", stage_names());
  if (placeholder == "PASSES") {
    std::vector<std::string_view> names;
    for (const Pass& pass : all_passes()) names.push_back(pass.name);
    return call_with("_weir_list", names);
  }
  if (placeholder == "OP") {
    std::vector<std::string_view> names;
    for (const auto& op : all_ops()) names.push_back(op->name);
    return call_with("_weir_words", names);
  }
  if (placeholder.find("FILE") != std::string_view::npos || placeholder == "VALUE")
    return "_weir_files";
  return placeholder.find("FOLDER") != std::string_view::npos ? "_weir_folders" : "";
}

std::string case_item(const std::string& pattern, std::string_view call) {
  return fmt::format("    {}) {} ;;\n", pattern, call.empty() ? ":" : call);
}

// The values of an option. Of NAME=FILE only the part behind the "=" is offered.
std::string option_cases(const CLI::App& command, const CLI::Option& option) {
  std::string text, placeholder = value_placeholder(option);
  if (option.get_positional() || placeholder.empty()) return text;
  std::size_t equals = placeholder.find('=');
  for (const std::string& name : option.get_lnames()) {
    std::string pattern = fmt::format("{}:--{}", command.get_name(), name);
    if (equals == std::string::npos) {
      text += case_item(pattern, reply_for(placeholder));
    } else {
      text += case_item(pattern, "");
      text += case_item(pattern + "=", reply_for(std::string_view(placeholder).substr(equals + 1)));
    }
  }
  return text;
}

std::string command_cases(const CLI::App& command) {
  std::string text, options, positional;
  for (const CLI::Option* option : command.get_options()) {
    text += option_cases(command, *option);
    if (option->get_positional() && positional.empty())
      positional = reply_for(value_placeholder(*option));
    for (const std::string& name : option->get_lnames())
      options += (options.empty() ? "--" : " --") + name;
  }
  std::string pattern = command.get_name() + ":*";
  text += fmt::format("    {})\n      if [[ $current == -* ]]; then\n        _weir_words '{}'\n",
                      pattern, options);
  if (!positional.empty()) text += fmt::format("      else\n        {}\n", positional);
  return text + "      fi\n      ;;\n";
}

}  // namespace

std::string bash_completion(const CLI::App& app) {
  std::string text(kHead), names;
  for (const CLI::App* command : app.get_subcommands(nullptr)) {
    text += command_cases(*command);
    names += command->get_name() + " ";
  }
  for (const CLI::Option* option : app.get_options())
    for (const std::string& name : option->get_lnames()) names += "--" + name + " ";
  names.pop_back();
  return text + fmt::format("    :*) _weir_words '{}' ;;\n", names) + std::string(kTail);
}

}  // namespace weir::tool
