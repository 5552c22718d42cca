// The generator is the 64-bit Mersenne twister of the C++ standard (Nishimura, 2000): 312 words w,
// and behind them the place i of the next one. A draw makes w[i] anew and tempers it, so that there
// is no step for all words at once:
//
//   w[0] = seed                 w[k] = 6364136223846793005 * (w[k-1] ^ w[k-1] >> 62) + k
//   x    = upper 33 bits of w[i], lower 31 bits of w[i + 1 mod 312]
//   w[i] = w[i + 156 mod 312] ^ x >> 1 ^ (x odd ? 0xb5026f5aa96619e9 : 0)
//
// The upper 53 bits of what is tempered are the number.
#include "compiler/codegen/draw_emitter.h"

#include <map>
#include <vector>

#include "compiler/codegen/primitive_emitter.h"

namespace weir {
namespace {

constexpr std::uint64_t kWords = 312, kAhead = 156;

class DrawEmitter {
 public:
  DrawEmitter(llvm::IRBuilder<>& builder, const ModelObject& model)
      : b_(builder),
        context_(builder.getContext()),
        module_(*builder.GetInsertBlock()->getModule()),
        target_(without_fma(model.base)),
        word_(llvm::IntegerType::get(context_, static_cast<unsigned>(target_.pointer_bits))),
        pointer_(llvm::PointerType::get(context_, 0)) {}

  void emit(llvm::Value* state, const ModelObject::State& all) {
    llvm::BasicBlock& entry = b_.GetInsertBlock()->getParent()->getEntryBlock();
    generator_ = llvm::IRBuilder<>(&entry, entry.begin())
                     .CreateAlloca(llvm::ArrayType::get(b_.getInt64Ty(), kWords + 1));
    seed(all.seed);
    draw_ = draw_function();
    for (const ModelObject::Draw& draw : all.draws)
      loop(0, draw.elements, [&](llvm::Value* i) {
        llvm::Value* value = element(draw.element);
        if (!draw.offset) return;
        if (value->getType()->isIntegerTy(1)) value = b_.CreateZExt(value, b_.getInt8Ty());
        llvm::Value* first = b_.CreateGEP(b_.getInt8Ty(), state, number(*draw.offset));
        b_.CreateStore(value, b_.CreateGEP(value->getType(), first, i));
      });
  }

 private:
  static Target without_fma(Target target) {
    target.fma = false;
    return target;
  }

  llvm::Constant* number(std::uint64_t value) { return llvm::ConstantInt::get(word_, value); }

  // for (i = first; i < end; ++i)
  template <class Body>
  void loop(std::uint64_t first, std::uint64_t end, Body&& body) {
    if (first == end) return;
    llvm::Function* function = b_.GetInsertBlock()->getParent();
    llvm::BasicBlock* before = b_.GetInsertBlock();
    auto* inside = llvm::BasicBlock::Create(context_, "draw", function);
    auto* after = llvm::BasicBlock::Create(context_, "drawn", function);
    b_.CreateBr(inside);
    b_.SetInsertPoint(inside);
    llvm::PHINode* i = b_.CreatePHI(word_, 2);
    i->addIncoming(number(first), before);
    body(i);
    llvm::Value* next = b_.CreateAdd(i, number(1));
    i->addIncoming(next, b_.GetInsertBlock());
    b_.CreateCondBr(b_.CreateICmpEQ(next, number(end)), after, inside);
    b_.SetInsertPoint(after);
  }

  llvm::Value* slot(llvm::Value* generator, llvm::Value* i) {
    return b_.CreateGEP(b_.getInt64Ty(), generator, i);
  }
  llvm::Value* load(llvm::Value* place) { return b_.CreateLoad(b_.getInt64Ty(), place); }

  void seed(std::uint64_t value) {
    b_.CreateStore(b_.getInt64(value), slot(generator_, number(0)));
    b_.CreateStore(b_.getInt64(0), slot(generator_, number(kWords)));
    loop(1, kWords, [&](llvm::Value* i) {
      llvm::Value* last = load(slot(generator_, b_.CreateSub(i, number(1))));
      llvm::Value* mixed = b_.CreateMul(b_.CreateXor(last, b_.CreateLShr(last, 62)),
                                        b_.getInt64(6364136223846793005u));
      b_.CreateStore(b_.CreateAdd(mixed, b_.CreateZExtOrTrunc(i, b_.getInt64Ty())),
                     slot(generator_, i));
    });
  }

  // double draw(void* generator)
  llvm::Function* draw_function() {
    llvm::IRBuilder<>::InsertPointGuard guard(b_);
    auto* made =
        llvm::Function::Create(llvm::FunctionType::get(b_.getDoubleTy(), {pointer_}, false),
                               llvm::GlobalValue::InternalLinkage, "weir.draw", module_);
    made->addFnAttr(llvm::Attribute::NoInline);
    b_.SetInsertPoint(llvm::BasicBlock::Create(context_, "entry", made));
    llvm::Value* generator = made->getArg(0);
    llvm::Value* place = slot(generator, number(kWords));
    llvm::Value* i = b_.CreateZExtOrTrunc(load(place), word_);
    auto ahead = [&](std::uint64_t by) {
      llvm::Value* further = b_.CreateAdd(i, number(by));
      return b_.CreateSelect(b_.CreateICmpULT(further, number(kWords)), further,
                             b_.CreateSub(further, number(kWords)));
    };
    llvm::Value* next = ahead(1);
    llvm::Value* upper = b_.CreateAnd(load(slot(generator, i)), ~std::uint64_t{0} << 31);
    llvm::Value* lower = b_.CreateAnd(load(slot(generator, next)), (std::uint64_t{1} << 31) - 1);
    llvm::Value* x = b_.CreateOr(upper, lower);
    llvm::Value* odd = b_.CreateTrunc(x, b_.getInt1Ty());
    llvm::Value* y = b_.CreateXor(load(slot(generator, ahead(kAhead))), b_.CreateLShr(x, 1));
    y = b_.CreateXor(y, b_.CreateSelect(odd, b_.getInt64(0xb5026f5aa96619e9u), b_.getInt64(0)));
    b_.CreateStore(y, slot(generator, i));
    b_.CreateStore(b_.CreateZExtOrTrunc(next, b_.getInt64Ty()), place);
    y = b_.CreateXor(y, b_.CreateAnd(b_.CreateLShr(y, 29), 0x5555555555555555u));
    y = b_.CreateXor(y, b_.CreateAnd(b_.CreateShl(y, 17), 0x71d67fffeda60000u));
    y = b_.CreateXor(y, b_.CreateAnd(b_.CreateShl(y, 37), 0xfff7eee000000000u));
    y = b_.CreateXor(y, b_.CreateLShr(y, 43));
    llvm::Value* bits[] = {b_.CreateLShr(y, 11)};
    PrimitiveEmitter primitives(b_, module_, target_);
    llvm::Value* real = primitives.emit(scalar::Primitive::cast, DType::i64, DType::f64, bits);
    b_.CreateRet(b_.CreateFMul(real, llvm::ConstantFP::get(b_.getDoubleTy(), 0x1p-53)));
    return made;
  }

  llvm::Value* element(const InitialElement& element) {
    PrimitiveEmitter primitives(b_, module_, target_);
    std::vector<llvm::Value*> drawn;
    for (std::uint32_t i = 0; i < element.draws; ++i)
      drawn.push_back(b_.CreateCall(draw_, {generator_}));
    std::map<scalar::Id, llvm::Value*> values;
    for (scalar::Id id : scalar::reachable(element.arena, {&element.value, 1})) {
      const scalar::Node& node = element.arena[id];
      llvm::Value*& value = values[id];
      if (node.primitive == scalar::Primitive::constant) {
        value = primitives.constant(node.type, node.payload, 1);
      } else if (node.primitive == scalar::Primitive::argument) {
        value = drawn[node.payload];
      } else {
        std::vector<llvm::Value*> operands;
        for (scalar::Id operand : element.arena.operands(id)) operands.push_back(values[operand]);
        DType first = element.arena[element.arena.operand(id, 0)].type;
        value = primitives.emit(node.primitive, first, node.type, operands);
      }
    }
    return values[element.value];
  }

  llvm::IRBuilder<>& b_;
  llvm::LLVMContext& context_;
  llvm::Module& module_;
  const Target target_;
  llvm::IntegerType* word_;
  llvm::PointerType* pointer_;
  llvm::Value* generator_ = nullptr;
  llvm::Function* draw_ = nullptr;
};

}  // namespace

void emit_draws(llvm::IRBuilder<>& builder, llvm::Value* state, const ModelObject& model) {
  if (!model.state.draws.empty()) DrawEmitter(builder, model).emit(state, model.state);
}

}  // namespace weir
