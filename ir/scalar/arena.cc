#include "ir/scalar/arena.h"

#include <algorithm>
#include <array>
#include <string>

#include "ir/diagnostic.h"
#include "ir/scalar/evaluate.h"

namespace weir::scalar {
namespace {

std::size_t combine(std::size_t seed, std::size_t value) {
  return seed ^ (value + 0x9E3779B97F4A7C15u + (seed << 6) + (seed >> 2));
}

DType result_type(const Arena& arena, Primitive primitive, std::span<const Id> operands) {
  switch (info(primitive).result) {
    case ResultRule::boolean:
      return DType::boolean;
    case ResultRule::of_second:
      return arena[operands[1]].type;
    default:
      return arena[operands[0]].type;
  }
}

void check_operands(const Arena& arena, Primitive primitive, std::span<const Id> operands) {
  const PrimitiveInfo& rule = info(primitive);
  WEIR_CHECK(rule.arity == static_cast<int>(operands.size()), std::string(rule.name));
  std::size_t first = 0;
  if (primitive == Primitive::select) {
    WEIR_CHECK(arena[operands[0]].type == DType::boolean, "the condition of select");
    first = 1;
  } else {
    WEIR_CHECK(!is_half(arena[operands[0]].type),
               std::string(rule.name) + " of " + std::string(name(arena[operands[0]].type)));
  }
  for (std::size_t i = first + 1; i < operands.size(); ++i)
    WEIR_CHECK(arena[operands[i]].type == arena[operands[first]].type,
               std::string(rule.name) + " of " + std::string(name(arena[operands[first]].type)) +
                   " and " + std::string(name(arena[operands[i]].type)));
}

}  // namespace

Id Arena::intern(Primitive primitive, DType type, std::span<const Id> operands,
                 std::uint64_t payload) {
  std::size_t hash =
      combine(static_cast<std::size_t>(primitive) * 16 + static_cast<std::size_t>(type),
              static_cast<std::size_t>(payload));
  for (Id operand : operands) hash = combine(hash, operand.index);
  auto [begin, end] = index_.equal_range(hash);
  for (auto it = begin; it != end; ++it) {
    const Node& node = nodes_[it->second.index];
    if (node.primitive != primitive || node.type != type || node.payload != payload) continue;
    std::span<const Id> existing = this->operands(it->second);
    if (std::equal(existing.begin(), existing.end(), operands.begin(), operands.end()))
      return it->second;
  }
  Id id{static_cast<std::uint32_t>(nodes_.size())};
  // The operands may point into operands_ itself.
  std::vector<Id> copy(operands.begin(), operands.end());
  nodes_.push_back({primitive, type, static_cast<std::uint32_t>(operands_.size()),
                    static_cast<std::uint32_t>(copy.size()), payload});
  operands_.insert(operands_.end(), copy.begin(), copy.end());
  index_.emplace(hash, id);
  return id;
}

Id Arena::axis(std::uint32_t number, const Dim& extent) {
  auto [it, inserted] = axis_extents_.try_emplace(number, extent);
  WEIR_CHECK(it->second == extent, "axis " + std::to_string(number) + " has two extents: " +
                                       it->second.to_string() + " and " + extent.to_string());
  return intern(Primitive::axis, DType::i64, {}, number);
}

Id Arena::size_of(const Dim& dim) {
  if (dim.is_constant()) return index(dim.value());
  for (std::size_t i = 0; i < dims_.size(); ++i)
    if (dims_[i] == dim) return intern(Primitive::size, DType::i64, {}, i);
  dims_.push_back(dim);
  return intern(Primitive::size, DType::i64, {}, dims_.size() - 1);
}

Id Arena::load_if(std::uint32_t buffer, Id guard, Id otherwise, std::span<const Id> indices) {
  WEIR_CHECK((*this)[guard].type == DType::boolean);
  if (is_constant(guard)) {
    if (!as_bool(bits(guard))) return otherwise;
    return load(buffer, (*this)[otherwise].type, indices);
  }
  std::vector<Id> operands{guard, otherwise};
  operands.insert(operands.end(), indices.begin(), indices.end());
  return intern(Primitive::load_if, (*this)[otherwise].type, operands, buffer);
}

Id Arena::cast(Id operand, DType type) {
  DType from = (*this)[operand].type;
  if (from == type) return operand;
  if (is_constant(operand)) {
    std::array types{from};
    std::array values{bits(operand)};
    return constant(type, apply(Primitive::cast, type, types, values, {}));
  }
  // There and back again.
  if ((*this)[operand].primitive == Primitive::cast) {
    Id source = this->operand(operand, 0);
    if ((*this)[source].type == type && holds_all_values(from, type)) return source;
  }
  return intern(Primitive::cast, type, std::array{operand}, 0);
}

Id Arena::bitcast(Id operand, DType type) {
  DType from = (*this)[operand].type;
  WEIR_CHECK(bit_width(from) == bit_width(type));
  if (from == type) return operand;
  if (is_constant(operand)) return constant(type, bits(operand));
  if ((*this)[operand].primitive == Primitive::bitcast)
    return bitcast(this->operand(operand, 0), type);
  return intern(Primitive::bitcast, type, std::array{operand}, 0);
}

Id Arena::make(Primitive primitive, std::span<const Id> operands) {
  check_operands(*this, primitive, operands);
  DType type = result_type(*this, primitive, operands);
  if (primitive == Primitive::select) {
    if (operands[1] == operands[2]) return operands[1];
    if (is_constant(operands[0])) return as_bool(bits(operands[0])) ? operands[1] : operands[2];
  }
  bool foldable = !info(primitive).elementary && primitive != Primitive::fma;
  for (Id operand : operands) foldable = foldable && is_constant(operand);
  if (foldable) {
    std::array<DType, 3> types;
    std::array<Bits, 3> values;
    for (std::size_t i = 0; i < operands.size(); ++i) {
      types[i] = (*this)[operands[i]].type;
      values[i] = bits(operands[i]);
    }
    return constant(type, apply(primitive, type, {types.data(), operands.size()},
                                {values.data(), operands.size()}, {}));
  }
  return intern(primitive, type, operands, 0);
}

std::vector<Id> reachable(const Arena& arena, std::span<const Id> roots) {
  std::vector<bool> needed(arena.size());
  for (Id root : roots) needed[root.index] = true;
  std::vector<Id> order;
  // Operands precede users, so one descending sweep marks everything.
  for (std::size_t i = arena.size(); i-- > 0;) {
    if (!needed[i]) continue;
    Id id{static_cast<std::uint32_t>(i)};
    order.push_back(id);
    for (Id operand : arena.operands(id)) needed[operand.index] = true;
  }
  return {order.rbegin(), order.rend()};
}

Id copy_node(const Arena& from, Id id, Arena& into, std::span<const Id> operands) {
  const Node& node = from[id];
  switch (node.primitive) {
    case Primitive::constant:
      return into.constant(node.type, from.bits(id));
    case Primitive::argument:
      return into.argument(static_cast<std::uint32_t>(node.payload), node.type);
    case Primitive::axis:
      return into.axis(static_cast<std::uint32_t>(node.payload), from.axis_extent(node.payload));
    case Primitive::size:
      return into.size_of(from.dim(node.payload));
    case Primitive::local:
      return into.local(static_cast<std::uint32_t>(node.payload), node.type);
    case Primitive::load:
      return into.load(static_cast<std::uint32_t>(node.payload), node.type, operands);
    case Primitive::load_if:
      return into.load_if(static_cast<std::uint32_t>(node.payload), operands[0], operands[1],
                          operands.subspan(2));
    case Primitive::cast:
      return into.cast(operands[0], node.type);
    case Primitive::bitcast:
      return into.bitcast(operands[0], node.type);
    default:
      return into.make(node.primitive, operands);
  }
}

}  // namespace weir::scalar
