#include "ir/dtype.h"

#include <array>
#include <cstddef>

namespace weir {
namespace {

struct Row {
  std::string_view name;
  int bytes;
  // Every value of the type is an integer of at most `digits` bits, times a power of two whose size
  // grows with `exponent`.
  int digits;
  int exponent;
};

// In the order of the enumeration.
constexpr std::array<Row, 9> kTypes{{{"f32", 4, 24, 8},
                                     {"f64", 8, 53, 11},
                                     {"f16", 2, 11, 5},
                                     {"bf16", 2, 8, 8},
                                     {"i8", 1, 7, 0},
                                     {"u8", 1, 8, 0},
                                     {"i32", 4, 31, 0},
                                     {"i64", 8, 63, 0},
                                     {"bool", 1, 1, 0}}};

const Row& row(DType type) { return kTypes[static_cast<std::size_t>(type)]; }

}  // namespace

std::string_view name(DType type) { return row(type).name; }

std::optional<DType> parse_dtype(std::string_view text) {
  for (std::size_t i = 0; i < kTypes.size(); ++i)
    if (kTypes[i].name == text) return static_cast<DType>(i);
  return std::nullopt;
}

int byte_size(DType type) { return row(type).bytes; }

bool holds_all_values(DType to, DType from) {
  if (from == to || from == DType::boolean) return true;
  if (to == DType::boolean || (is_float(from) && !is_float(to))) return false;
  const Row &source = row(from), &target = row(to);
  if (is_float(to)) return target.digits >= source.digits && target.exponent >= source.exponent;
  return target.digits >= source.digits && (is_signed(to) || !is_signed(from));
}

}  // namespace weir
