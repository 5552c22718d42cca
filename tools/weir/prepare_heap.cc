#include "prepare_heap.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#if defined(__GLIBC__)
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace weir::tool {

#if defined(__GLIBC__) && defined(MADV_POPULATE_WRITE)

void prepare_heap() {
  constexpr std::size_t kBytes = std::size_t{3} << 20;
  // A block of that size is to come from the heap, and to stay there when it is freed.
  mallopt(M_MMAP_THRESHOLD, 2 * kBytes);
  mallopt(M_TRIM_THRESHOLD, 4 * kBytes);
  void* block = std::malloc(kBytes);
  if (block == nullptr) return;
  const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  const std::uintptr_t begin = reinterpret_cast<std::uintptr_t>(block),
                       first = (begin + page - 1) / page * page,
                       end = (begin + kBytes) / page * page;
  madvise(reinterpret_cast<void*>(first), end - first, MADV_POPULATE_WRITE);
  std::free(block);
}

#else

void prepare_heap() {}

#endif

}  // namespace weir::tool
