#include "ir/dtype.h"

#include <array>
#include <cstddef>

namespace weir {
namespace {

struct Row {
  std::string_view name;
  int bytes;
};

// In the order of the enumeration.
constexpr std::array<Row, 9> kTypes{{{"f32", 4},
                                     {"f64", 8},
                                     {"f16", 2},
                                     {"bf16", 2},
                                     {"i8", 1},
                                     {"u8", 1},
                                     {"i32", 4},
                                     {"i64", 8},
                                     {"bool", 1}}};

}  // namespace

std::string_view name(DType type) { return kTypes[static_cast<std::size_t>(type)].name; }

std::optional<DType> parse_dtype(std::string_view text) {
  for (std::size_t i = 0; i < kTypes.size(); ++i)
    if (kTypes[i].name == text) return static_cast<DType>(i);
  return std::nullopt;
}

int byte_size(DType type) { return kTypes[static_cast<std::size_t>(type)].bytes; }

}  // namespace weir
