// Attributes: the compile-time arguments of a node.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "ir/dtype.h"
#include "ir/tensor.h"
#include "ir/type.h"

namespace weir {

// Alternatives in the order of AttributeKind. `Shape` is a list of dimensions, which may be
// symbolic; a tensor is never null.
using Attribute = std::variant<std::int64_t, double, bool, std::vector<std::int64_t>, Shape, DType,
                               std::string, std::shared_ptr<const Tensor>>;
enum class AttributeKind : std::uint8_t {
  integer,
  real,
  boolean,
  integers,
  dims,
  dtype,
  text,
  tensor,
};

inline AttributeKind kind(const Attribute& attribute) {
  return static_cast<AttributeKind>(attribute.index());
}
// "an integer", "a list of dimensions", ...: as used in messages.
std::string_view description(AttributeKind kind);
// The text form: 3, 0.01, true, [0, 1], [N, 4], f32, "text", f32[1, 2] [[1.0, 2.0]].
std::string to_string(const Attribute& attribute);
// Tensors compare by type and bits; doubles by bits, all NaNs being equal.
bool same(const Attribute& a, const Attribute& b);

// By name; a node holds a value for every attribute that its op declares.
class Attributes {
 public:
  Attributes() = default;
  Attributes(std::initializer_list<std::pair<const std::string, Attribute>> items)
      : items_(items) {}

  void set(std::string name, Attribute value) {
    items_.insert_or_assign(std::move(name), std::move(value));
  }
  const Attribute* find(std::string_view name) const;
  bool empty() const { return items_.empty(); }
  auto begin() const { return items_.begin(); }
  auto end() const { return items_.end(); }

  // The value of an attribute that is there and of this kind: anything else is a fault of ours.
  std::int64_t integer(std::string_view name) const;
  double real(std::string_view name) const;
  bool boolean(std::string_view name) const;
  const std::vector<std::int64_t>& integers(std::string_view name) const;
  const Shape& dims(std::string_view name) const;
  DType dtype(std::string_view name) const;
  const std::string& text(std::string_view name) const;
  const std::shared_ptr<const Tensor>& tensor(std::string_view name) const;

  friend bool operator==(const Attributes& a, const Attributes& b);

 private:
  template <class T>
  const T& get(std::string_view name) const;
  std::map<std::string, Attribute, std::less<>> items_;
};

// An attribute as an op or an initializer declares it.
struct AttributeSpec {
  std::string name;
  AttributeKind kind;
  std::optional<Attribute> default_value;  // required when there is none
  std::string summary;
  // The ONNX attribute of the same meaning and default; empty if there is none.
  std::string onnx = {};
};

// Gives attributes that are left out their defaults, and those that are given the declared kind.
// Error without a location for one that is not declared, of another kind, or missing.
void complete_attributes(std::span<const AttributeSpec> declared, Attributes& attributes);

}  // namespace weir
