#include "ir/attribute.h"

#include <array>

#include <fmt/format.h>

#include "ir/diagnostic.h"
#include "ir/escape.h"

namespace weir {

std::string_view description(AttributeKind kind) {
  constexpr std::array<std::string_view, 8> kDescriptions{
      "an integer",         "a number",        "true or false", "a list of integers",
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
  std::string operator()(const std::string& text) const { return quoted(text); }
  std::string operator()(const std::shared_ptr<const Tensor>& tensor) const {
    return to_string(tensor->dtype(), tensor->sizes()) + " " + tensor->to_string(INT64_MAX);
  }
};

}  // namespace

std::string to_string(const Attribute& attribute) { return std::visit(Printer{}, attribute); }

bool same(const Attribute& a, const Attribute& b) {
  if (a.index() != b.index()) return false;
  if (const double* x = std::get_if<double>(&a))
    return scalar::same_value(DType::f64, scalar::from_f64(*x), scalar::from_f64(std::get<double>(b)));
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
  auto equal = [](const auto& x, const auto& y) { return x.first == y.first && same(x.second, y.second); };
  return std::equal(a.items_.begin(), a.items_.end(), b.items_.begin(), b.items_.end(), equal);
}

}  // namespace weir
