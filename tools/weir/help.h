// What the declarations of options say to users: help pages, the manual page and shell completion
// are all made from them.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <CLI/CLI.hpp>

namespace weir::tool {

// --help for all commands: 80 columns, descriptions wrapped.
std::shared_ptr<CLI::FormatterBase> help_formatter();

// The text broken at spaces into lines of at most 80 columns; lines after the first begin at
// `indent`, and the first is taken to begin there.
std::string wrapped(std::string_view text, std::size_t indent);

// "-h, --help", "--input NAME=VALUE", "MODEL".
std::string option_title(const CLI::Option& option);
// The word that stands for the value: "NAME=VALUE", "MODEL"; empty for a flag.
std::string value_placeholder(const CLI::Option& option);
// What the option is for, and whether a command line may be without it.
std::string option_description(const CLI::Option& option);
// "weir run MODEL [OPTIONS]"; what stands outside of brackets is required.
std::string usage_of(const CLI::App& command);

// The whole help as weir(1), for `man`.
std::string manual_page(const CLI::App& app);

// A script for bash that completes commands, options and their values. What a value may be follows
// from its placeholder.
std::string bash_completion(const CLI::App& app);

}  // namespace weir::tool
