#include "compiler/codegen/primitive_emitter.h"

#include <optional>
#include <utility>

#include <llvm/IR/IntrinsicsX86.h>
#include <llvm/IR/PatternMatch.h>

#include "compiler/codegen/llvm_versions.h"
#include "ir/diagnostic.h"

namespace weir {

using scalar::Primitive;

namespace {

int width_of(const llvm::Value* value) {
  auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(value->getType());
  return vector ? static_cast<int>(vector->getNumElements()) : 1;
}

// An instruction of x86 for whole registers. With 512 bits it has an operand for a rounding mode,
// which says nothing here.
struct ChoosingInstruction {
  llvm::Intrinsic::ID minimum, maximum;
  bool rounds;
};
constexpr std::uint32_t kCurrentRounding = 4;  // _MM_FROUND_CUR_DIRECTION

std::optional<ChoosingInstruction> choosing_instruction(llvm::Type* type, int vector_bytes) {
  using namespace llvm;
  const std::uint64_t bits =
      type->isVectorTy() ? type->getPrimitiveSizeInBits().getFixedValue() : 0;
  if (bits > static_cast<std::uint64_t>(vector_bytes) * 8) return std::nullopt;
  const bool single = type->getScalarType()->isFloatTy();
  switch (bits) {
    case 128:
      if (single) return {{Intrinsic::x86_sse_min_ps, Intrinsic::x86_sse_max_ps, false}};
      return {{Intrinsic::x86_sse2_min_pd, Intrinsic::x86_sse2_max_pd, false}};
    case 256:
      if (single) return {{Intrinsic::x86_avx_min_ps_256, Intrinsic::x86_avx_max_ps_256, false}};
      return {{Intrinsic::x86_avx_min_pd_256, Intrinsic::x86_avx_max_pd_256, false}};
    case 512:
      if (single)
        return {{Intrinsic::x86_avx512_min_ps_512, Intrinsic::x86_avx512_max_ps_512, true}};
      return {{Intrinsic::x86_avx512_min_pd_512, Intrinsic::x86_avx512_max_pd_512, true}};
    default:
      return std::nullopt;
  }
}

// The exponent of a constant power of two, the same in all lanes; nothing for any other value.
std::optional<unsigned> power_of_two(const llvm::Value* value) {
  auto* constant = llvm::dyn_cast<llvm::Constant>(value);
  if (constant && constant->getType()->isVectorTy()) constant = constant->getSplatValue();
  auto* number = llvm::dyn_cast_or_null<llvm::ConstantInt>(constant);
  if (!number || number->isNegative() || !number->getValue().isPowerOf2()) return std::nullopt;
  return number->getValue().logBase2();
}

// Whether select(condition, value, scaled) is select(0 < a, a, c * a) with 0 < c <= 1: then it is
// the larger of both, for c * a rounds to no more than a where 0 < a, and to no less elsewhere.
// Where a is a NaN, both are.
bool falls_below(llvm::Value* condition, llvm::Value* value, llvm::Value* scaled) {
  using namespace llvm::PatternMatch;
  const llvm::APFloat* factor = nullptr;
  if (!match(condition, m_SpecificFCmp(llvm::CmpInst::FCMP_OLT, m_AnyZeroFP(), m_Specific(value))))
    return false;
  if (!match(scaled, m_c_FMul(m_APFloat(factor), m_Specific(value)))) return false;
  return !factor->isNegative() && !factor->isZero() &&
         *factor <= llvm::APFloat::getOne(factor->getSemantics());
}

// What is left of a value without casts of floats, and without factors of one, which LLVM drops.
llvm::Value* before_float_casts(llvm::Value* value) {
  using namespace llvm::PatternMatch;
  llvm::Value* inner = nullptr;
  while (match(value, m_CombineOr(m_FPExt(m_Value(inner)), m_FPTrunc(m_Value(inner)))) ||
         match(value, m_c_FMul(m_Value(inner), m_FPOne())))
    value = inner;
  return value;
}

// Whether LLVM might take select(condition, value, other) for the minimum or maximum of numbers of
// another type, a cast of which is chosen, and compare them the other way round: of two zeros that
// gives the wrong one. With a constant second, it does so to select(a < b, b, a) and the like.
bool may_lose_sign_of_zero(llvm::Value* condition, llvm::Value* value, llvm::Value* other) {
  using namespace llvm::PatternMatch;
  auto* compared = llvm::dyn_cast<llvm::FCmpInst>(condition);
  if (!compared || !compared->isRelational()) return false;
  llvm::Value *first = compared->getOperand(0), *second = compared->getOperand(1);
  if (llvm::isa<llvm::Constant>(first)) std::swap(first, second);
  bool is_cast = before_float_casts(first) != first || before_float_casts(other) != other;
  bool chooses_second = before_float_casts(value) == before_float_casts(second) ||
                        (match(value, m_AnyZeroFP()) && match(second, m_AnyZeroFP()));
  return is_cast && chooses_second;
}

// Of a sum with a constant, the constant's part is left to the address that this becomes: LLVM
// makes a sum an `or` where it can, and then leaves the product of each such sum alone.
llvm::Value* integer_product(llvm::IRBuilder<>& builder, llvm::Value* x, llvm::Value* y) {
  auto* factor = llvm::dyn_cast<llvm::ConstantInt>(y);
  auto* sum = llvm::dyn_cast<llvm::BinaryOperator>(x);
  if (factor == nullptr || sum == nullptr || sum->getOpcode() != llvm::Instruction::Add ||
      !llvm::isa<llvm::ConstantInt>(sum->getOperand(1)))
    return builder.CreateMul(x, y);
  return builder.CreateAdd(builder.CreateMul(sum->getOperand(0), factor),
                           builder.CreateMul(sum->getOperand(1), factor));
}

}  // namespace

llvm::Type* PrimitiveEmitter::type(DType type, int width) const {
  llvm::LLVMContext& context = module_.getContext();
  llvm::Type* element = nullptr;
  if (type == DType::f32) {
    element = llvm::Type::getFloatTy(context);
  } else if (type == DType::f64) {
    element = llvm::Type::getDoubleTy(context);
  } else {
    element = llvm::IntegerType::get(context, static_cast<unsigned>(bit_width(type)));
  }
  return width == 1 ? element : llvm::FixedVectorType::get(element, static_cast<unsigned>(width));
}

llvm::Constant* PrimitiveEmitter::constant(DType dtype, std::uint64_t bits, int width) const {
  unsigned size = static_cast<unsigned>(bit_width(dtype));
  llvm::APInt value(size, bits, false, true);
  llvm::Type* element = type(dtype, 1);
  llvm::Constant* single =
      element->isFloatingPointTy()
          ? static_cast<llvm::Constant*>(llvm::ConstantFP::get(
                module_.getContext(), llvm::APFloat(element->getFltSemantics(), value)))
          : llvm::ConstantInt::get(module_.getContext(), value);
  if (width == 1) return single;
  return llvm::ConstantVector::getSplat(llvm::ElementCount::getFixed(static_cast<unsigned>(width)),
                                        single);
}

llvm::Constant* PrimitiveEmitter::number(llvm::Value* like, double value) const {
  return llvm::ConstantFP::get(like->getType(), value);
}

llvm::Constant* PrimitiveEmitter::integer(llvm::Value* like, std::uint64_t value) const {
  llvm::Type* type = like->getType();
  return llvm::ConstantInt::get(type, llvm::APInt(type->getScalarSizeInBits(), value, false, true));
}

llvm::Value* PrimitiveEmitter::emit(Primitive primitive, DType operand_type, DType result,
                                    std::span<llvm::Value* const> operands) {
  bool floating = is_float(operand_type);
  llvm::Value* x = operands[0];
  llvm::Value* y = operands.size() > 1 ? operands[1] : nullptr;
  llvm::Value* z = operands.size() > 2 ? operands[2] : nullptr;
  switch (primitive) {
    case Primitive::add:
      return floating ? b_.CreateFAdd(x, y) : b_.CreateAdd(x, y);
    case Primitive::sub:
      return floating ? b_.CreateFSub(x, y) : b_.CreateSub(x, y);
    case Primitive::mul:
      return floating ? b_.CreateFMul(x, y) : integer_product(b_, x, y);
    case Primitive::div:
      return floating ? b_.CreateFDiv(x, y) : integer_divide(operand_type, x, y, false);
    case Primitive::rem:
      return floating ? float_remainder(operand_type, x, y)
                      : integer_divide(operand_type, x, y, true);
    case Primitive::fma:
      if (!floating) return b_.CreateAdd(b_.CreateMul(x, y), z);
      if (target_.fma) return b_.CreateIntrinsic(llvm::Intrinsic::fma, {x->getType()}, {x, y, z});
      return b_.CreateFAdd(b_.CreateFMul(x, y), z);
    case Primitive::neg:
      return floating ? b_.CreateFNeg(x) : b_.CreateNeg(x);
    case Primitive::abs:
      if (floating) return b_.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, x);
      if (!is_signed(operand_type)) return x;
      return b_.CreateSelect(b_.CreateICmpSLT(x, integer(x, 0)), b_.CreateNeg(x), x);
    case Primitive::min:
      return extremum(operand_type, x, y, false);
    case Primitive::max:
      return extremum(operand_type, x, y, true);
    case Primitive::eq:
      return floating ? b_.CreateFCmpOEQ(x, y) : b_.CreateICmpEQ(x, y);
    case Primitive::ne:
      return floating ? b_.CreateFCmpUNE(x, y) : b_.CreateICmpNE(x, y);
    case Primitive::lt:
      if (floating) return b_.CreateFCmpOLT(x, y);
      return is_signed(operand_type) ? b_.CreateICmpSLT(x, y) : b_.CreateICmpULT(x, y);
    case Primitive::le:
      if (floating) return b_.CreateFCmpOLE(x, y);
      return is_signed(operand_type) ? b_.CreateICmpSLE(x, y) : b_.CreateICmpULE(x, y);
    case Primitive::bit_and:
      return b_.CreateAnd(x, y);
    case Primitive::bit_or:
      return b_.CreateOr(x, y);
    case Primitive::bit_xor:
      return b_.CreateXor(x, y);
    case Primitive::bit_not:
      return b_.CreateNot(x);
    case Primitive::shift_left:
      return b_.CreateShl(x, b_.CreateAnd(y, integer(y, x->getType()->getScalarSizeInBits() - 1)));
    case Primitive::shift_right:
      return b_.CreateLShr(x, b_.CreateAnd(y, integer(y, x->getType()->getScalarSizeInBits() - 1)));
    case Primitive::shift_right_arithmetic:
      y = b_.CreateAnd(y, integer(y, x->getType()->getScalarSizeInBits() - 1));
      return is_signed(operand_type) ? b_.CreateAShr(x, y) : b_.CreateLShr(x, y);
    case Primitive::select:
      if (falls_below(x, y, z)) return b_.CreateSelect(b_.CreateFCmpOGT(z, y), z, y);
      return select(x, y, z);
    case Primitive::cast:
      return convert(operand_type, result, x);
    case Primitive::bitcast:
      return b_.CreateBitCast(x, type(result, width_of(x)));
    case Primitive::sqrt:
      return b_.CreateUnaryIntrinsic(llvm::Intrinsic::sqrt, x);
    case Primitive::floor:
    case Primitive::ceil:
    case Primitive::trunc:
    case Primitive::round:
      return floating ? rounded(primitive, operand_type, x) : x;
    case Primitive::floor_div:
      return index_division(x, y, false);
    case Primitive::modulo:
      return index_division(x, y, true);
    default:
      break;
  }
  WEIR_CHECK(!scalar::info(primitive).elementary, std::string(scalar::info(primitive).name));
  WEIR_CHECK(false, std::string(scalar::info(primitive).name));
  return nullptr;
}

llvm::Value* PrimitiveEmitter::select(llvm::Value* condition, llvm::Value* value,
                                      llvm::Value* other) {
  // What stands behind a fence is not taken for what was compared.
  const bool may_call = kCallsForHalves && before_float_casts(value)->getType()->isHalfTy();
  if (may_call || may_lose_sign_of_zero(condition, value, other))
    other = b_.CreateArithmeticFence(other, other->getType());
  return b_.CreateSelect(condition, value, other);
}

llvm::Value* PrimitiveEmitter::extremum(DType type, llvm::Value* a, llvm::Value* b, bool maximum) {
  if (!is_float(type)) {
    llvm::CmpInst::Predicate before =
        is_signed(type) ? llvm::CmpInst::ICMP_SLT : llvm::CmpInst::ICMP_ULT;
    llvm::Value* keep_a = maximum ? b_.CreateICmp(before, b, a) : b_.CreateICmp(before, a, b);
    return b_.CreateSelect(keep_a, a, b);
  }
  llvm::Value* ordered = ordered_extremum(a, b, maximum);
  return b_.CreateSelect(b_.CreateFCmpUNO(a, a), a, ordered);
}

// The larger or smaller, b where either is NaN or they are equal. LLVM would make one comparison of
// this and of a's with itself, and then nothing is left of what x86 has an instruction for: a fold
// that waits for its last step waits half as long with it.
llvm::Value* PrimitiveEmitter::ordered_extremum(llvm::Value* a, llvm::Value* b, bool maximum) {
  const bool is_constant = llvm::isa<llvm::Constant>(a) || llvm::isa<llvm::Constant>(b);
  if (target_.chooses && !is_constant) {
    const std::optional<ChoosingInstruction> found =
        choosing_instruction(a->getType(), target_.vector_bytes);
    if (found) {
      std::vector<llvm::Value*> operands{a, b};
      if (found->rounds) operands.push_back(b_.getInt32(kCurrentRounding));
      return b_.CreateIntrinsic(maximum ? found->maximum : found->minimum, {}, operands);
    }
  }
  return select(maximum ? b_.CreateFCmpOGT(a, b) : b_.CreateFCmpOLT(a, b), a, b);
}

llvm::Value* PrimitiveEmitter::integer_divide(DType type, llvm::Value* a, llvm::Value* b,
                                              bool remainder) {
  llvm::Value* zero = integer(b, 0);
  llvm::Value* divides_by_zero = b_.CreateICmpEQ(b, zero);
  if (bit_width(type) == 8) {
    llvm::Value* safe = b_.CreateSelect(divides_by_zero, integer(b, 1), b);
    llvm::Value* result = byte_division(type, a, safe, remainder);
    return b_.CreateSelect(divides_by_zero, remainder ? a : zero, result);
  }
  llvm::Value* lowest = integer(a, std::uint64_t{1} << (bit_width(type) - 1));
  llvm::Value* overflows =
      b_.CreateAnd(b_.CreateICmpEQ(a, lowest), b_.CreateICmpEQ(b, integer(b, ~std::uint64_t{0})));
  // Divisor 1 gives the lowest value / 1 = itself and a remainder of 0, as an overflow shall.
  llvm::Value* safe = b_.CreateSelect(b_.CreateOr(divides_by_zero, overflows), integer(b, 1), b);
  llvm::Value* result = signed_division(type, a, safe, remainder);
  return b_.CreateSelect(divides_by_zero, remainder ? a : zero, result);
}

llvm::Value* PrimitiveEmitter::signed_division(DType type, llvm::Value* a, llvm::Value* b,
                                               bool remainder) {
  int bits = bit_width(type);
  if (bits == 64 ? target_.divides_64 : target_.divides_32)
    return remainder ? b_.CreateSRem(a, b) : b_.CreateSDiv(a, b);
  return for_each_lane(division_function(bits, remainder), a, b);
}

// A quotient of numbers this small is nearer to no integer than to the one below it, once rounded
// to f32, unless it is that integer; so f32 divides them, and in vectors. The lowest integer over
// -1 wraps.
llvm::Value* PrimitiveEmitter::byte_division(DType type, llvm::Value* a, llvm::Value* b,
                                             bool remainder) {
  llvm::Value* dividend = convert(type, DType::i32, a);
  llvm::Value* divisor = convert(type, DType::i32, b);
  llvm::Type* single = this->type(DType::f32, width_of(a));
  llvm::Value* exact =
      b_.CreateFDiv(b_.CreateSIToFP(dividend, single), b_.CreateSIToFP(divisor, single));
  llvm::Value* result = b_.CreateFPToSI(exact, dividend->getType());
  if (remainder) result = b_.CreateSub(dividend, b_.CreateMul(result, divisor));
  return convert(DType::i32, type, result);
}

llvm::Value* PrimitiveEmitter::quotient(llvm::Value* a, llvm::Value* b) {
  if (std::optional<unsigned> exponent = power_of_two(b)) return b_.CreateLShr(a, *exponent);
  if (target_.divides_64) return b_.CreateUDiv(a, b);
  return for_each_lane(division_function(64, false), a, b);
}

llvm::Value* PrimitiveEmitter::dimension(
    const Dim& dim, const std::function<llvm::Value*(const std::string& symbol)>& value) {
  auto i64 = [&](std::int64_t number) { return b_.getInt64(static_cast<std::uint64_t>(number)); };
  llvm::Value* sum = nullptr;
  for (const Dim::Term& term : dim.terms()) {
    llvm::Value* product = i64(term.coefficient);
    for (const Dim::Factor& factor : term.factors) {
      const Dim::Quotient* floor = factor.quotient();
      product = b_.CreateMul(
          product, floor ? quotient(dimension(floor->dividend, value), i64(floor->divisor))
                         : value(factor.text()));
    }
    sum = sum ? b_.CreateAdd(sum, product) : product;
  }
  return sum ? sum : i64(0);
}

llvm::Value* PrimitiveEmitter::index_division(llvm::Value* a, llvm::Value* b, bool remainder) {
  if (std::optional<unsigned> exponent = power_of_two(b))
    return remainder ? b_.CreateAnd(a, b_.CreateSub(b, integer(b, 1)))
                     : b_.CreateAShr(a, *exponent);
  llvm::Value* quotient = signed_division(DType::i64, a, b, false);
  llvm::Value* rest = b_.CreateSub(a, b_.CreateMul(quotient, b));
  llvm::Value* negative = b_.CreateICmpSLT(rest, integer(rest, 0));
  if (remainder) return b_.CreateSelect(negative, b_.CreateAdd(rest, b), rest);
  return b_.CreateSelect(negative, b_.CreateSub(quotient, integer(quotient, 1)), quotient);
}

llvm::Value* PrimitiveEmitter::for_each_lane(llvm::Function* function, llvm::Value* a,
                                             llvm::Value* b) {
  int width = width_of(a);
  if (width == 1) return b_.CreateCall(function, {a, b});
  llvm::Value* result = llvm::PoisonValue::get(a->getType());
  for (int i = 0; i < width; ++i) {
    std::uint64_t lane = static_cast<std::uint64_t>(i);
    llvm::Value* value = b_.CreateCall(
        function, {b_.CreateExtractElement(a, lane), b_.CreateExtractElement(b, lane)});
    result = b_.CreateInsertElement(result, value, lane);
  }
  return result;
}

llvm::Value* PrimitiveEmitter::rounded(Primitive primitive, DType type, llvm::Value* x) {
  if (target_.rounds) {
    llvm::Intrinsic::ID id = primitive == Primitive::floor   ? llvm::Intrinsic::floor
                             : primitive == Primitive::ceil  ? llvm::Intrinsic::ceil
                             : primitive == Primitive::trunc ? llvm::Intrinsic::trunc
                                                             : llvm::Intrinsic::nearbyint;
    return b_.CreateUnaryIntrinsic(id, x);
  }
  // Below 2^(mantissa bits) adding and subtracting that number rounds to the nearest integer, half
  // to even; at and above it, and for NaN, x is its own rounding. Signs are put back, so -0.3 gives
  // -0.
  llvm::Value* limit = number(x, type == DType::f32 ? 0x1p23 : 0x1p52);
  llvm::Value* magnitude = b_.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, x);
  llvm::Value* nearest = b_.CreateFSub(b_.CreateFAdd(magnitude, limit), limit);
  llvm::Value* one = number(x, 1.0);
  llvm::Value* zero = number(x, 0.0);
  llvm::Value* result = nearest;
  auto copysign = [&](llvm::Value* value) {
    return b_.CreateBinaryIntrinsic(llvm::Intrinsic::copysign, value, x);
  };
  if (primitive == Primitive::trunc) {
    result =
        b_.CreateFSub(nearest, b_.CreateSelect(b_.CreateFCmpOGT(nearest, magnitude), one, zero));
  } else if (primitive == Primitive::floor) {
    llvm::Value* signed_nearest = copysign(nearest);
    result = b_.CreateFSub(signed_nearest,
                           b_.CreateSelect(b_.CreateFCmpOGT(signed_nearest, x), one, zero));
  } else if (primitive == Primitive::ceil) {
    llvm::Value* signed_nearest = copysign(nearest);
    result = b_.CreateFAdd(signed_nearest,
                           b_.CreateSelect(b_.CreateFCmpOLT(signed_nearest, x), one, zero));
  }
  return b_.CreateSelect(b_.CreateFCmpOLT(magnitude, limit), copysign(result), x);
}

llvm::Value* PrimitiveEmitter::float_remainder(DType type, llvm::Value* a, llvm::Value* b) {
  return for_each_lane(remainder_function(type), a, b);
}

}  // namespace weir
