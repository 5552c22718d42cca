// The part of the primitive emitter that deals with casts.
//
// f16 and bf16 are held as integers of 16 bits, so that loads, stores and selects of them need
// nothing of the target. Where it has instructions that round as IEEE 754 says, they convert;
// elsewhere integer code does, in vectors as well. Every cast rounds once:
//   - f64 to a 16-bit type goes through an f32 that is rounded to odd: the neighbour whose last bit
//   is set,
//     unless it is exact. That bit is below all that the 16-bit type rounds by, so no tie comes of
//     it.
//   - integers that f32 or f64 do not hold have their lowest bits gathered into one, for the same
//   reason.
//
// AVX512-BF16 takes denormal numbers for zeros, so a vector that holds one goes through integer
// code behind a branch. Such vectors are rare, and the instruction is a third of that code.

#include <llvm/IR/IntrinsicsX86.h>
#include <llvm/IR/MDBuilder.h>

#include "compiler/codegen/primitive_emitter.h"
#include "ir/scalar/constant.h"

namespace weir {

namespace {

int width_of(const llvm::Value* value) {
  auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(value->getType());
  return vector ? static_cast<int>(vector->getNumElements()) : 1;
}

}  // namespace

llvm::Value* PrimitiveEmitter::convert(DType from, DType to, llvm::Value* x) {
  if (from == to) return x;
  llvm::Type* wanted = type(to, width_of(x));
  if (to == DType::boolean) {
    if (is_half(from)) x = b_.CreateAnd(x, integer(x, 0x7FFF));
    return x->getType()->isFPOrFPVectorTy() ? b_.CreateFCmpUNE(x, number(x, 0.0))
                                            : b_.CreateICmpNE(x, integer(x, 0));
  }
  if (from == DType::boolean) {
    int width = width_of(x);
    return b_.CreateSelect(x, constant(to, scalar::bits_of(to, 1.0).value, width),
                           constant(to, 0, width));
  }
  if (is_half(from)) return convert(DType::f32, to, half_to_f32(from, x));
  if (is_half(to)) return to_half(from, to, x);
  if (is_float(from) && is_float(to))
    return to == DType::f64 ? b_.CreateFPExt(x, wanted) : b_.CreateFPTrunc(x, wanted);
  if (is_float(from)) return float_to_integer(from, to, x);
  if (is_float(to)) {
    if (from == DType::i64 && !target_.converts_64) return i64_to_float(to, x);
    if (bit_width(from) < 32) x = convert(from, DType::i32, x);
    return b_.CreateSIToFP(x, wanted);
  }
  return b_.CreateIntCast(x, wanted, is_signed(from));
}

llvm::Value* PrimitiveEmitter::float_to_integer(DType from, DType to, llvm::Value* x) {
  if (to == DType::i64 && !target_.converts_64) return float_to_i64(from, x);
  if (bit_width(to) >= 32)
    return b_.CreateIntrinsic(llvm::Intrinsic::fptosi_sat, {type(to, width_of(x)), x->getType()},
                              {x});
  llvm::Value* word = float_to_integer(from, DType::i32, x);
  bool has_sign = is_signed(to);
  llvm::Value* low = integer(word, has_sign ? ~std::uint64_t{127} : 0);
  llvm::Value* high = integer(word, has_sign ? 127 : 255);
  word = extremum(DType::i32, extremum(DType::i32, word, low, true), high, false);
  return convert(DType::i32, to, word);
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
  llvm::Value* rest =
      b_.CreateFSub(safe, b_.CreateFMul(b_.CreateUIToFP(high, wide), number(value, 0x1p32)));
  llvm::Value* low = b_.CreateIntrinsic(llvm::Intrinsic::fptoui_sat, {u32, wide}, {rest});
  llvm::Value* joined =
      b_.CreateOr(b_.CreateShl(b_.CreateZExt(high, i64), llvm::ConstantInt::get(i64, 32)),
                  b_.CreateZExt(low, i64));
  llvm::Value* negative = b_.CreateFCmpOLT(value, number(value, 0.0));
  llvm::Value* with_sign = b_.CreateSelect(negative, b_.CreateNeg(joined), joined);
  llvm::Value* saturated =
      b_.CreateSelect(negative, llvm::ConstantInt::get(i64, std::uint64_t{1} << 63),
                      llvm::ConstantInt::get(i64, INT64_MAX));
  llvm::Value* result = b_.CreateSelect(in_range, with_sign, saturated);
  return b_.CreateSelect(b_.CreateFCmpUNO(value, value), llvm::ConstantInt::get(i64, 0), result);
}

// An i64 that f64 holds and that rounds to 24 bits or fewer as x does: where f64 does not hold x,
// the bits that are too many are gathered into one.
llvm::Value* PrimitiveEmitter::gathered(llvm::Value* x) {
  llvm::Value* low = b_.CreateAnd(x, integer(x, 0x7FF));
  llvm::Value* sticky =
      b_.CreateSelect(b_.CreateICmpEQ(low, integer(x, 0)), integer(x, 0), integer(x, 0x400));
  llvm::Value* shorter = b_.CreateOr(b_.CreateAnd(x, integer(x, ~std::uint64_t{0x7FF})), sticky);
  llvm::Value* magnitude = b_.CreateSelect(b_.CreateICmpSLT(x, integer(x, 0)), b_.CreateNeg(x), x);
  llvm::Value* large = b_.CreateICmpUGE(magnitude, integer(x, std::uint64_t{1} << 53));
  return b_.CreateSelect(large, shorter, x);
}

llvm::Value* PrimitiveEmitter::i64_to_float(DType to, llvm::Value* x) {
  int width = width_of(x);
  llvm::Type* wide = type(DType::f64, width);
  llvm::Type* u32 = type(DType::i32, width);
  llvm::Value* source = to == DType::f32 ? gathered(x) : x;
  llvm::Value* high = b_.CreateTrunc(b_.CreateAShr(source, integer(x, 32)), u32);
  llvm::Value* low = b_.CreateTrunc(source, u32);
  llvm::Value* sum =
      b_.CreateFAdd(b_.CreateFMul(b_.CreateSIToFP(high, wide), llvm::ConstantFP::get(wide, 0x1p32)),
                    b_.CreateUIToFP(low, wide));
  return to == DType::f64 ? sum : b_.CreateFPTrunc(sum, type(to, width));
}

llvm::Type* PrimitiveEmitter::native_half(DType half, llvm::Value* like) const {
  llvm::LLVMContext& context = module_.getContext();
  llvm::Type* element =
      half == DType::f16 ? llvm::Type::getHalfTy(context) : llvm::Type::getBFloatTy(context);
  int width = width_of(like);
  return width == 1 ? element : llvm::FixedVectorType::get(element, static_cast<unsigned>(width));
}

llvm::Value* PrimitiveEmitter::half_to_f32(DType from, llvm::Value* x) {
  int width = width_of(x);
  llvm::Type* single = type(DType::f32, width);
  if (from == DType::f16 && target_.converts_f16)
    return b_.CreateFPExt(b_.CreateBitCast(x, native_half(from, x)), single);
  llvm::Value* bits = b_.CreateZExt(x, type(DType::i32, width));
  if (from == DType::bf16) return b_.CreateBitCast(b_.CreateShl(bits, integer(bits, 16)), single);
  llvm::Value* magnitude = b_.CreateAnd(bits, integer(bits, 0x7FFF));
  llvm::Value* shifted = b_.CreateShl(magnitude, integer(bits, 13));
  // The exponents of f32 are 112 larger; that of infinity and NaN is so twice.
  llvm::Value* normal = b_.CreateAdd(shifted, integer(bits, 112u << 23));
  llvm::Value* special = b_.CreateAdd(shifted, integer(bits, 224u << 23));
  llvm::Value* denormal = b_.CreateBitCast(
      b_.CreateFMul(b_.CreateSIToFP(magnitude, single), llvm::ConstantFP::get(single, 0x1p-24)),
      bits->getType());
  llvm::Value* result =
      b_.CreateSelect(b_.CreateICmpULT(magnitude, integer(bits, 0x0400)), denormal, normal);
  result = b_.CreateSelect(b_.CreateICmpUGE(magnitude, integer(bits, 0x7C00)), special, result);
  llvm::Value* sign = b_.CreateShl(b_.CreateAnd(bits, integer(bits, 0x8000)), integer(bits, 16));
  return b_.CreateBitCast(b_.CreateOr(result, sign), single);
}

llvm::Value* PrimitiveEmitter::to_half(DType from, DType to, llvm::Value* x) {
  switch (from) {
    case DType::f64:
      if (to == DType::f16 && target_.converts_f16_f64)
        return b_.CreateBitCast(b_.CreateFPTrunc(x, native_half(to, x)), type(to, width_of(x)));
      return f32_to_half(to, f64_to_odd_f32(x));
    case DType::i32:
      // Beyond 2^24, where f32 begins to round, bf16 rounds by 2^17 or more. f16 is infinite there.
      if (to == DType::bf16) {
        llvm::Value* low = b_.CreateAnd(x, integer(x, 0xFF));
        llvm::Value* sticky =
            b_.CreateSelect(b_.CreateICmpEQ(low, integer(x, 0)), integer(x, 0), integer(x, 0x80));
        llvm::Value* shorter =
            b_.CreateOr(b_.CreateAnd(x, integer(x, ~std::uint64_t{0xFF})), sticky);
        llvm::Value* magnitude =
            b_.CreateSelect(b_.CreateICmpSLT(x, integer(x, 0)), b_.CreateNeg(x), x);
        llvm::Value* large = b_.CreateICmpUGE(magnitude, integer(x, 1u << 24));
        x = b_.CreateSelect(large, shorter, x);
      }
      break;
    case DType::i64:
      if (to == DType::bf16)
        return to_half(DType::f64, to, convert(DType::i64, DType::f64, gathered(x)));
      break;
    default:
      break;
  }
  return f32_to_half(to, convert(from, DType::f32, x));
}

llvm::Value* PrimitiveEmitter::f64_to_odd_f32(llvm::Value* x) {
  llvm::Type* single = type(DType::f32, width_of(x));
  llvm::Value* nearest = b_.CreateFPTrunc(x, single);
  llvm::Value* back = b_.CreateFPExt(nearest, x->getType());
  llvm::Value* bits = b_.CreateBitCast(nearest, type(DType::i32, width_of(x)));
  llvm::Value* too_large = b_.CreateFCmpOGT(b_.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, back),
                                            b_.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, x));
  llvm::Value* other = b_.CreateAdd(
      bits, b_.CreateSelect(too_large, integer(bits, ~std::uint64_t{0}), integer(bits, 1)));
  llvm::Value* is_even = b_.CreateICmpEQ(b_.CreateAnd(bits, integer(bits, 1)), integer(bits, 0));
  llvm::Value* changes = b_.CreateAnd(is_even, b_.CreateFCmpONE(back, x));
  return b_.CreateBitCast(b_.CreateSelect(changes, other, bits), single);
}

llvm::Value* PrimitiveEmitter::normal_f32_to_bf16(llvm::Value* x) {
  constexpr int kDenormal = 0x20;  // of vfpclassps
  llvm::Type* result = type(DType::bf16, width_of(x));
  llvm::Value* converted = b_.CreateBitCast(
      b_.CreateIntrinsic(llvm::Intrinsic::x86_avx512bf16_cvtneps2bf16_512, {}, {x}), result);
  llvm::Value* denormal = b_.CreateIntrinsic(llvm::Intrinsic::x86_avx512_fpclass_ps_512, {},
                                             {x, b_.getInt32(kDenormal)});
  llvm::Value* any = b_.CreateICmpNE(b_.CreateBitCast(denormal, b_.getInt16Ty()), b_.getInt16(0));
  llvm::BasicBlock* before = b_.GetInsertBlock();
  llvm::Function* function = before->getParent();
  auto* slow = llvm::BasicBlock::Create(module_.getContext(), "denormal", function);
  auto* after = llvm::BasicBlock::Create(module_.getContext(), "rounded", function);
  b_.CreateCondBr(any, slow, after,
                  llvm::MDBuilder(module_.getContext()).createUnlikelyBranchWeights());
  b_.SetInsertPoint(slow);
  llvm::Value* exact = f32_to_bf16_by_integers(x);
  b_.CreateBr(after);
  b_.SetInsertPoint(after);
  llvm::PHINode* chosen = b_.CreatePHI(result, 2);
  chosen->addIncoming(converted, before);
  chosen->addIncoming(exact, slow);
  return chosen;
}

// Adding half of what is dropped, less one, and the lowest bit that stays, rounds ties to even.
llvm::Value* PrimitiveEmitter::rounded_bits(llvm::Value* bits, std::uint64_t dropped) {
  llvm::Value* last = b_.CreateAnd(b_.CreateLShr(bits, integer(bits, dropped)), integer(bits, 1));
  llvm::Value* half = integer(bits, (std::uint64_t{1} << (dropped - 1)) - 1);
  return b_.CreateAdd(b_.CreateAdd(bits, half), last);
}

llvm::Value* PrimitiveEmitter::f32_to_bf16_by_integers(llvm::Value* x) {
  llvm::Value* bits = b_.CreateBitCast(x, type(DType::i32, width_of(x)));
  llvm::Value* kept = b_.CreateLShr(rounded_bits(bits, 16), integer(bits, 16));
  llvm::Value* nan = integer(bits, 0x7FC0);
  return b_.CreateTrunc(b_.CreateSelect(b_.CreateFCmpUNO(x, x), nan, kept),
                        type(DType::bf16, width_of(x)));
}

llvm::Value* PrimitiveEmitter::f32_to_half(DType to, llvm::Value* x) {
  int width = width_of(x);
  llvm::Type* result = type(to, width);
  if (to == DType::f16 ? target_.converts_f16 : target_.converts_bf16)
    return b_.CreateBitCast(b_.CreateFPTrunc(x, native_half(to, x)), result);
  if (to == DType::bf16)
    return target_.converts_normal_bf16 && width == 16 ? normal_f32_to_bf16(x)
                                                       : f32_to_bf16_by_integers(x);
  llvm::Value* bits = b_.CreateBitCast(x, type(DType::i32, width));
  llvm::Value* is_nan = b_.CreateFCmpUNO(x, x);
  auto shifted = [&](llvm::Value* value, std::uint64_t by) {
    return b_.CreateLShr(value, integer(value, by));
  };
  llvm::Value* magnitude = b_.CreateAnd(bits, integer(bits, 0x7FFFFFFF));
  llvm::Value* normal =
      shifted(b_.CreateSub(rounded_bits(magnitude, 13), integer(bits, 112u << 23)), 13);
  // The last place of 0.5 is that of denormal f16.
  llvm::Value* sum = b_.CreateFAdd(b_.CreateBitCast(magnitude, x->getType()), number(x, 0.5));
  llvm::Value* denormal =
      b_.CreateSub(b_.CreateBitCast(sum, bits->getType()), integer(bits, 0x3F000000));
  llvm::Value* finite =
      b_.CreateSelect(b_.CreateICmpULT(magnitude, integer(bits, 113u << 23)), denormal, normal);
  // From 65520 on, the nearest is infinity.
  llvm::Value* is_large = b_.CreateICmpUGE(magnitude, integer(bits, 0x477FF000));
  llvm::Value* special = b_.CreateSelect(is_nan, integer(bits, 0x7E00), integer(bits, 0x7C00));
  llvm::Value* value = b_.CreateSelect(is_large, special, finite);
  llvm::Value* sign = b_.CreateAnd(shifted(bits, 16), integer(bits, 0x8000));
  return b_.CreateTrunc(b_.CreateOr(value, sign), result);
}

}  // namespace weir
