// See workspace.h.
//
// Sizes are rounded up to whole alignments, or to whole huge pages for a mapped block, so the size
// alone tells how a block was allocated. A mapping is aligned by asking for one huge page more and
// giving back what stands out on both sides.
#include "runtime/workspace.h"

#include <algorithm>
#include <cstdint>
#include <new>
#include <utility>

#include "runtime/abi.h"

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace weir {
namespace {

// `bytes` rounded up to whole units (a power of two), at least one.
std::size_t whole(std::size_t bytes, std::size_t unit) {
  // Nothing larger than ptrdiff_t can be addressed; the margin leaves room for rounding.
  if (bytes > static_cast<std::size_t>(PTRDIFF_MAX) - 2 * Workspace::huge_page)
    throw std::bad_alloc();
  return (std::max<std::size_t>(bytes, 1) + unit - 1) & ~(unit - 1);
}

#ifdef __linux__

constexpr bool has_mappings = true;

void* map(std::size_t bytes) {
  constexpr std::size_t page = Workspace::huge_page;
  void* mapped =
      mmap(nullptr, bytes + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) throw std::bad_alloc();
  char* begin = static_cast<char*>(mapped);
  const std::size_t before = (page - reinterpret_cast<std::uintptr_t>(begin) % page) % page;
  if (before != 0) munmap(begin, before);
  munmap(begin + before + bytes, page - before);
  // Advice: a system without huge pages refuses it, and nothing changes.
  madvise(begin + before, bytes, MADV_HUGEPAGE);
  return begin + before;
}

void unmap(void* data, std::size_t bytes) { munmap(data, bytes); }

#else

constexpr bool has_mappings = false;

void* map(std::size_t) { throw std::bad_alloc(); }
void unmap(void*, std::size_t) {}

#endif

bool may_map(std::size_t bytes) { return has_mappings && bytes >= Workspace::huge_block; }

void release(void* data, std::size_t bytes) {
  if (data == nullptr) return;
  if (may_map(bytes)) {
    unmap(data, bytes);
  } else {
    ::operator delete(data, std::align_val_t{WEIR_ALIGNMENT});
  }
}

}  // namespace

Workspace::~Workspace() { release(data_, bytes_); }

Workspace::Workspace(Workspace&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

Workspace& Workspace::operator=(Workspace&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

bool Workspace::is_mapped() const noexcept { return data_ != nullptr && may_map(bytes_); }

void* Workspace::reserve(std::size_t bytes) {
  if (data_ != nullptr && bytes <= bytes_) return data_;
  const std::size_t size = whole(bytes, may_map(bytes) ? huge_page : WEIR_ALIGNMENT);
  void* data = may_map(size) ? map(size) : ::operator new(size, std::align_val_t{WEIR_ALIGNMENT});
  release(data_, bytes_);
  data_ = data;
  bytes_ = size;
  return data_;
}

}  // namespace weir
