#include "compiler/codegen/primitive_emitter.h"

#include <optional>

#include "ir/diagnostic.h"

namespace weir {

using scalar::Primitive;

namespace {

int width_of(const llvm::Value* value) {
  auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(value->getType());
  return vector ? static_cast<int>(vector->getNumElements()) : 1;
}

// The exponent of a constant power of two, the same in all lanes; nothing for any other value.
std::optional<unsigned> power_of_two(const llvm::Value* value) {
  auto* constant = llvm::dyn_cast<llvm::Constant>(value);
  if (constant && constant->getType()->isVectorTy()) constant = constant->getSplatValue();
  auto* number = llvm::dyn_cast_or_null<llvm::ConstantInt>(constant);
  if (!number || number->isNegative() || !number->getValue().isPowerOf2()) return std::nullopt;
  return number->getValue().logBase2();
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
    WEIR_CHECK(is_computable(type), std::string(name(type)));
    element = llvm::IntegerType::get(context, static_cast<unsigned>(bit_width(type)));
  }
  return width == 1 ? element : llvm::FixedVectorType::get(element, static_cast<unsigned>(width));
}

llvm::Constant* PrimitiveEmitter::constant(DType dtype, std::uint64_t bits, int width) const {
  unsigned size = static_cast<unsigned>(bit_width(dtype));
  llvm::APInt value(size, bits, false, true);
  llvm::Type* element = type(dtype, 1);
  llvm::Constant* single =
      is_float(dtype)
          ? static_cast<llvm::Constant*>(llvm::ConstantFP::get(
                module_.getContext(), llvm::APFloat(element->getFltSemantics(), value)))
          : llvm::ConstantInt::get(module_.getContext(), value);
  if (width == 1) return single;
  return llvm::ConstantVector::getSplat(
      llvm::ElementCount::getFixed(static_cast<unsigned>(width)), single);
}

llvm::Constant* PrimitiveEmitter::number(llvm::Value* like, double value) const {
  return llvm::ConstantFP::get(like->getType(), value);
}

llvm::Constant* PrimitiveEmitter::integer(llvm::Value* like, std::uint64_t value) const {
  llvm::Type* type = like->getType();
  return llvm::ConstantInt::get(
      type, llvm::APInt(type->getScalarSizeInBits(), value, false, true));
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
      return floating ? b_.CreateFMul(x, y) : b_.CreateMul(x, y);
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
      return operand_type == DType::boolean ? b_.CreateICmpULT(x, y) : b_.CreateICmpSLT(x, y);
    case Primitive::le:
      if (floating) return b_.CreateFCmpOLE(x, y);
      return operand_type == DType::boolean ? b_.CreateICmpULE(x, y) : b_.CreateICmpSLE(x, y);
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
      return b_.CreateAShr(x, b_.CreateAnd(y, integer(y, x->getType()->getScalarSizeInBits() - 1)));
    case Primitive::select:
      return b_.CreateSelect(x, y, z);
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

llvm::Value* PrimitiveEmitter::extremum(DType type, llvm::Value* a, llvm::Value* b, bool maximum) {
  if (!is_float(type)) {
    bool is_bool = type == DType::boolean;
    llvm::Value* keep_a = maximum ? (is_bool ? b_.CreateICmpUGT(a, b) : b_.CreateICmpSGT(a, b))
                            : (is_bool ? b_.CreateICmpULT(a, b) : b_.CreateICmpSLT(a, b));
    return b_.CreateSelect(keep_a, a, b);
  }
  llvm::Value* keep_a = maximum ? b_.CreateFCmpOGT(a, b) : b_.CreateFCmpOLT(a, b);
  llvm::Value* ordered = b_.CreateSelect(keep_a, a, b);  // b where either is NaN
  return b_.CreateSelect(b_.CreateFCmpUNO(a, a), a, ordered);
}

llvm::Value* PrimitiveEmitter::integer_divide(DType type, llvm::Value* a, llvm::Value* b, bool remainder) {
  llvm::Value* zero = integer(b, 0);
  llvm::Value* divides_by_zero = b_.CreateICmpEQ(b, zero);
  llvm::Value* lowest = integer(a, std::uint64_t{1} << (bit_width(type) - 1));
  llvm::Value* overflows = b_.CreateAnd(b_.CreateICmpEQ(a, lowest),
                                  b_.CreateICmpEQ(b, integer(b, ~std::uint64_t{0})));
  // Divisor 1 gives the lowest value / 1 = itself and a remainder of 0, as an overflow shall.
  llvm::Value* safe = b_.CreateSelect(b_.CreateOr(divides_by_zero, overflows), integer(b, 1), b);
  llvm::Value* result = signed_division(type, a, safe, remainder);
  return b_.CreateSelect(divides_by_zero, remainder ? a : zero, result);
}

llvm::Value* PrimitiveEmitter::signed_division(DType type, llvm::Value* a, llvm::Value* b, bool remainder) {
  int bits = bit_width(type);
  if (bits == 64 ? target_.divides_64 : target_.divides_32)
    return remainder ? b_.CreateSRem(a, b) : b_.CreateSDiv(a, b);
  return for_each_lane(division_function(bits, remainder), a, b);
}

llvm::Value* PrimitiveEmitter::quotient(llvm::Value* a, llvm::Value* b) {
  if (std::optional<unsigned> exponent = power_of_two(b)) return b_.CreateLShr(a, *exponent);
  if (target_.divides_64) return b_.CreateUDiv(a, b);
  return for_each_lane(division_function(64, false), a, b);
}

llvm::Value* PrimitiveEmitter::index_division(llvm::Value* a, llvm::Value* b, bool remainder) {
  if (std::optional<unsigned> exponent = power_of_two(b))
    return remainder ? b_.CreateAnd(a, b_.CreateSub(b, integer(b, 1))) : b_.CreateAShr(a, *exponent);
  llvm::Value* quotient = signed_division(DType::i64, a, b, false);
  llvm::Value* rest = b_.CreateSub(a, b_.CreateMul(quotient, b));
  llvm::Value* negative = b_.CreateICmpSLT(rest, integer(rest, 0));
  if (remainder) return b_.CreateSelect(negative, b_.CreateAdd(rest, b), rest);
  return b_.CreateSelect(negative, b_.CreateSub(quotient, integer(quotient, 1)), quotient);
}

llvm::Value* PrimitiveEmitter::for_each_lane(llvm::Function* function, llvm::Value* a, llvm::Value* b) {
  int width = width_of(a);
  if (width == 1) return b_.CreateCall(function, {a, b});
  llvm::Value* result = llvm::PoisonValue::get(a->getType());
  for (int i = 0; i < width; ++i) {
    std::uint64_t lane = static_cast<std::uint64_t>(i);
    llvm::Value* value =
        b_.CreateCall(function, {b_.CreateExtractElement(a, lane), b_.CreateExtractElement(b, lane)});
    result = b_.CreateInsertElement(result, value, lane);
  }
  return result;
}

llvm::Value* PrimitiveEmitter::rounded(Primitive primitive, DType type, llvm::Value* x) {
  if (target_.rounds) {
    llvm::Intrinsic::ID id = primitive == Primitive::floor  ? llvm::Intrinsic::floor
                             : primitive == Primitive::ceil ? llvm::Intrinsic::ceil
                             : primitive == Primitive::trunc
                                 ? llvm::Intrinsic::trunc
                                 : llvm::Intrinsic::nearbyint;
    return b_.CreateUnaryIntrinsic(id, x);
  }
  // Below 2^(mantissa bits) adding and subtracting that number rounds to the nearest integer, half to
  // even; at and above it, and for NaN, x is its own rounding. Signs are put back, so -0.3 gives -0.
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
    result = b_.CreateFSub(
        nearest, b_.CreateSelect(b_.CreateFCmpOGT(nearest, magnitude), one, zero));
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

llvm::Value* PrimitiveEmitter::convert(DType from, DType to, llvm::Value* x) {
  int width = width_of(x);
  llvm::Type* wanted = type(to, width);
  if (from == to) return x;
  if (to == DType::boolean)
    return is_float(from) ? b_.CreateFCmpUNE(x, number(x, 0.0)) : b_.CreateICmpNE(x, integer(x, 0));
  if (from == DType::boolean)
    return is_float(to) ? b_.CreateSelect(x, llvm::ConstantFP::get(wanted, 1.0),
                                          llvm::ConstantFP::get(wanted, 0.0))
                        : b_.CreateZExt(x, wanted);
  if (is_float(from) && is_float(to))
    return bit_width(to) > bit_width(from) ? b_.CreateFPExt(x, wanted) : b_.CreateFPTrunc(x, wanted);
  if (is_float(from)) {
    if (to == DType::i64 && !target_.converts_64) return float_to_i64(from, x);
    return b_.CreateIntrinsic(llvm::Intrinsic::fptosi_sat, {wanted, x->getType()}, {x});
  }
  if (is_float(to)) {
    if (from == DType::i64 && !target_.converts_64) return i64_to_float(to, x);
    return b_.CreateSIToFP(x, wanted);
  }
  return b_.CreateSExtOrTrunc(x, wanted);
}

// |x| = high * 2^32 + low, both halves converted as 32 bits.
llvm::Value* PrimitiveEmitter::float_to_i64(DType from, llvm::Value* x) {
  int width = width_of(x);
  llvm::Type* wide = type(DType::f64, width);
  llvm::Type* i64 = type(DType::i64, width);
  llvm::Value* value = from == DType::f64 ? x : b_.CreateFPExt(x, wide);
  llvm::Value* magnitude = b_.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, value);
  llvm::Value* in_range = b_.CreateFCmpOLT(magnitude, number(value, 0x1p63));
  llvm::Value* safe = b_.CreateSelect(in_range, magnitude, number(value, 0.0));
  llvm::Type* u32 = type(DType::i32, width);
  llvm::Value* high = b_.CreateIntrinsic(llvm::Intrinsic::fptoui_sat, {u32, wide},
                                   {b_.CreateFMul(safe, number(value, 0x1p-32))});
  llvm::Value* rest = b_.CreateFSub(safe, b_.CreateFMul(b_.CreateUIToFP(high, wide), number(value, 0x1p32)));
  llvm::Value* low = b_.CreateIntrinsic(llvm::Intrinsic::fptoui_sat, {u32, wide}, {rest});
  llvm::Value* joined = b_.CreateOr(
      b_.CreateShl(b_.CreateZExt(high, i64), llvm::ConstantInt::get(i64, 32)), b_.CreateZExt(low, i64));
  llvm::Value* negative = b_.CreateFCmpOLT(value, number(value, 0.0));
  llvm::Value* with_sign = b_.CreateSelect(negative, b_.CreateNeg(joined), joined);
  llvm::Value* saturated = b_.CreateSelect(negative, llvm::ConstantInt::get(i64, std::uint64_t{1} << 63),
                                     llvm::ConstantInt::get(i64, INT64_MAX));
  llvm::Value* result = b_.CreateSelect(in_range, with_sign, saturated);
  return b_.CreateSelect(b_.CreateFCmpUNO(value, value), llvm::ConstantInt::get(i64, 0), result);
}

llvm::Value* PrimitiveEmitter::i64_to_float(DType to, llvm::Value* x) {
  int width = width_of(x);
  llvm::Type* wide = type(DType::f64, width);
  llvm::Type* u32 = type(DType::i32, width);
  llvm::Value* source = x;
  if (to == DType::f32) {
    // Rounding first to f64 and then to f32 would round twice. With the bits below 2^11 gathered into
    // one sticky bit a large number fits f64 exactly, and still rounds to the same f32.
    llvm::Value* low = b_.CreateAnd(x, integer(x, 0x7FF));
    llvm::Value* sticky = b_.CreateSelect(b_.CreateICmpEQ(low, integer(x, 0)), integer(x, 0),
                                    integer(x, 0x400));
    llvm::Value* gathered = b_.CreateOr(b_.CreateAnd(x, integer(x, ~std::uint64_t{0x7FF})), sticky);
    llvm::Value* magnitude = b_.CreateSelect(b_.CreateICmpSLT(x, integer(x, 0)), b_.CreateNeg(x), x);
    llvm::Value* large = b_.CreateICmpUGE(magnitude, integer(x, std::uint64_t{1} << 53));
    source = b_.CreateSelect(large, gathered, x);
  }
  llvm::Value* high = b_.CreateTrunc(b_.CreateAShr(source, integer(x, 32)), u32);
  llvm::Value* low = b_.CreateTrunc(source, u32);
  llvm::Value* sum = b_.CreateFAdd(
      b_.CreateFMul(b_.CreateSIToFP(high, wide), llvm::ConstantFP::get(wide, 0x1p32)),
      b_.CreateUIToFP(low, wide));
  return to == DType::f64 ? sum : b_.CreateFPTrunc(sum, type(to, width));
}

llvm::Value* PrimitiveEmitter::float_remainder(DType type, llvm::Value* a, llvm::Value* b) {
  return for_each_lane(remainder_function(type), a, b);
}

}  // namespace weir
