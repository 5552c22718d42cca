#include "compiler/frontend/element_text.h"

#include <charconv>
#include <cmath>

#include <fmt/format.h>

#include "compiler/frontend/file.h"

namespace weir {
namespace {

ElementText refuse(std::string fault) { return {{}, std::move(fault)}; }

ElementText real(std::string_view text, std::string_view digits, DType dtype) {
  double number = 0;
  float single = 0;  // read as such, an f32 is rounded once
  const char* last = digits.data() + digits.size();
  auto [end, fault] = dtype == DType::f32 ? std::from_chars(digits.data(), last, single)
                                          : std::from_chars(digits.data(), last, number);
  if (fault == std::errc::invalid_argument || end != last)
    return refuse(fmt::format("{} is not a number", shown(text)));
  scalar::Bits bits = scalar::bits_of(dtype, dtype == DType::f32 ? single : number);
  double value = scalar::to_double(dtype, bits);
  bool is_zero =
      text.substr(0, text.find_first_of("eE")).find_first_of("123456789") == std::string_view::npos;
  bool is_infinity = text.find_first_of("nN") != std::string_view::npos;
  if (!is_zero && (fault != std::errc() || value == 0 || (std::isinf(value) && !is_infinity)))
    return refuse(
        fmt::format("{} is out of range: the magnitudes of {} are {}, besides 0.0 and inf",
                    shown(text), name(dtype), scalar::range_text(dtype)));
  return {bits, {}};
}

ElementText integer(std::string_view text, std::string_view digits, DType dtype) {
  std::int64_t number = 0;
  auto [end, fault] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (fault == std::errc::invalid_argument || end != digits.data() + digits.size())
    return refuse(
        fmt::format("{} is not an integer, and the element type is {}", shown(text), name(dtype)));
  scalar::Bits bits = scalar::bits_of(dtype, number);
  if (fault != std::errc() || scalar::to_integer(dtype, bits) != number)
    return refuse(fmt::format("{} does not fit in {}: the range is {}", shown(text), name(dtype),
                              scalar::range_text(dtype)));
  return {bits, {}};
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
  return real(text, digits, dtype);
}

}  // namespace weir
