#include "tests/fuzz/framed.h"

#include <algorithm>
#include <span>

// libFuzzer's; nobody asks for changes where it is not linked.
extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t largest)
    __attribute__((weak));

namespace weir::fuzz {

std::size_t mutate(std::uint8_t* data, std::size_t size, std::size_t largest) {
  return LLVMFuzzerMutate == nullptr ? size : LLVMFuzzerMutate(data, size, largest);
}

std::size_t mutate_framed(std::uint8_t* data, std::size_t size, std::size_t largest, unsigned seed,
                          const Frame& frame) {
  size = mutate(data, size, largest);
  std::size_t begin = frame.length_at + frame.length_bytes;
  if (seed % 2 == 0 || size <= begin) return size;
  std::size_t reachable = size - begin;
  if (frame.length_bytes < 3) reachable = std::min<std::size_t>(reachable, 0xFFFF);
  std::span<const std::uint8_t> header(data + begin, reachable);
  auto last = std::find(header.rbegin(), header.rend(), static_cast<std::uint8_t>(frame.last));
  auto length = static_cast<std::uint64_t>(header.rend() - last);
  for (std::size_t i = 0; i < frame.length_bytes; ++i)
    data[frame.length_at + i] = static_cast<std::uint8_t>(length >> (8 * i));
  return size;
}

}  // namespace weir::fuzz
