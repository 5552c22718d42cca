// Counts the heap's bytes while it exists, of all threads: with a sanitizer all that is allocated,
// else what comes from operator new, which the programs that link this replace.
#pragma once

#include <cstddef>

namespace weir::test {

// One at a time.
class MemoryMeter {
 public:
  MemoryMeter();
  ~MemoryMeter();
  MemoryMeter(const MemoryMeter&) = delete;
  MemoryMeter& operator=(const MemoryMeter&) = delete;

  // The most that was live at one time, beyond what was before.
  std::size_t peak() const;
};

}  // namespace weir::test
