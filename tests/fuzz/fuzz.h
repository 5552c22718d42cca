// What the fuzz targets share. A target is LLVMFuzzerTestOneInput in <target>_fuzzer.cc: it gives a
// stranger's bytes to one reader, through `accepted`, and asks what must hold of whatever came out
// through `require`.
//
// In the preset `fuzz` libFuzzer makes up the bytes; in every other build replay.cc hands over the
// files of seeds/<target> and crashes/<target>, as ordinary tests. The process ends as a crash
// where something does not hold, and where anything but an Error is thrown.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "compiler/frontend/file.h"
#include "ir/diagnostic.h"
#include "tests/support/memory_meter.h"

namespace weir::fuzz {

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {static_cast<const char*>(static_cast<const void*>(data)), size};
}
// The bytes as a file. A copy, as a mapped file would be none of the reader's memory.
FileBytes file_of(const std::uint8_t* data, std::size_t size, std::string name);

// The memory that a reader may have taken at any moment, what it returns included.
struct Bound {
  std::size_t bytes_per_byte;  // of the input
  std::size_t fixed;
};

// Ends the process unless the condition holds.
void require(bool condition, std::string_view what);
// Ends the process unless the message can be shown: text without control characters, and not long.
void require_presentable(const Error& error);

// Ends the process if more than the bound was live at one time.
void require_within(std::size_t most, Bound bound, std::size_t input_size);

// What the reader returns, or nothing where it refuses the input with an Error.
template <class Reader>
auto accepted(std::size_t input_size, Bound bound, Reader reader)
    -> std::optional<decltype(reader())> {
  test::MemoryMeter meter;
  try {
    std::optional<decltype(reader())> result = reader();
    require_within(meter.peak(), bound, input_size);
    return result;
  } catch (const Error& error) {
    require_within(meter.peak(), bound, input_size);
    require_presentable(error);
    return std::nullopt;
  }
}

}  // namespace weir::fuzz
