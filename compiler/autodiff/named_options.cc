#include "compiler/autodiff/named_options.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include <fmt/format.h>

#include "ir/diagnostic.h"

namespace weir {

NamedOptions parse_named_options(std::string_view text) {
  std::size_t colon = text.find(':');
  NamedOptions result{text.substr(0, colon), {}};
  if (colon == std::string_view::npos) return result;
  for (std::size_t start = colon + 1, end; start <= text.size(); start = end + 1) {
    end = std::min(text.find(',', start), text.size());
    std::string_view item = text.substr(start, end - start);
    std::size_t equals = item.find('=');
    if (equals == std::string_view::npos || equals == 0 || equals + 1 == item.size())
      throw Error(
          fmt::format("'{}' in {} is no option with a value: NAME:KEY=VALUE,KEY=VALUE is "
                      "the form",
                      item, text));
    std::string_view key = item.substr(0, equals);
    for (const auto& [known, value] : result.options)
      if (known == key) throw Error(fmt::format("{} is there twice in {}", key, text));
    result.options.emplace_back(key, item.substr(equals + 1));
  }
  return result;
}

double number_of_option(std::string_view key, std::string_view value) {
  double number = 0;
  const char* end = value.data() + value.size();
  auto [read, fault] = std::from_chars(value.data(), end, number);
  if (fault != std::errc() || read != end || !std::isfinite(number))
    throw Error(fmt::format("{} takes a number, and '{}' is given", key, value));
  return number;
}

}  // namespace weir
