// An Evaluator looks its functions up once, and then runs through a flat list: instruction i reads
// slots of earlier ones and writes its own. Constants sit in their slots from the start, sizes from
// the first run on.
#include "ir/scalar/evaluate.h"

#include <string>
#include <utility>

#include "ir/diagnostic.h"
#include "ir/scalar/primitive_function.h"

namespace weir::scalar {

Bits apply(Primitive primitive, DType type, std::span<const DType> operand_types,
           std::span<const Bits> operands, const Numerics& numerics) {
  WEIR_CHECK(!operands.empty() && operands.size() == operand_types.size() &&
                 info(primitive).arity == static_cast<int>(operands.size()),
             std::string(info(primitive).name));
  PrimitiveFunction function = primitive_function(primitive, type, operand_types[0], numerics);
  return function(operands[0], operands.size() > 1 ? operands[1] : Bits{},
                  operands.size() > 2 ? operands[2] : Bits{});
}

Evaluator::Evaluator(const Arena& arena, std::vector<Id> roots, Numerics numerics) : arena_(arena) {
  std::vector<std::uint32_t> slots(arena.size());
  for (Id id : reachable(arena, roots)) {
    const Node& node = arena[id];
    auto slot = static_cast<std::uint32_t>(values_.size());
    slots[id.index] = slot;
    values_.emplace_back();
    if (node.primitive == Primitive::constant) {
      values_.back() = arena.bits(id);
      continue;
    }
    Instruction instruction{nullptr,
                            slot,
                            static_cast<std::uint32_t>(operand_slots_.size()),
                            node.operand_count,
                            node.primitive,
                            node.payload};
    if (is_load(node.primitive)) {
      for (Id index : arena.load_indices(id))
        WEIR_CHECK(arena[index].type == DType::i64, "an index of a load");
    } else if (node.operand_count > 0) {
      instruction.function =
          primitive_function(node.primitive, node.type, arena[arena.operand(id, 0)].type, numerics);
    }
    for (Id operand : arena.operands(id)) operand_slots_.push_back(slots[operand.index]);
    // Every function is handed three values.
    if (instruction.function != nullptr)
      for (std::uint32_t i = node.operand_count; i < 3; ++i) operand_slots_.push_back(slot);
    (node.primitive == Primitive::size ? sizes_ : instructions_).push_back(instruction);
  }
  for (Id root : roots) root_slots_.push_back(slots[root.index]);
  results_.resize(roots.size());
}

Bits Evaluator::load(const Instruction& instruction, const Environment& environment) {
  const std::uint32_t* slot = operand_slots_.data() + instruction.first_operand;
  const std::uint32_t* end = slot + instruction.operand_count;
  if (instruction.primitive == Primitive::load_if) {
    if (!as_bool(values_[slot[0]])) return values_[slot[1]];
    slot += 2;
  }
  indices_.clear();
  for (; slot != end; ++slot) indices_.push_back(as_i64(values_[*slot]));
  return environment.load(static_cast<std::uint32_t>(instruction.payload), indices_);
}

std::span<const Bits> Evaluator::run(const Environment& environment) {
  for (const Instruction& size : sizes_)
    values_[size.result] = from_i64(environment.size(arena_.dim(size.payload)));
  sizes_.clear();
  for (const Instruction& instruction : instructions_) {
    Bits& result = values_[instruction.result];
    if (instruction.function != nullptr) {
      const std::uint32_t* slots = operand_slots_.data() + instruction.first_operand;
      result = instruction.function(values_[slots[0]], values_[slots[1]], values_[slots[2]]);
      continue;
    }
    std::uint64_t payload = instruction.payload;
    switch (instruction.primitive) {
      case Primitive::argument:
        WEIR_CHECK(payload < environment.arguments.size(), "argument " + std::to_string(payload));
        result = environment.arguments[payload];
        break;
      case Primitive::axis:
        WEIR_CHECK(payload < environment.axes.size(), "axis " + std::to_string(payload));
        result = from_i64(environment.axes[payload]);
        break;
      case Primitive::local:
        WEIR_CHECK(payload < environment.locals.size(), "local " + std::to_string(payload));
        result = environment.locals[payload];
        break;
      default:
        result = load(instruction, environment);
        break;
    }
  }
  for (std::size_t i = 0; i < root_slots_.size(); ++i) results_[i] = values_[root_slots_[i]];
  return results_;
}

}  // namespace weir::scalar
