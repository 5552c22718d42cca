// Functions that emitted modules carry where a target has no instruction: exact fmod, and integer
// division. Each is internal to the module and made on first use.

#include <fmt/format.h>

#include "compiler/codegen/primitive_emitter.h"
#include "ir/diagnostic.h"

namespace weir {
namespace {

llvm::Function* make_function(llvm::Module& module, const std::string& name, llvm::Type* type) {
  auto* function = llvm::Function::Create(llvm::FunctionType::get(type, {type, type}, false),
                                          llvm::GlobalValue::InternalLinkage, name, module);
  function->addFnAttr(llvm::Attribute::NoUnwind);
  function->addFnAttr("no-builtins");
  return function;
}

// A loop that runs while `counter` steps down to zero; `body` gets the counter's value after the
// step.
template <class Body>
void count_down(llvm::IRBuilder<>& b, llvm::AllocaInst* counter, Body&& body) {
  llvm::Function* function = b.GetInsertBlock()->getParent();
  llvm::LLVMContext& context = b.getContext();
  auto* test = llvm::BasicBlock::Create(context, "test", function);
  auto* loop = llvm::BasicBlock::Create(context, "step", function);
  auto* after = llvm::BasicBlock::Create(context, "after", function);
  llvm::Type* type = counter->getAllocatedType();
  b.CreateBr(test);
  b.SetInsertPoint(test);
  llvm::Value* left = b.CreateLoad(type, counter);
  b.CreateCondBr(b.CreateICmpSGT(left, llvm::ConstantInt::get(type, 0)), loop, after);
  b.SetInsertPoint(loop);
  llvm::Value* next = b.CreateSub(left, llvm::ConstantInt::get(type, 1));
  b.CreateStore(next, counter);
  body(next);
  b.CreateBr(test);
  b.SetInsertPoint(after);
}

}  // namespace

// Restoring division of magnitudes, one bit of the dividend a step; signs as in C.
llvm::Function* PrimitiveEmitter::division_function(int bits, bool remainder) {
  std::string name = fmt::format("weir.{}{}", remainder ? "rem" : "div", bits);
  if (llvm::Function* existing = module_.getFunction(name)) return existing;
  llvm::Type* type = llvm::IntegerType::get(module_.getContext(), static_cast<unsigned>(bits));
  llvm::Function* function = make_function(module_, name, type);
  llvm::IRBuilder<> b(llvm::BasicBlock::Create(module_.getContext(), "entry", function));
  llvm::Value* a = function->getArg(0);
  llvm::Value* d = function->getArg(1);
  auto number = [&](std::uint64_t n) { return llvm::ConstantInt::get(type, n); };
  auto magnitude = [&](llvm::Value* x) {
    return b.CreateSelect(b.CreateICmpSLT(x, number(0)), b.CreateNeg(x), x);
  };
  llvm::Value* dividend = magnitude(a);
  llvm::Value* divisor = magnitude(d);
  auto* counter = b.CreateAlloca(type);
  auto* quotient = b.CreateAlloca(type);
  auto* rest = b.CreateAlloca(type);
  llvm::Value* zeros = b.CreateIntrinsic(llvm::Intrinsic::ctlz, {type}, {dividend, b.getFalse()});
  b.CreateStore(b.CreateSub(number(static_cast<std::uint64_t>(bits)), zeros), counter);
  b.CreateStore(number(0), quotient);
  b.CreateStore(number(0), rest);
  count_down(b, counter, [&](llvm::Value* bit) {
    llvm::Value* next = b.CreateAnd(b.CreateLShr(dividend, bit), number(1));
    llvm::Value* grown = b.CreateOr(b.CreateShl(b.CreateLoad(type, rest), number(1)), next);
    llvm::Value* fits = b.CreateICmpUGE(grown, divisor);
    b.CreateStore(b.CreateSelect(fits, b.CreateSub(grown, divisor), grown), rest);
    llvm::Value* shifted = b.CreateShl(b.CreateLoad(type, quotient), number(1));
    b.CreateStore(b.CreateOr(shifted, b.CreateZExt(fits, type)), quotient);
  });
  llvm::Value* result = b.CreateLoad(type, remainder ? rest : quotient);
  llvm::Value* negative =
      remainder ? b.CreateICmpSLT(a, number(0)) : b.CreateICmpSLT(b.CreateXor(a, d), number(0));
  b.CreateRet(b.CreateSelect(negative, b.CreateNeg(result), result));
  return function;
}

// Exact fmod: with a = ma * 2^ea and b = mb * 2^eb, the remainder's mantissa is ma * 2^(ea - eb)
// mod mb, found by ea - eb doublings. All in integers; the result takes the sign of a.
llvm::Function* PrimitiveEmitter::remainder_function(DType dtype) {
  bool single = dtype == DType::f32;
  std::string name = single ? "weir.fmod32" : "weir.fmod64";
  if (llvm::Function* existing = module_.getFunction(name)) return existing;
  llvm::LLVMContext& context = module_.getContext();
  llvm::Type* real = type(dtype, 1);
  llvm::Type* word = llvm::IntegerType::get(context, single ? 32 : 64);
  llvm::Function* function = make_function(module_, name, real);
  llvm::IRBuilder<> b(llvm::BasicBlock::Create(context, "entry", function));
  const std::uint64_t mantissa_bits = single ? 23 : 52;
  const std::uint64_t hidden = std::uint64_t{1} << mantissa_bits;
  const std::uint64_t infinity = single ? 0x7F800000u : 0x7FF0000000000000u;
  const std::uint64_t sign_bit = single ? 0x80000000u : 0x8000000000000000u;
  auto number = [&](std::uint64_t n) {
    return llvm::ConstantInt::get(word, llvm::APInt(word->getIntegerBitWidth(), n, false, true));
  };
  llvm::Value* bits_a = b.CreateBitCast(function->getArg(0), word);
  llvm::Value* bits_b = b.CreateBitCast(function->getArg(1), word);
  llvm::Value* sign = b.CreateAnd(bits_a, number(sign_bit));
  llvm::Value* abs_a = b.CreateAnd(bits_a, number(sign_bit - 1));
  llvm::Value* abs_b = b.CreateAnd(bits_b, number(sign_bit - 1));
  // NaN for a infinite or NaN, b zero or NaN; a itself for |a| < |b|.
  llvm::Value* invalid = b.CreateOr(
      b.CreateICmpUGE(abs_a, number(infinity)),
      b.CreateOr(b.CreateICmpUGT(abs_b, number(infinity)), b.CreateICmpEQ(abs_b, number(0))));
  auto* check_less = llvm::BasicBlock::Create(context, "valid", function);
  auto* reduce = llvm::BasicBlock::Create(context, "reduce", function);
  auto* give_nan = llvm::BasicBlock::Create(context, "nan", function);
  auto* give_a = llvm::BasicBlock::Create(context, "same", function);
  b.CreateCondBr(invalid, give_nan, check_less);
  b.SetInsertPoint(give_nan);
  b.CreateRet(llvm::ConstantFP::getNaN(real));
  b.SetInsertPoint(check_less);
  b.CreateCondBr(b.CreateICmpULT(abs_a, abs_b), give_a, reduce);
  b.SetInsertPoint(give_a);
  b.CreateRet(function->getArg(0));
  b.SetInsertPoint(reduce);
  // Exponents count from 1 for denormals too, which have no hidden bit.
  auto exponent = [&](llvm::Value* x) {
    llvm::Value* raw = b.CreateLShr(x, number(mantissa_bits));
    return b.CreateSelect(b.CreateICmpEQ(raw, number(0)), number(1), raw);
  };
  auto mantissa = [&](llvm::Value* x) {
    llvm::Value* low = b.CreateAnd(x, number(hidden - 1));
    return b.CreateSelect(b.CreateICmpULT(x, number(hidden)), low, b.CreateOr(low, number(hidden)));
  };
  llvm::Value* exponent_b = exponent(abs_b);
  llvm::Value* mantissa_b = mantissa(abs_b);
  auto* counter = b.CreateAlloca(word);
  auto* rest = b.CreateAlloca(word);
  b.CreateStore(b.CreateSub(exponent(abs_a), exponent_b), counter);
  bool divides = single ? target_.divides_32 : target_.divides_64;
  llvm::Value* first = divides ? b.CreateURem(mantissa(abs_a), mantissa_b)
                               : b.CreateCall(division_function(single ? 32 : 64, true),
                                              {mantissa(abs_a), mantissa_b});
  b.CreateStore(first, rest);
  count_down(b, counter, [&](llvm::Value*) {
    // The rest is below the divisor's mantissa before and after every doubling.
    llvm::Value* doubled = b.CreateShl(b.CreateLoad(word, rest), number(1));
    llvm::Value* reduced = b.CreateSub(doubled, mantissa_b);
    b.CreateStore(b.CreateSelect(b.CreateICmpUGE(doubled, mantissa_b), reduced, doubled), rest);
  });
  llvm::Value* last = b.CreateLoad(word, rest);
  // Normalize: shift left until the hidden bit stands or the exponent is the lowest.
  llvm::Value* zeros = b.CreateIntrinsic(llvm::Intrinsic::ctlz, {word}, {last, b.getFalse()});
  llvm::Value* wanted = b.CreateSub(zeros, number((single ? 31 : 63) - mantissa_bits));
  llvm::Value* room = b.CreateSub(exponent_b, number(1));
  llvm::Value* shift = b.CreateSelect(b.CreateICmpULT(wanted, room), wanted, room);
  llvm::Value* is_zero = b.CreateICmpEQ(last, number(0));
  shift = b.CreateSelect(is_zero, number(0), shift);
  llvm::Value* shifted = b.CreateShl(last, shift);
  llvm::Value* scaled = b.CreateShl(b.CreateSub(exponent_b, shift), number(mantissa_bits));
  llvm::Value* normal = b.CreateICmpUGE(shifted, number(hidden));
  llvm::Value* packed =
      b.CreateSelect(normal, b.CreateOr(b.CreateAnd(shifted, number(hidden - 1)), scaled), shifted);
  b.CreateRet(b.CreateBitCast(b.CreateOr(packed, sign), real));
  return function;
}

}  // namespace weir
