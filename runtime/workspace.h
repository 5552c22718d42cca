// One aligned block of memory that grows on demand: the scratch memory of a compiled program's calls,
// and what a tensor owns.
//
// Invariants
//   - The block is aligned to WEIR_ALIGNMENT and is never shrunk: a second call with the same sizes
//     allocates nothing.
//   - Growing replaces the block and does not keep its contents: a program expects none.
//   - A failed request leaves the workspace as it was.
//
// A block of huge_block bytes or more is mapped from the system, aligned to a huge page and advised
// as such: a program walks its workspace from end to end, and the rows of a large matrix lie in a
// page each, so small pages cost address translation.
#pragma once

#include <cstddef>

namespace weir {

// Owns one block. Movable; not safe to use from two threads at once.
class Workspace {
 public:
  // From this size on, blocks are mapped in huge pages where the system has them.
  static constexpr std::size_t huge_block = std::size_t{4} << 20;
  static constexpr std::size_t huge_page = std::size_t{2} << 20;

  Workspace() = default;
  ~Workspace();
  Workspace(Workspace&& other) noexcept;
  Workspace& operator=(Workspace&& other) noexcept;

  // A block of at least `bytes` bytes, never null, valid until the next call that asks for more.
  // Its contents are unspecified. Throws std::bad_alloc; the block from before then stays valid.
  void* reserve(std::size_t bytes);

  // The block, or null before the first reserve().
  void* data() const noexcept { return data_; }

  // Whether the block is mapped from the system. Then it was zeros when it was reserved.
  bool is_mapped() const noexcept;

  // The size of the block.
  std::size_t bytes() const noexcept { return bytes_; }

 private:
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace weir
