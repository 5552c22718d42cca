// The command `weir`. It parses options and calls the library; every fault of the command line, of
// a file or of the output ends as one message on standard error and exit code 1.
#include <algorithm>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "common.h"
#include "help.h"
#include "interruption.h"
#include "ir/diagnostic.h"
#include "ir/escape.h"
#include "prepare_heap.h"

namespace weir::tool {
namespace {

constexpr const char* kMainExamples = R"(examples:
  weir run model.weir --input x='[[-1.0, 2.0]]'       run it on one input
  weir inspect model.weir --stage=kernels             the loops it becomes
  weir compile model.weir -o model.o                  for a C program
  weir train model.weir --data x.npy --targets t.npy \
    --loss cross_entropy -o trained.weir              fit it to a data set
  weir convert model.weir -o model.onnx               for other runtimes
  weir ops leaky_relu                                 what an op means

`weir COMMAND --help` says more about each command.)";

int fail(std::string_view message) {
  print_error("weir: error:", Color::red, message);
  return 1;
}

// A message with a place of its own is shown as it is: FILE:LINE:COLUMN: error: ...
int fail(const Error& error) {
  if (!error.diagnostic().location.known()) return fail(error.what());
  print_error({}, Color::red, error.what());
  return 1;
}

// The command whose help knows more.
std::string help_command(const CLI::App& app) {
  auto chosen = app.get_subcommands();
  return chosen.empty() ? "weir --help" : fmt::format("weir {} --help", chosen.front()->get_name());
}

// "run, inspect or ops"
std::string listed(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands(nullptr)) names.push_back(command->get_name());
  std::string last = names.back();
  names.pop_back();
  return fmt::format("{} or {}", fmt::join(names, ", "), last);
}

int fail(const CLI::ParseError& error, const CLI::App& app) {
  std::string message = error.what(), help = help_command(app);
  std::vector<std::string> extras = app.remaining(true);  // the command's last
  // The mark itself is one of these; behind it nothing is an option.
  const bool is_behind = !extras.empty() && extras.front() == "--";
  if (is_behind) extras.erase(extras.begin());
  // What is missing may be so because of what is unknown.
  const bool is_unknown = dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr ||
                          dynamic_cast<const CLI::RequiredError*>(&error) != nullptr;
  if (is_unknown && !extras.empty()) {
    const std::string& first = extras.front();
    const bool is_option = !is_behind && first.size() > 1 && first.front() == '-';
    const bool is_before = !is_behind && !app.remaining(false).empty();  // before any command
    if (is_before) help = "weir --help";
    message = fmt::format("{} {}",
                          is_option   ? "there is no option"
                          : is_before ? "there is no command"
                                      : "this argument is one too many:",
                          printable(first));
  } else if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr) {
    message =
        fmt::format("{} {}", message.substr(0, message.find(':')),
                    message.find("At Most") == message.npos ? "needs a value" : "is given twice");
  }
  return fail(fmt::format("{} (see {})", message, help));
}

// As the library takes them, the last one first. To it `--option=` says that the value comes next,
// where it is an empty one.
std::vector<std::string> reversed_arguments(int argc, char** argv) {
  std::vector<std::string> arguments;
  for (const std::string_view argument :
       std::span(argv, static_cast<std::size_t>(argc)).subspan(1)) {
    const bool is_empty = argument.starts_with("--") && argument.size() > 3 &&
                          argument.find('=') == argument.size() - 1;
    arguments.emplace_back(argument.substr(0, argument.size() - (is_empty ? 1 : 0)));
    if (is_empty) arguments.emplace_back();
  }
  std::ranges::reverse(arguments);
  return arguments;
}

int run_command_line(int argc, char** argv) {
  CLI::App app(
      "weir: a compiler for static computation graphs. It turns a model and its gradient into "
      "native fused loops.",
      "weir");
  app.formatter(help_formatter());
  app.set_help_flag("-h,--help", "Shows this page.");
  app.set_version_flag("--version", "weir " WEIR_VERSION, "Shows the version.");
  app.footer(kMainExamples);
  Action action;
  app.add_flag_callback(
      "--man", [&] { action = [&app] { print_out(manual_page(app)); }; },
      "Prints all help as a page for man.");
  app.add_flag_callback(
      "--bash-completion", [&] { action = [&app] { print_out(bash_completion(app)); }; },
      "Prints a script with which bash completes commands, options and files.");
  add_run_command(app, action);
  add_inspect_command(app, action);
  add_opt_command(app, action);
  add_compile_command(app, action);
  add_convert_command(app, action);
  add_ops_command(app, action);
  add_size_command(app, action);
  add_verify_command(app, action);
  add_train_command(app, action);
  try {
    app.parse(reversed_arguments(argc, argv));
  } catch (const CLI::CallForHelp&) {
    print_out(app.help());
    flush_out();
    return 0;
  } catch (const CLI::CallForVersion& version) {
    print_out(fmt::format("{}\n", version.what()));
    flush_out();
    return 0;
  } catch (const CLI::ParseError& error) {
    return fail(error, app);
  }
  if (!action) return fail(fmt::format("a command is missing: {} (see weir --help)", listed(app)));
  action();
  flush_out();
  return 0;
}

}  // namespace
}  // namespace weir::tool

int main(int argc, char** argv) {
  using namespace weir::tool;
  milliseconds_before_main();
  // A page of help is printed sooner without.
  if (argc > 1 && *argv[1] != '-') prepare_heap();
  open_standard_files();
  remove_unfinished_files_when_interrupted();
  try {
    return run_command_line(argc, argv);
  } catch (const weir::Error& error) {
    return fail(error);
  } catch (const Unsuccessful&) {
    return 1;
  } catch (const Interrupted& interrupted) {
    return interrupted.exit_code();
  } catch (const OutputError& error) {
    return error.is_closed_pipe() ? 1 : fail(error.what());
  } catch (const std::bad_alloc&) {
    return fail("there is not enough memory");
  } catch (const std::system_error& error) {
    return fail(error.what());
  } catch (const std::exception& fault) {
    return fail(fmt::format(
        "{}\nThis is a bug in weir, not a fault of yours. Please report it with the model "
        "and the command.",
        fault.what()));
  }
}
