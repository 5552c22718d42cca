// Mutation of files that say how long their header is.
#pragma once

#include <cstddef>
#include <cstdint>

namespace weir::fuzz {

// Where a file states its header's length, little-endian. The header follows, and a well-formed one
// ends with the last `last` in the file that the length can reach.
struct Frame {
  std::size_t length_at;
  std::size_t length_bytes;
  char last;
};

// .npy files of version 1.
inline constexpr Frame kNpyFrame{.length_at = 8, .length_bytes = 2, .last = '\n'};

// libFuzzer's own changes: LLVMFuzzerMutate where it is linked. Returns the new size.
std::size_t mutate(std::uint8_t* data, std::size_t size, std::size_t largest);
// As libFuzzer's LLVMFuzzerCustomMutator, with libFuzzer's own changes; half of the results have a
// length that fits the header.
std::size_t mutate_framed(std::uint8_t* data, std::size_t size, std::size_t largest, unsigned seed,
                          const Frame& frame);

}  // namespace weir::fuzz
