#include "tests/fuzz/fuzz.h"

#include <cstdio>
#include <cstdlib>

#include <fmt/format.h>

#include "ir/escape.h"

namespace weir::fuzz {

FileBytes file_of(const std::uint8_t* data, std::size_t size, std::string name) {
  return memory_file(std::string(text_of(data, size)), std::move(name));
}

void require(bool condition, std::string_view what) {
  if (condition) return;
  std::fprintf(stderr, "fault: %.*s\n", static_cast<int>(what.size()), what.data());
  std::abort();
}

void require_presentable(const Error& error) {
  constexpr std::size_t kLongestMessage = 20'000;
  std::string_view message = error.what();
  require(!error.diagnostic().message.empty(), "the error has no message");
  require(message.size() <= kLongestMessage,
          fmt::format("the message has {} bytes: {}", message.size(), message.substr(0, 500)));
  for (std::size_t start = 0; start <= message.size();) {
    std::size_t end = std::min(message.find_first_of("\n\t", start), message.size());
    std::string_view part = message.substr(start, end - start);
    require(printable(part) == part,
            fmt::format("the message cannot be shown on a terminal: {}", printable(message)));
    start = end + 1;
  }
}

void require_within(std::size_t most, Bound bound, std::size_t input_size) {
  std::size_t limit = bound.bytes_per_byte * input_size + bound.fixed;
  require(most <= limit,
          fmt::format("{} bytes of memory for an input of {}; at most {} are allowed", most,
                      input_size, limit));
}

}  // namespace weir::fuzz
