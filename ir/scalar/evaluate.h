// Evaluates scalar expressions, one element at a time: the reference for everything compiled.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "ir/scalar/arena.h"

namespace weir::scalar {

// What a target can do that changes bits.
struct Numerics {
  // mathematical: exp, log ... by a wider library function, rounded once.
  // expanded: elementary nodes must have been expanded already; bit-equal to compiled code.
  enum class Mode { mathematical, expanded } mode = Mode::mathematical;
  bool has_fma = true;
};

// On bits, of as many of the three as the primitive has operands.
using PrimitiveFunction = Bits (*)(Bits, Bits, Bits);

// One primitive on values. `operand_types` and `operands` have the primitive's arity; leaves and
// loads are not evaluated here.
Bits apply(Primitive primitive, DType type, std::span<const DType> operand_types,
           std::span<const Bits> operands, const Numerics& numerics);

// What the leaves stand for during an evaluation. A function may be empty if the expression has no
// such leaf. Sizes are the same in every run of an evaluator.
struct Environment {
  std::span<const Bits> arguments;
  std::span<const std::int64_t> axes;
  std::span<const Bits> locals;
  std::function<std::int64_t(const Dim&)> size;
  std::function<Bits(std::uint32_t buffer, std::span<const std::int64_t> indices)> load;
};

// A list of expressions made ready to be evaluated many times. The arena must outlive it and may
// grow.
class Evaluator {
 public:
  Evaluator(const Arena& arena, std::vector<Id> roots, Numerics numerics);

  // The values of the roots. A guarded load is made only where its guard holds.
  std::span<const Bits> run(const Environment& environment);

 private:
  // What an instruction does; its operands lie in slots of values_.
  struct Instruction {
    PrimitiveFunction function;   // null for leaves and loads
    std::uint32_t result;         // a slot
    std::uint32_t first_operand;  // in operand_slots_, three slots or more
    std::uint32_t operand_count;
    Primitive primitive;
    std::uint64_t payload;
  };

  Bits load(const Instruction& instruction, const Environment& environment);

  const Arena& arena_;
  std::vector<Instruction> instructions_;  // operands before users; constants need none
  std::vector<Instruction> sizes_;         // run once, and then in their slots
  std::vector<std::uint32_t> operand_slots_;
  std::vector<std::uint32_t> root_slots_;
  std::vector<Bits> values_;
  std::vector<std::int64_t> indices_;
  std::vector<Bits> results_;
};

}  // namespace weir::scalar
