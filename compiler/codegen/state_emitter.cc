#include "compiler/codegen/state_emitter.h"

#include "compiler/codegen/draw_emitter.h"
#include "runtime/abi.h"

namespace weir {
namespace {

constexpr const char* kName = "weir.init_state";

}  // namespace

llvm::Function* init_state_of(llvm::Module& module) { return module.getFunction(kName); }

llvm::Function* emit_init_state(llvm::Module& module, const ModelObject& model) {
  if (model.state.bytes == 0) return nullptr;
  llvm::LLVMContext& context = module.getContext();
  llvm::IRBuilder<> b(context);
  auto* pointer = llvm::PointerType::get(context, 0);
  auto* word = llvm::IntegerType::get(context, static_cast<unsigned>(model.base.pointer_bits));
  auto* made =
      llvm::Function::Create(llvm::FunctionType::get(b.getInt32Ty(), {pointer, pointer}, false),
                             llvm::GlobalValue::InternalLinkage, kName, module);
  auto block = [&](const char* name) { return llvm::BasicBlock::Create(context, name, made); };
  b.SetInsertPoint(block("entry"));
  llvm::BasicBlock *invalid = block("invalid"), *before = block("valid");
  llvm::Value* state = made->getArg(0);
  llvm::Value* values = made->getArg(1);
  llvm::Value* missing = b.CreateIsNull(state);
  const std::uint64_t first = model.state.first_offset, end = first + model.state.first_bytes;
  std::uint64_t source = model.state.first_source;
  if (model.state.own_values != nullptr && model.state.first_bytes > 0) {
    llvm::Constant* bytes = llvm::ConstantDataArray::getRaw(*model.state.own_values,
                                                            model.state.first_bytes, b.getInt8Ty());
    auto* own = new llvm::GlobalVariable(module, bytes->getType(), true,
                                         llvm::GlobalValue::InternalLinkage, bytes, "first_values");
    own->setAlignment(llvm::Align(WEIR_ALIGNMENT));
    values = own;
    source = 0;
  } else if (model.state.first_bytes > 0) {
    missing = b.CreateOr(missing, b.CreateIsNull(values));
  }
  b.CreateCondBr(missing, invalid, before);
  b.SetInsertPoint(invalid);
  b.CreateRet(b.getInt32(WEIR_INVALID_CALL));
  b.SetInsertPoint(before);
  values = b.CreateConstGEP1_64(b.getInt8Ty(), values, source);
  // Both ends are multiples of WEIR_ALIGNMENT, and so of a word. A loop, because nothing may be
  // needed from elsewhere.
  const auto word_bytes = static_cast<std::uint64_t>(model.base.pointer_bits) / 8;
  auto fill = [&](std::uint64_t from, std::uint64_t to, bool copies) {
    if (from == to) return;
    llvm::BasicBlock *loop = block("loop"), *after = block("after");
    llvm::BasicBlock* entering = b.GetInsertBlock();
    b.CreateBr(loop);
    b.SetInsertPoint(loop);
    llvm::PHINode* i = b.CreatePHI(word, 2);
    i->addIncoming(llvm::ConstantInt::get(word, from / word_bytes), entering);
    llvm::Value* value = llvm::ConstantInt::get(word, 0);
    if (copies) {
      llvm::Value* place = b.CreateSub(i, llvm::ConstantInt::get(word, from / word_bytes));
      value = b.CreateLoad(word, b.CreateGEP(word, values, place));
    }
    b.CreateStore(value, b.CreateGEP(word, state, i));
    llvm::Value* next = b.CreateAdd(i, llvm::ConstantInt::get(word, 1));
    i->addIncoming(next, loop);
    b.CreateCondBr(b.CreateICmpEQ(next, llvm::ConstantInt::get(word, to / word_bytes)), after,
                   loop);
    b.SetInsertPoint(after);
  };
  fill(0, first, false);
  fill(first, end, true);
  fill(end, model.state.bytes, false);
  emit_draws(b, state, model);
  b.CreateRet(b.getInt32(WEIR_OK));
  return made;
}

}  // namespace weir
