#include "compiler/codegen/self_test_emitter.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "compiler/codegen/entry_emitter.h"
#include "compiler/codegen/primitive_emitter.h"
#include "compiler/codegen/state_emitter.h"
#include "compiler/lowering/memory_plan.h"
#include "ir/diagnostic.h"
#include "runtime/abi.h"

namespace weir {
namespace {

struct Piece {
  DType type;
  std::uint64_t elements;
  std::uint64_t offset;  // in the test's memory
};

// Where a program's inputs, outputs, state and workspace lie in the test's memory.
struct Layout {
  std::vector<Piece> inputs, outputs;
  std::uint64_t state = 0, workspace = 0;
  std::uint64_t bytes = 0;
};

std::uint64_t add_aligned(std::uint64_t offset, std::uint64_t bytes) {
  std::uint64_t end;
  if (__builtin_add_overflow(offset, bytes, &end) ||
      end > static_cast<std::uint64_t>(INT64_MAX) - WEIR_ALIGNMENT)
    throw Error("the memory of the self test has more bytes than 63 bits can count");
  return aligned(end);
}

Layout layout_of(const ModelObject& model, const ModelObject::Entry& entry) {
  const Program& program = entry.program;
  Dim::Bindings bindings;
  for (std::size_t i = 0; i < program.symbols.size(); ++i)
    bindings.emplace(program.symbols[i], entry.self_test->dims[i]);
  Layout layout;
  auto place = [&](const auto& side, std::vector<Piece>& pieces) {
    for (const auto& [name, type] : side) {
      auto elements =
          static_cast<std::uint64_t>(element_count(type.shape).evaluate(bindings).value());
      pieces.push_back({type.dtype, elements, layout.bytes});
      layout.bytes =
          add_aligned(layout.bytes, elements * static_cast<std::uint64_t>(byte_size(type.dtype)));
    }
  };
  place(program.inputs, layout.inputs);
  place(program.outputs, layout.outputs);
  layout.state = layout.bytes;
  layout.bytes = add_aligned(layout.bytes, program.state_bytes);
  layout.workspace = layout.bytes;
  layout.bytes =
      add_aligned(layout.bytes, workspace_bytes(program, bindings).value() + model.variant_bytes() +
                                    model.bytes_per_worker(program, bindings));
  return layout;
}

class SelfTestEmitter {
 public:
  SelfTestEmitter(llvm::Module& module, const ModelObject& model, const Target& target,
                  llvm::Function* init, std::uint32_t first_variant)
      : module_(module),
        context_(module.getContext()),
        model_(model),
        init_(init),
        first_variant_(first_variant),
        b_(context_),
        primitives_(b_, module, target),
        word_(llvm::IntegerType::get(context_, static_cast<unsigned>(target.pointer_bits))),
        pointer_(llvm::PointerType::get(context_, 0)) {}

  void emit() {
    bool given_weights = model_.weights == nullptr && model_.weight_bytes > 0;
    std::vector<llvm::Type*> types{pointer_};
    if (given_weights) types.push_back(pointer_);
    auto* made = llvm::Function::Create(llvm::FunctionType::get(b_.getInt32Ty(), types, false),
                                        llvm::GlobalValue::ExternalLinkage,
                                        model_.name + "_selftest", module_);
    made->addRetAttr(llvm::Attribute::SExt);
    begin(made);
    memory_ = made->getArg(0);
    if (given_weights)
      weights_ = made->getArg(1);
    else if (model_.weights != nullptr)
      weights_ = module_.getNamedGlobal(model_.name + "_weights");
    else
      weights_ = llvm::ConstantPointerNull::get(pointer_);
    if (model_.variants.size() > 1) chosen_ = slot(b_.getInt32Ty());
    require(b_.CreateIsNotNull(memory_), WEIR_INVALID_CALL);
    for (const ModelObject::Entry& entry : model_.programs)
      if (entry.self_test) emit_program(entry);
    b_.CreateRet(b_.getInt32(WEIR_OK));
  }

 private:
  void begin(llvm::Function* function) {
    function_ = function;
    b_.SetInsertPoint(llvm::BasicBlock::Create(context_, "entry", function));
  }

  llvm::BasicBlock* block(const char* name) {
    return llvm::BasicBlock::Create(context_, name, function_);
  }

  // Memory of the function's own, in its frame.
  llvm::Value* slot(llvm::Type* type) {
    llvm::BasicBlock& entry = function_->getEntryBlock();
    return llvm::IRBuilder<>(&entry, entry.begin()).CreateAlloca(type);
  }

  // Returns the status unless the condition holds.
  void require(llvm::Value* condition, llvm::Value* status) {
    llvm::BasicBlock* failed = block("failed");
    llvm::BasicBlock* next = block("next");
    b_.CreateCondBr(condition, next, failed);
    b_.SetInsertPoint(failed);
    b_.CreateRet(status);
    b_.SetInsertPoint(next);
  }
  void require(llvm::Value* condition, int status) {
    require(condition, b_.getInt32(static_cast<std::uint32_t>(status)));
  }

  llvm::Value* at(std::uint64_t offset) {
    return b_.CreateGEP(b_.getInt8Ty(), memory_, llvm::ConstantInt::get(word_, offset));
  }

  llvm::Value* array_of(const std::vector<Piece>& pieces) {
    if (pieces.empty()) return llvm::ConstantPointerNull::get(pointer_);
    auto* type = llvm::ArrayType::get(pointer_, pieces.size());
    llvm::Value* array = slot(type);
    for (unsigned i = 0; i < pieces.size(); ++i)
      b_.CreateStore(at(pieces[i].offset), b_.CreateConstGEP2_32(type, array, 0, i));
    return array;
  }

  void emit_program(const ModelObject::Entry& entry) {
    const Program& program = entry.program;
    Layout layout = layout_of(model_, entry);
    llvm::Value* workspace = at(layout.workspace);
    if (init_ != nullptr) {
      llvm::Value* status = b_.CreateCall(init_, {workspace});
      require(b_.CreateIsNull(status), status);
      b_.CreateStore(b_.CreateSub(b_.CreateLoad(b_.getInt32Ty(), variant_note(b_, workspace)),
                                  b_.getInt32(first_variant_)),
                     chosen_);
    }
    for (std::uint32_t i = 0; i < layout.inputs.size(); ++i) {
      const Piece& piece = layout.inputs[i];
      b_.CreateCall(filler(piece.type),
                    {at(piece.offset), llvm::ConstantInt::get(word_, piece.elements),
                     b_.getInt32(i), b_.getInt32(entry.self_test->range)});
    }
    llvm::Value* dims = llvm::ConstantPointerNull::get(pointer_);
    if (!program.symbols.empty()) {
      auto* type = llvm::ArrayType::get(word_, program.symbols.size());
      dims = slot(type);
      for (unsigned i = 0; i < program.symbols.size(); ++i)
        b_.CreateStore(
            llvm::ConstantInt::get(word_, static_cast<std::uint64_t>(entry.self_test->dims[i])),
            b_.CreateConstGEP2_32(type, dims, 0, i));
    }
    llvm::Value* null = llvm::ConstantPointerNull::get(pointer_);
    llvm::Value* state = null;
    if (program.state_bytes > 0) {
      state = at(layout.state);
      llvm::Value* status = b_.CreateCall(init_state_of(module_), {state, weights_});
      require(b_.CreateIsNull(status), status);
    }
    llvm::StructType* type = call_type(context_);
    llvm::Value* call = slot(type);
    unsigned field = 0;
    for (llvm::Value* value : {array_of(layout.inputs), array_of(layout.outputs), weights_,
                               workspace, dims, null, state})
      b_.CreateStore(value, b_.CreateStructGEP(type, call, field++));
    llvm::Value* status = b_.CreateCall(module_.getFunction(program_symbol(program)), {call});
    require(b_.CreateIsNull(status), status);
    std::vector<Piece> results = layout.outputs;
    for (const StateEntry& variable : program.state)
      if (variable.updated)
        results.push_back(
            {variable.type.dtype,
             variable.bytes / static_cast<std::uint64_t>(byte_size(variable.type.dtype)),
             layout.state + variable.offset});
    for (std::size_t i = 0; i < results.size(); ++i) {
      const Piece& piece = results[i];
      llvm::Value* found = b_.CreateCall(
          digester(piece.type), {at(piece.offset), llvm::ConstantInt::get(word_, piece.elements)});
      require(b_.CreateICmpEQ(found, recorded(*entry.self_test, i)), WEIR_WRONG_RESULT);
    }
  }

  llvm::Value* recorded(const SelfTest& test, std::size_t result) {
    auto joined = [&](const SelfTestDigest& digest) {
      return b_.getInt64(std::uint64_t{digest.b} << 32 | digest.a);
    };
    llvm::Value* value = joined(test.digests[0][result]);
    for (std::uint32_t v = 1; v < test.digests.size(); ++v)
      value =
          b_.CreateSelect(b_.CreateICmpEQ(b_.CreateLoad(b_.getInt32Ty(), chosen_), b_.getInt32(v)),
                          joined(test.digests[v][result]), value);
    return value;
  }

  // A helper of the test, and then the insertion point of before.
  template <class Body>
  llvm::Function* helper(const std::string& name, llvm::Type* result,
                         std::vector<llvm::Type*> arguments, Body&& body) {
    if (llvm::Function* existing = module_.getFunction(name)) return existing;
    llvm::IRBuilder<>::InsertPointGuard guard(b_);
    llvm::Function* caller = function_;
    auto* made =
        llvm::Function::Create(llvm::FunctionType::get(result, std::move(arguments), false),
                               llvm::GlobalValue::InternalLinkage, name, module_);
    begin(made);
    body(made);
    function_ = caller;
    return made;
  }

  // for (i = 0; i < count; ++i): `states` are carried from step to step; returns their last values.
  template <class Step>
  std::vector<llvm::Value*> loop(llvm::Value* count, const std::vector<llvm::Value*>& states,
                                 Step&& step) {
    llvm::BasicBlock* before = b_.GetInsertBlock();
    llvm::BasicBlock* test = block("test");
    llvm::BasicBlock* body = block("body");
    llvm::BasicBlock* after = block("after");
    b_.CreateBr(test);
    b_.SetInsertPoint(test);
    llvm::PHINode* i = b_.CreatePHI(word_, 2);
    i->addIncoming(llvm::ConstantInt::get(word_, 0), before);
    std::vector<llvm::PHINode*> carried;
    std::vector<llvm::Value*> values;
    for (llvm::Value* state : states) {
      carried.push_back(b_.CreatePHI(state->getType(), 2));
      carried.back()->addIncoming(state, before);
      values.push_back(carried.back());
    }
    b_.CreateCondBr(b_.CreateICmpULT(i, count), body, after);
    b_.SetInsertPoint(body);
    std::vector<llvm::Value*> next = step(i, values);
    for (std::size_t s = 0; s < carried.size(); ++s)
      carried[s]->addIncoming(next[s], b_.GetInsertBlock());
    i->addIncoming(b_.CreateAdd(i, llvm::ConstantInt::get(word_, 1)), b_.GetInsertBlock());
    b_.CreateBr(test);
    b_.SetInsertPoint(after);
    return values;
  }

  llvm::Value* cast(DType from, DType to, llvm::Value* value) {
    llvm::Value* operands[] = {value};
    return primitives_.emit(scalar::Primitive::cast, from, to, operands);
  }

  // The number u / 2^bits - 1.
  llvm::Value* fraction(llvm::Value* u, int bits) {
    auto real = [&](double x) { return llvm::ConstantFP::get(b_.getFloatTy(), x); };
    llvm::Value* scaled =
        b_.CreateFMul(cast(DType::i32, DType::f32, u), real(std::ldexp(1.0, -bits)));
    return b_.CreateFSub(scaled, real(1.0));
  }

  llvm::Value* element(DType type, llvm::Value* u, llvm::Value* range) {
    switch (type) {
      case DType::f32:
        return fraction(u, 23);
      case DType::f64:
        return b_.CreateFPExt(fraction(u, 23), b_.getDoubleTy());
      case DType::f16:
        return cast(DType::f32, DType::f16, fraction(b_.CreateLShr(u, 13), 10));
      case DType::bf16:
        return cast(DType::f32, DType::bf16, fraction(b_.CreateLShr(u, 16), 7));
      case DType::boolean:
        return b_.CreateTrunc(b_.CreateLShr(u, 23), b_.getInt8Ty());
      default: {
        // 16 bits by a small range: no more than 32 bits.
        llvm::Value* integer = b_.CreateLShr(b_.CreateMul(b_.CreateLShr(u, 8), range), 16);
        return b_.CreateZExtOrTrunc(integer,
                                    b_.getIntNTy(8 * static_cast<unsigned>(byte_size(type))));
      }
    }
  }

  llvm::Function* filler(DType type) {
    return helper(
        fmt::format("weir.fill_{}", name(type)), b_.getVoidTy(),
        {pointer_, word_, b_.getInt32Ty(), b_.getInt32Ty()}, [&](llvm::Function* made) {
          loop(made->getArg(1), {made->getArg(2)},
               [&](llvm::Value* i,
                   const std::vector<llvm::Value*>& states) -> std::vector<llvm::Value*> {
                 llvm::Value* state = b_.CreateAdd(b_.CreateMul(states[0], b_.getInt32(1664525)),
                                                   b_.getInt32(1013904223));
                 llvm::Value* value = element(type, b_.CreateLShr(state, 8), made->getArg(3));
                 b_.CreateStore(value, b_.CreateGEP(value->getType(), made->getArg(0), i));
                 return {state};
               });
          b_.CreateRetVoid();
        });
  }

  // The bits of a NaN of the type become those of one NaN.
  llvm::Value* without_payload(DType type, llvm::Value* bits) {
    if (!is_float(type)) return bits;
    auto number = [&](std::uint64_t value) {
      return llvm::ConstantInt::get(bits->getType(), value);
    };
    int width = byte_size(type) * 8;
    int fraction = type == DType::f64 ? 52 : type == DType::f32 ? 23 : type == DType::f16 ? 10 : 7;
    std::uint64_t magnitude = (std::uint64_t{1} << (width - 1)) - 1;
    std::uint64_t infinity = magnitude >> fraction << fraction;
    llvm::Value* is_nan = b_.CreateICmpUGT(b_.CreateAnd(bits, number(magnitude)), number(infinity));
    return b_.CreateSelect(is_nan, number(infinity | std::uint64_t{1} << (fraction - 1)), bits);
  }

  llvm::Function* digester(DType type) {
    auto body = [&](llvm::Function* made) {
      llvm::Type* bits_type = b_.getIntNTy(8 * static_cast<unsigned>(byte_size(type)));
      llvm::Value* first = b_.getInt32(2166136261u);
      std::vector<llvm::Value*> last =
          loop(made->getArg(1), {first, first},
               [&](llvm::Value* i,
                   const std::vector<llvm::Value*>& states) -> std::vector<llvm::Value*> {
                 llvm::Value* bits =
                     b_.CreateLoad(bits_type, b_.CreateGEP(bits_type, made->getArg(0), i));
                 bits = without_payload(type, bits);
                 std::vector<llvm::Value*> words{b_.CreateZExtOrTrunc(bits, b_.getInt32Ty())};
                 if (byte_size(type) == 8)
                   words.push_back(b_.CreateTrunc(b_.CreateLShr(bits, 32), b_.getInt32Ty()));
                 llvm::Value *a = states[0], *b = states[1];
                 for (llvm::Value* word : words) {
                   a = b_.CreateMul(b_.CreateXor(a, word), b_.getInt32(16777619));
                   b = b_.CreateMul(b_.CreateAdd(b, word), b_.getInt32(2654435761u));
                   b = b_.CreateOr(b_.CreateShl(b, 13), b_.CreateLShr(b, 19));
                 }
                 return {a, b};
               });
      b_.CreateRet(b_.CreateOr(b_.CreateShl(b_.CreateZExt(last[1], b_.getInt64Ty()), 32),
                               b_.CreateZExt(last[0], b_.getInt64Ty())));
    };
    return helper(fmt::format("weir.digest_{}", name(type)), b_.getInt64Ty(), {pointer_, word_},
                  body);
  }

  llvm::Module& module_;
  llvm::LLVMContext& context_;
  const ModelObject& model_;
  llvm::Function* init_;
  std::uint32_t first_variant_;
  llvm::IRBuilder<> b_;
  PrimitiveEmitter primitives_;
  llvm::IntegerType* word_;
  llvm::PointerType* pointer_;
  llvm::Function* function_ = nullptr;
  llvm::Value* memory_ = nullptr;
  llvm::Value* weights_ = nullptr;
  llvm::Value* chosen_ = nullptr;
};

}  // namespace

llvm::Value* variant_note(llvm::IRBuilder<>& builder, llvm::Value* workspace) {
  return builder.CreateConstGEP1_32(builder.getInt8Ty(), workspace, WEIR_ALIGNMENT / 2);
}

std::uint64_t self_test_bytes(const ModelObject& model) {
  std::uint64_t bytes = 0;
  for (const ModelObject::Entry& entry : model.programs)
    if (entry.self_test) bytes = std::max(bytes, layout_of(model, entry).bytes);
  return bytes;
}

void emit_self_test(llvm::Module& module, const ModelObject& model, const Target& target,
                    llvm::Function* init, std::uint32_t first_variant) {
  SelfTestEmitter(module, model, target, init, first_variant).emit();
}

}  // namespace weir
