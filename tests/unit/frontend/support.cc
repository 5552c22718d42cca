#include "support.h"

#include <malloc.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <new>

#include "ir/diagnostic.h"

namespace {

std::atomic<std::size_t> live = 0;
std::atomic<std::size_t> peak = 0;

void* counted(void* memory) {
  if (memory == nullptr) throw std::bad_alloc();
  std::size_t now = live += malloc_usable_size(memory);
  if (now > peak) peak = now;
  return memory;
}

void release(void* memory) {
  if (memory != nullptr) live -= malloc_usable_size(memory);
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

namespace weir::test {

TemporaryFolder::TemporaryFolder() {
  static int counter = 0;
  path_ = std::filesystem::temp_directory_path() /
          ("weir-test-" + std::to_string(::getpid()) + "-" + std::to_string(counter++));
  std::filesystem::create_directories(path_);
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::size_t TemporaryFolder::file_count() const {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(path_)) ++count;
  return count;
}

Tensor by_formula(DType dtype, Tensor::Sizes sizes) {
  // i / 4 - 1 in binary16, as IEEE 754 encodes it.
  constexpr std::array<std::uint16_t, 12> kHalves{0xBC00, 0xBA00, 0xB800, 0xB400, 0x0000, 0x3400,
                                                  0x3800, 0x3A00, 0x3C00, 0x3D00, 0x3E00, 0x3F00};
  Tensor result(dtype, std::move(sizes));
  for (std::int64_t i = 0; i < result.element_count(); ++i) {
    scalar::Bits bits = scalar::from_i64(3 * i - 4);
    if (dtype == DType::f32) bits = scalar::from_f32(static_cast<float>(i) / 4 - 1);
    if (dtype == DType::f64) bits = scalar::from_f64(static_cast<double>(i) / 4 - 1);
    if (dtype == DType::f16) bits = {kHalves.at(static_cast<std::size_t>(i))};
    if (dtype == DType::boolean) bits = scalar::from_bool(i % 3 == 0);
    result.set_bits(i, bits);
  }
  return result;
}

std::string error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

std::size_t peak_memory_of(const std::function<void()>& action) {
  std::size_t before = live;
  peak = before;
  action();
  return peak - before;
}

}  // namespace weir::test
