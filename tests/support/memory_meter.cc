#include "tests/support/memory_meter.h"

#include <malloc.h>

#include <atomic>
#include <cstdlib>
#include <new>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define WEIR_ALLOCATOR_HOOKS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define WEIR_ALLOCATOR_HOOKS 1
#endif
#endif

#ifdef WEIR_ALLOCATOR_HOOKS
#include <sanitizer/allocator_interface.h>
#endif

namespace {

// Bytes beyond those at the beginning; blocks from before may be freed meanwhile.
std::atomic<bool> metering = false;
std::atomic<std::ptrdiff_t> live = 0;
std::atomic<std::ptrdiff_t> peak = 0;

void count(std::size_t taken) {
  if (!metering) return;
  std::ptrdiff_t now = live += static_cast<std::ptrdiff_t>(taken);
  if (now > peak) peak = now;
}

void discount(std::size_t released) {
  if (metering) live -= static_cast<std::ptrdiff_t>(released);
}

}  // namespace

#ifdef WEIR_ALLOCATOR_HOOKS

namespace {

void taken(const volatile void*, std::size_t size) { count(size); }
void released(const volatile void* memory) {
  if (metering && memory != nullptr) discount(__sanitizer_get_allocated_size(memory));
}
[[maybe_unused]] const int installed = __sanitizer_install_malloc_and_free_hooks(taken, released);

}  // namespace

#else

namespace {

void* counted(void* memory) {
  if (memory == nullptr) throw std::bad_alloc();
  count(malloc_usable_size(memory));
  return memory;
}

void release(void* memory) {
  if (memory != nullptr) discount(malloc_usable_size(memory));
  std::free(memory);
}

}  // namespace

void* operator new(std::size_t size) { return counted(std::malloc(size == 0 ? 1 : size)); }
void* operator new(std::size_t size, std::align_val_t alignment) {
  auto step = static_cast<std::size_t>(alignment);
  return counted(std::aligned_alloc(step, (size + step - 1) / step * step));
}
void operator delete(void* memory) noexcept { release(memory); }
void operator delete(void* memory, std::size_t) noexcept { release(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { release(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { release(memory); }

#endif

namespace weir::test {

MemoryMeter::MemoryMeter() {
  live = 0;
  ::peak = 0;
  metering = true;
}

MemoryMeter::~MemoryMeter() { metering = false; }

std::size_t MemoryMeter::peak() const { return static_cast<std::size_t>(::peak.load()); }

}  // namespace weir::test
