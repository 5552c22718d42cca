// Memory between pages that may not be touched.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <new>

namespace weir::test {

enum class Against { page_behind, page_before };

class GuardedMemory {
 public:
  GuardedMemory(std::size_t bytes, Against against) {
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    std::size_t inner = (bytes + page - 1) / page * page;
    size_ = inner + 2 * page;
    pages_ =
        static_cast<char*>(::mmap(nullptr, size_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (pages_ == MAP_FAILED) throw std::bad_alloc();
    if (inner > 0) ::mprotect(pages_ + page, inner, PROT_READ | PROT_WRITE);
    data_ = pages_ + page + (against == Against::page_behind ? inner - bytes : 0);
  }
  GuardedMemory(const GuardedMemory&) = delete;
  GuardedMemory& operator=(const GuardedMemory&) = delete;
  ~GuardedMemory() { ::munmap(pages_, size_); }
  char* data() const { return data_; }

 private:
  char* pages_;
  char* data_;
  std::size_t size_;
};

}  // namespace weir::test
