#include "compiler/frontend/element_text.h"

#include <charconv>
#include <limits>

#include <fmt/format.h>

#include "compiler/frontend/file.h"

namespace weir {
namespace {

ElementText refuse(std::string fault) { return {{}, std::move(fault)}; }

template <class Float>
ElementText real(std::string_view text, std::string_view digits, DType dtype,
                 scalar::Bits (*bits)(Float)) {
  Float number = 0;
  auto [end, fault] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (fault == std::errc::invalid_argument || end != digits.data() + digits.size())
    return refuse(fmt::format("{} is not a number", shown(text)));
  bool is_zero =
      text.substr(0, text.find_first_of("eE")).find_first_of("123456789") == std::string_view::npos;
  if (!is_zero && (fault != std::errc() || number == 0))
    return refuse(fmt::format(
        "{} is out of range: the magnitudes of {} are {} to {}, besides 0.0 and inf", shown(text),
        name(dtype), std::numeric_limits<Float>::denorm_min(), std::numeric_limits<Float>::max()));
  return {bits(number), {}};
}

ElementText integer(std::string_view text, std::string_view digits, DType dtype) {
  std::int64_t number = 0;
  auto [end, fault] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (fault == std::errc::invalid_argument || end != digits.data() + digits.size())
    return refuse(
        fmt::format("{} is not an integer, and the element type is {}", shown(text), name(dtype)));
  bool fits = fault == std::errc() &&
              (dtype == DType::i64 || (number >= std::numeric_limits<std::int32_t>::min() &&
                                       number <= std::numeric_limits<std::int32_t>::max()));
  if (!fits) return refuse(fmt::format("{} does not fit in {}", shown(text), name(dtype)));
  return {scalar::bits_of(dtype, number), {}};
}

}  // namespace

ElementText parse_element(std::string_view text, DType dtype) {
  if (dtype == DType::boolean) {
    if (text == "true") return {scalar::from_bool(true), {}};
    if (text == "false") return {scalar::from_bool(false), {}};
    return refuse(fmt::format("{} is not a bool; write true or false", shown(text)));
  }
  std::string_view digits = text;
  if (digits.size() > 1 && digits[0] == '+' && digits[1] != '-') digits.remove_prefix(1);
  if (is_integer(dtype)) return integer(text, digits, dtype);
  return dtype == DType::f32 ? real<float>(text, digits, dtype, scalar::from_f32)
                             : real<double>(text, digits, dtype, scalar::from_f64);
}

}  // namespace weir
