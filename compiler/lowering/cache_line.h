// What caches read and write at once, and hand from one processor to another.
#pragma once

#include <cstdint>

namespace weir {

constexpr std::int64_t kLineBytes = 64;

}  // namespace weir
