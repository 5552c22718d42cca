// Emits one primitive of the scalar language as LLVM IR: for a scalar, or for a vector of any
// width.
//
// Every primitive keeps the meaning that ir/scalar/primitive.h gives it, on every target. Where a
// target lacks an instruction and LLVM would call a library for it, it is written out here in other
// instructions. Elementary functions never get here: they have been expanded.
#pragma once

#include <functional>
#include <span>
#include <string>

#include "compiler/codegen/llvm_headers.h"
#include "compiler/lowering/target.h"
#include "ir/dim.h"
#include "ir/scalar/primitive.h"

namespace weir {

class PrimitiveEmitter {
 public:
  PrimitiveEmitter(llvm::IRBuilder<>& builder, llvm::Module& module, const Target& target)
      : b_(builder), module_(module), target_(target) {}

  // The LLVM type of an element; a vector for width > 1. A bool is i1, and f16 and bf16 are i16.
  llvm::Type* type(DType type, int width) const;
  llvm::Constant* constant(DType type, std::uint64_t bits, int width) const;
  // `operand_type` is that of the first operand, `result` that of the primitive; the operands all
  // have the same width.
  llvm::Value* emit(scalar::Primitive primitive, DType operand_type, DType result,
                    std::span<llvm::Value* const> operands);
  // The quotient of two i64 that are not negative: sizes and positions.
  llvm::Value* quotient(llvm::Value* a, llvm::Value* b);
  // A dimension as an i64, from the values of its symbols, in 64 bits without a check.
  llvm::Value* dimension(const Dim& dim,
                         const std::function<llvm::Value*(const std::string& symbol)>& value);

 private:
  llvm::Value* integer_divide(DType type, llvm::Value* a, llvm::Value* b, bool remainder);
  llvm::Value* signed_division(DType type, llvm::Value* a, llvm::Value* b, bool remainder);
  llvm::Value* float_remainder(DType type, llvm::Value* a, llvm::Value* b);
  llvm::Value* select(llvm::Value* condition, llvm::Value* value, llvm::Value* other);
  llvm::Value* extremum(DType type, llvm::Value* a, llvm::Value* b, bool maximum);
  llvm::Value* ordered_extremum(llvm::Value* a, llvm::Value* b, bool maximum);
  llvm::Value* rounded(scalar::Primitive primitive, DType type, llvm::Value* x);
  llvm::Value* byte_division(DType type, llvm::Value* a, llvm::Value* b, bool remainder);
  llvm::Value* index_division(llvm::Value* a, llvm::Value* b, bool remainder);
  // Calls a scalar function of the module for every lane.
  llvm::Value* for_each_lane(llvm::Function* function, llvm::Value* a, llvm::Value* b);
  llvm::Function* division_function(int bits, bool remainder);
  llvm::Function* remainder_function(DType type);
  // conversions.cc: casts.
  llvm::Value* convert(DType from, DType to, llvm::Value* x);
  llvm::Value* float_to_integer(DType from, DType to, llvm::Value* x);
  llvm::Value* float_to_i64(DType from, llvm::Value* x);
  llvm::Value* gathered(llvm::Value* x);
  llvm::Value* i64_to_float(DType to, llvm::Value* x);
  llvm::Type* native_half(DType half, llvm::Value* like) const;
  llvm::Value* half_to_f32(DType from, llvm::Value* x);
  llvm::Value* to_half(DType from, DType to, llvm::Value* x);
  llvm::Value* f64_to_odd_f32(llvm::Value* x);
  llvm::Value* f32_to_half(DType to, llvm::Value* x);
  llvm::Value* rounded_bits(llvm::Value* bits, std::uint64_t dropped);
  llvm::Value* f32_to_bf16_by_integers(llvm::Value* x);
  llvm::Value* normal_f32_to_bf16(llvm::Value* x);

  llvm::Constant* number(llvm::Value* like, double value) const;
  llvm::Constant* integer(llvm::Value* like, std::uint64_t value) const;

  llvm::IRBuilder<>& b_;
  llvm::Module& module_;
  const Target& target_;
};

}  // namespace weir
