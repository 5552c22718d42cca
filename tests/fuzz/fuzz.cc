#include "tests/fuzz/fuzz.h"

#include <malloc.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <new>

#include <fmt/format.h>

#include "ir/escape.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define WEIR_FUZZ_ALLOCATOR_HOOKS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define WEIR_FUZZ_ALLOCATOR_HOOKS 1
#endif
#endif

#ifdef WEIR_FUZZ_ALLOCATOR_HOOKS
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

#ifdef WEIR_FUZZ_ALLOCATOR_HOOKS

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

MemoryMeter::MemoryMeter() {
  live = 0;
  peak = 0;
  metering = true;
}

MemoryMeter::~MemoryMeter() { metering = false; }

void MemoryMeter::require_within(Bound bound, std::size_t input_size) const {
  std::size_t limit = bound.bytes_per_byte * input_size + bound.fixed;
  std::size_t most = static_cast<std::size_t>(peak.load());
  metering = false;
  require(most <= limit,
          fmt::format("{} bytes of memory for an input of {}; at most {} are allowed", most,
                      input_size, limit));
}

}  // namespace weir::fuzz
