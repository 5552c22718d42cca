// How a command line writes a choice with options: NAME, or NAME:KEY=VALUE,KEY=VALUE. Optimizers,
// losses and schedules are written so: adam:beta1=0.95,weight_decay=0.1.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

namespace weir {

// Views of the text.
struct NamedOptions {
  std::string_view name;
  std::vector<std::pair<std::string_view, std::string_view>> options;  // key and value, as written
};

// Error for what is not of this form, and for a key that is there twice.
NamedOptions parse_named_options(std::string_view text);
// The value of a key as a finite number. Error that shows both if it is none.
double number_of_option(std::string_view key, std::string_view value);

}  // namespace weir
