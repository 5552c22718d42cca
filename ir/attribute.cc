#include "ir/attribute.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "ir/diagnostic.h"
#include "ir/escape.h"

namespace weir {

std::string_view description(AttributeKind kind) {
  constexpr std::array<std::string_view, 8> kDescriptions{
      "an integer",           "a number",        "true or false", "a list of integers",
      "a list of dimensions", "an element type", "a string",      "a tensor"};
  return kDescriptions[static_cast<std::size_t>(kind)];
}

namespace {

struct Printer {
  std::string operator()(std::int64_t value) const { return fmt::format("{}", value); }
  std::string operator()(double value) const { return scalar::shortest(value); }
  std::string operator()(bool value) const { return value ? "true" : "false"; }
  std::string operator()(const std::vector<std::int64_t>& values) const {
    return fmt::format("[{}]", fmt::join(values, ", "));
  }
  std::string operator()(const Shape& shape) const { return to_string(shape); }
  std::string operator()(DType type) const { return std::string(name(type)); }
  std::string operator()(const std::string& text) const { return in_quotes(text); }
  std::string operator()(const std::shared_ptr<const Tensor>& tensor) const {
    return to_string(tensor->dtype(), tensor->sizes()) + " " + tensor->to_string(INT64_MAX);
  }
};

}  // namespace

std::string to_string(const Attribute& attribute) { return std::visit(Printer{}, attribute); }

bool same(const Attribute& a, const Attribute& b) {
  if (a.index() != b.index()) return false;
  if (const double* x = std::get_if<double>(&a))
    return scalar::same_value(DType::f64, scalar::from_f64(*x),
                              scalar::from_f64(std::get<double>(b)));
  if (const auto* x = std::get_if<std::shared_ptr<const Tensor>>(&a)) {
    const auto& y = std::get<std::shared_ptr<const Tensor>>(b);
    return *x == y || ((*x)->dtype() == y->dtype() && (*x)->sizes() == y->sizes() &&
                       compare(**x, *y).identical);
  }
  return a == b;
}

const Attribute* Attributes::find(std::string_view name) const {
  auto found = items_.find(name);
  return found == items_.end() ? nullptr : &found->second;
}

template <class T>
const T& Attributes::get(std::string_view name) const {
  const Attribute* attribute = find(name);
  WEIR_CHECK(attribute != nullptr, std::string(name));
  const T* value = std::get_if<T>(attribute);
  WEIR_CHECK(value != nullptr, std::string(name));
  return *value;
}

std::int64_t Attributes::integer(std::string_view name) const { return get<std::int64_t>(name); }
double Attributes::real(std::string_view name) const { return get<double>(name); }
bool Attributes::boolean(std::string_view name) const { return get<bool>(name); }
const std::vector<std::int64_t>& Attributes::integers(std::string_view name) const {
  return get<std::vector<std::int64_t>>(name);
}
const Shape& Attributes::dims(std::string_view name) const { return get<Shape>(name); }
DType Attributes::dtype(std::string_view name) const { return get<DType>(name); }
const std::string& Attributes::text(std::string_view name) const { return get<std::string>(name); }
const std::shared_ptr<const Tensor>& Attributes::tensor(std::string_view name) const {
  return get<std::shared_ptr<const Tensor>>(name);
}

bool operator==(const Attributes& a, const Attributes& b) {
  auto equal = [](const auto& x, const auto& y) {
    return x.first == y.first && same(x.second, y.second);
  };
  return std::equal(a.items_.begin(), a.items_.end(), b.items_.begin(), b.items_.end(), equal);
}

namespace {

// Numbers are written without regard to kind in the text form, and lists of integers look like
// lists of dimensions; an attribute takes any of them that can be meant.
std::optional<Attribute> converted(const Attribute& value, AttributeKind wanted) {
  if (kind(value) == wanted) return value;
  if (const auto* integer = std::get_if<std::int64_t>(&value);
      integer && wanted == AttributeKind::real)
    return static_cast<double>(*integer);
  if (const auto* integers = std::get_if<std::vector<std::int64_t>>(&value);
      integers && wanted == AttributeKind::dims)
    return Shape(integers->begin(), integers->end());
  if (const auto* shape = std::get_if<Shape>(&value); shape && wanted == AttributeKind::integers) {
    std::vector<std::int64_t> integers;
    for (const Dim& dim : *shape) {
      if (!dim.is_constant()) return std::nullopt;
      integers.push_back(dim.value());
    }
    return integers;
  }
  return std::nullopt;
}

}  // namespace

void complete_attributes(std::span<const AttributeSpec> declared, Attributes& attributes) {
  for (const auto& [name, value] : attributes) {
    auto matches = [&n = name](const AttributeSpec& spec) { return spec.name == n; };
    if (std::none_of(declared.begin(), declared.end(), matches)) {
      std::vector<std::string> names;
      for (const AttributeSpec& spec : declared) names.push_back(spec.name);
      throw Error(names.empty() ? fmt::format("has no attribute {}, nor any other", name)
                                : fmt::format("has no attribute {}; it has {}", name,
                                              fmt::join(names, ", ")));
    }
  }
  for (const AttributeSpec& spec : declared) {
    const Attribute* given = attributes.find(spec.name);
    if (!given) {
      if (!spec.default_value) throw Error(fmt::format("the attribute {} is missing", spec.name));
      attributes.set(spec.name, *spec.default_value);
      continue;
    }
    std::optional<Attribute> value = converted(*given, spec.kind);
    if (!value)
      throw Error(fmt::format("the attribute {} must be {}, not {}", spec.name,
                              description(spec.kind), to_string(*given)));
    attributes.set(spec.name, std::move(*value));
  }
}

}  // namespace weir
