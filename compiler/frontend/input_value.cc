#include "compiler/frontend/input_value.h"

#include <charconv>

#include <fmt/format.h>

#include "compiler/frontend/file.h"
#include "compiler/frontend/literal.h"
#include "compiler/frontend/tensor_file.h"

namespace weir {
namespace {

// The type with bound symbols replaced.
TensorType bound(const TensorType& type, const Dim::Bindings& bindings) {
  TensorType result = type;
  for (Dim& dim : result.shape)
    if (std::optional<std::int64_t> size = dim.evaluate(bindings)) dim = Dim(*size);
  return result;
}

Tensor::Sizes known_sizes(const TensorType& type, std::string_view value) {
  Tensor::Sizes sizes;
  for (const Dim& dim : type.shape) {
    if (!dim.is_constant())
      throw Error(fmt::format("{} needs every size of {}, and {} is not known; give it with --dim",
                              shown(value), to_string(type), dim.to_string()));
    sizes.push_back(dim.value());
  }
  return sizes;
}

Tensor filled(DType dtype, Tensor::Sizes sizes, double value) {
  Tensor result(dtype, std::move(sizes));
  if (value == 0) return result;
  scalar::Bits bits = scalar::bits_of(dtype, value);
  for (std::int64_t i = 0; i < result.element_count(); ++i) result.set_bits(i, bits);
  return result;
}

void check_fits(const TensorType& given, const TensorType& type, std::string_view source) {
  bool fits = given.dtype == type.dtype && given.rank() == type.rank();
  for (std::size_t i = 0; fits && i < type.shape.size(); ++i)
    fits = !type.shape[i].is_constant() || type.shape[i] == given.shape[i];
  if (!fits)
    throw Error(
        fmt::format("{} holds {}, and {} is expected", source, to_string(given), to_string(type)));
}

std::uint64_t parse_seed(std::string_view text) {
  std::uint64_t seed = 0;
  auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), seed);
  if (fault != std::errc() || end != text.data() + text.size())
    throw Error(fmt::format("the seed {} is not an integer from 0 to 2^64 - 1; write random:1",
                            shown(text)));
  return seed;
}

bool looks_like_literal(std::string_view value) {
  if (value.empty()) return false;
  return std::string_view("[+-.0123456789 \t\n").find(value.front()) != std::string_view::npos ||
         value == "true" || value == "false" || value == "nan" || value == "inf";
}

std::uint64_t mix(std::uint64_t z) {
  z += 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

// An element from 64 random bits; the highest bits count.
scalar::Bits random_element(DType dtype, std::uint64_t bits) {
  switch (dtype) {
    case DType::f32:
      return scalar::from_f32(static_cast<float>(bits >> 40) * 0x1p-23f - 1.0f);
    case DType::f64:
      return scalar::from_f64(static_cast<double>(bits >> 11) * 0x1p-52 - 1.0);
    case DType::f16:
    case DType::bf16:
      return scalar::bits_of(dtype, static_cast<double>(bits >> 40) * 0x1p-23 - 1.0);
    case DType::boolean:
      return scalar::from_bool((bits >> 63) != 0);
    default:
      return scalar::bits_of(dtype, static_cast<std::int64_t>((bits >> 32) * 10 >> 32));
  }
}

}  // namespace

Tensor random_tensor(DType dtype, Tensor::Sizes sizes, std::uint64_t seed) {
  Tensor result(dtype, std::move(sizes));
  std::uint64_t key = mix(seed);
  for (std::int64_t i = 0; i < result.element_count(); ++i)
    result.set_bits(i, random_element(dtype, mix(key + static_cast<std::uint64_t>(i))));
  return result;
}

Tensor input_value(std::string_view value, const TensorType& type, const Dim::Bindings& bindings,
                   std::string_view input, const TensorCheck& check) {
  constexpr std::string_view kRandom = "random:";
  TensorType wanted = bound(type, bindings);
  if (value == "zeros") return filled(type.dtype, known_sizes(wanted, value), 0);
  if (value == "ones") return filled(type.dtype, known_sizes(wanted, value), 1);
  if (value.starts_with(kRandom)) {
    std::uint64_t seed = parse_seed(value.substr(kRandom.size()));
    return random_tensor(type.dtype, known_sizes(wanted, value), seed);
  }
  if (std::optional<TensorPlace> place = parse_tensor_place(value)) {
    return read_tensor(*place, input, &wanted, [&](const TensorHeader& header) {
      check_fits(header.type, wanted, value);
      if (check) check(header);
    });
  }
  if (looks_like_literal(value)) return parse_literal(value, type.dtype, &wanted.shape);
  throw Error(
      fmt::format("{} is not a value; a value is a file ({}), a literal such as '[[-1.0, 2.0]]', "
                  "random:SEED, zeros or ones",
                  shown(value), tensor_endings()));
}

}  // namespace weir
