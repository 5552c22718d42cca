// Texts are made for all nodes in ascending order, operands before users, so deep expressions need
// no stack. A text carries how tightly its outermost operator binds.
#include "ir/scalar/print.h"

#include <array>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace weir::scalar {
namespace {

// Those of C, so that nobody has to learn them.
enum Precedence {
  kLowest,
  kOr,
  kXor,
  kAnd,
  kEquality,
  kOrder,
  kShift,
  kSum,
  kProduct,
  kPrefix,
  kAtom,
};

Precedence precedence_of(Primitive primitive) {
  switch (primitive) {
    case Primitive::bit_or:
      return kOr;
    case Primitive::bit_xor:
      return kXor;
    case Primitive::bit_and:
      return kAnd;
    case Primitive::eq:
    case Primitive::ne:
      return kEquality;
    case Primitive::lt:
    case Primitive::le:
      return kOrder;
    case Primitive::shift_left:
    case Primitive::shift_right:
      return kShift;
    case Primitive::add:
    case Primitive::sub:
      return kSum;
    case Primitive::mul:
    case Primitive::div:
      return kProduct;
    default:
      return kAtom;
  }
}

struct Text {
  std::string text;
  int precedence = kAtom;
};

class Printer {
 public:
  Printer(const Arena& arena, const Names& names) : arena_(arena), names_(names) {}

  Text& operator[](Id id) { return texts_[id.index]; }

  void print(Id id) { texts_[id.index] = text_of(id); }

 private:
  Text text_of(Id id) const;
  Text leaf(const Node& node, Id id) const;
  Text infix(Id id, std::string_view symbol) const;
  Text load(Id id) const;

  // An operand where an operator of this precedence or tighter may stand.
  std::string operand(Id id, int least) const {
    const Text& text = texts_.at(id.index);
    return text.precedence < least ? "(" + text.text + ")" : text.text;
  }

  std::string joined(std::span<const Id> ids) const {
    std::vector<std::string> parts;
    for (Id id : ids) parts.push_back(operand(id, kLowest));
    return fmt::format("{}", fmt::join(parts, ", "));
  }

  const Arena& arena_;
  const Names& names_;
  std::unordered_map<std::uint32_t, Text> texts_;
};

std::string name_or(const Names::Name& name, char letter, std::uint64_t number) {
  if (name) return name(static_cast<std::uint32_t>(number));
  return fmt::format("{}{}", letter, number);
}

Text dim_text(const Dim& dim) {
  if (dim.as_symbol()) return {dim.to_string(), kAtom};
  return {dim.to_string(), dim.terms().size() > 1 ? kSum : kProduct};
}

Text Printer::leaf(const Node& node, Id id) const {
  switch (node.primitive) {
    case Primitive::constant: {
      std::string text = to_string(node.type, arena_.bits(id));
      int precedence = text.front() == '-' ? kPrefix : kAtom;
      return {std::move(text), precedence};
    }
    case Primitive::argument:
      return {name_or(names_.argument, 'a', node.payload)};
    case Primitive::axis:
      return {name_or(names_.axis, 'i', node.payload)};
    case Primitive::local:
      return {name_or(names_.local, 'l', node.payload)};
    default:
      return dim_text(arena_.dim(node.payload));
  }
}

Text Printer::load(Id id) const {
  std::span<const Id> operands = arena_.operands(id);
  std::string buffer = name_or(names_.buffer, 'b', arena_[id].payload);
  if (arena_[id].primitive == Primitive::load)
    return {fmt::format("{}[{}]", buffer, joined(operands))};
  return {fmt::format("({} ? {}[{}] : {})", operand(operands[0], kOr), buffer,
                      joined(operands.subspan(2)), operand(operands[1], kOr))};
}

Text Printer::infix(Id id, std::string_view symbol) const {
  Id left = arena_.operand(id, 0);
  Id right = arena_.operand(id, 1);
  Precedence precedence = precedence_of(arena_[id].primitive);
  bool order = precedence == kOrder;
  if (order && arena_.is_constant(left) && !arena_.is_constant(right)) {
    std::swap(left, right);
    symbol = symbol == "<" ? ">" : ">=";
  }
  // Operators associate to the left; comparisons do not associate.
  int least_left = order || precedence == kEquality ? precedence + 1 : precedence;
  return {
      fmt::format("{} {} {}", operand(left, least_left), symbol, operand(right, precedence + 1)),
      precedence};
}

Text Printer::text_of(Id id) const {
  const Node& node = arena_[id];
  const PrimitiveInfo& primitive = info(node.primitive);
  if (primitive.arity == 0) return leaf(node, id);
  if (!primitive.infix.empty()) return infix(id, primitive.infix);
  switch (node.primitive) {
    case Primitive::load:
    case Primitive::load_if:
      return load(id);
    case Primitive::neg:
      return {"-" + operand(arena_.operand(id, 0), kAtom), kPrefix};
    case Primitive::bit_not: {
      std::string_view symbol = node.type == DType::boolean ? "!" : "~";
      return {fmt::format("{}{}", symbol, operand(arena_.operand(id, 0), kAtom)), kPrefix};
    }
    case Primitive::cast:
      return {fmt::format("{}({})", name(node.type), joined(arena_.operands(id)))};
    case Primitive::bitcast:
      return {fmt::format("bitcast<{}>({})", name(node.type), joined(arena_.operands(id)))};
    default:
      return {fmt::format("{}({})", primitive.name, joined(arena_.operands(id)))};
  }
}

}  // namespace

std::string to_string(const Arena& arena, Id root, const Names& names) {
  Printer printer(arena, names);
  for (Id id : reachable(arena, std::array{root})) printer.print(id);
  return printer[root].text;
}

Listing list(const Arena& arena, std::span<const Id> roots, const Names& names) {
  std::vector<Id> order = reachable(arena, roots);
  std::unordered_map<std::uint32_t, std::size_t> uses;
  for (Id root : roots) ++uses[root.index];
  for (Id id : order)
    for (Id operand : arena.operands(id)) ++uses[operand.index];

  Printer printer(arena, names);
  Listing listing;
  for (Id id : order) {
    printer.print(id);
    if (info(arena[id].primitive).arity == 0 || uses[id.index] < 2) continue;
    std::string name = fmt::format("t{}", listing.definitions.size());
    listing.definitions.push_back(fmt::format("{} = {}", name, printer[id].text));
    printer[id] = {std::move(name)};
  }
  for (Id root : roots) listing.roots.push_back(printer[root].text);
  return listing;
}

}  // namespace weir::scalar
