#include "compiler/codegen/face_emitter.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "compiler/codegen/cpu_check.h"
#include "compiler/codegen/entry_emitter.h"
#include "compiler/codegen/self_test_emitter.h"
#include "compiler/codegen/state_emitter.h"
#include "compiler/codegen/target_machine.h"
#include "ir/diagnostic.h"
#include "runtime/abi.h"
#include "runtime/model_info.h"

namespace weir {
namespace {

static_assert(static_cast<int>(DType::f32) == WEIR_F32 &&
              static_cast<int>(DType::bf16) == WEIR_BF16 &&
              static_cast<int>(DType::i64) == WEIR_I64 &&
              static_cast<int>(DType::boolean) == WEIR_BOOL);

// What is noted in a workspace that was made ready for the first variant; unlikely to stand there
// by chance.
constexpr std::uint32_t kFirstVariant = 0x57454900;

// Of a weir_fault, which are words.
constexpr unsigned kFaultWords = 3;
static_assert(sizeof(weir_fault) == kFaultWords * sizeof(std::ptrdiff_t));
static_assert(sizeof(weir_fault) <= WEIR_ALIGNMENT / 2, "variant_note stands behind it");

constexpr auto kMessages = std::to_array<std::pair<int, const char*>>({
    {WEIR_OK, "no error"},
    {WEIR_INVALID_CALL,
     "a pointer is null, a dimension is negative or too large, or a workspace was not made ready"},
    {WEIR_DATA_FAULT, "data is out of range, such as an index or a label"},
    {WEIR_WRONG_CPU, "this processor lacks instructions that the model is compiled to"},
    {WEIR_WRONG_RESULT, "the self test found other results than were recorded"},
});

class FaceEmitter {
 public:
  FaceEmitter(llvm::Module& module, const ModelObject& model)
      : module_(module),
        context_(module.getContext()),
        model_(model),
        b_(context_),
        word_(llvm::IntegerType::get(context_, static_cast<unsigned>(model.base.pointer_bits))),
        status_(b_.getInt32Ty()),
        pointer_(llvm::PointerType::get(context_, 0)),
        call_type_(call_type(context_)) {}

  void emit() {
    emit_weights();
    init_state_ = emit_init_state(module_, model_);
    if (init_state_ != nullptr) emit_init_state_face();
    for (const ModelObject::Entry& entry : model_.programs) {
      emit_run(entry);
      if (!entry.program.symbols.empty()) emit_get_sizes(entry);
    }
    emit_message();
    check_cpu_ = check_of(model_.variants[0], model_.name + "_check_cpu");
    if (model_.variants.size() > 1) {
      emit_init();
      for (const ModelObject::Entry& entry : model_.programs) emit_choice(entry.program);
    }
    auto tested = [](const ModelObject::Entry& entry) { return entry.self_test.has_value(); };
    if (std::any_of(model_.programs.begin(), model_.programs.end(), tested))
      emit_self_test(module_, model_, model_.base, init_, kFirstVariant);
    emit_description();
  }

 private:
  // The argument of a C function, in the order of the arguments.
  class Arguments {
   public:
    explicit Arguments(llvm::Function* function) : function_(function) {}
    llvm::Value* next(const llvm::Twine& name) {
      llvm::Argument* argument = function_->getArg(number_++);
      argument->setName(name);
      return argument;
    }

   private:
    llvm::Function* function_;
    unsigned number_ = 0;
  };

  llvm::Function* function(const std::string& name, llvm::Type* result,
                           llvm::ArrayRef<llvm::Type*> arguments) {
    auto* made = llvm::Function::Create(llvm::FunctionType::get(result, arguments, false),
                                        llvm::GlobalValue::ExternalLinkage, name, module_);
    // Some machines hand integers over in wider registers, and then their upper bits count.
    if (result == status_) made->addRetAttr(llvm::Attribute::SExt);
    b_.SetInsertPoint(llvm::BasicBlock::Create(context_, "entry", made));
    return made;
  }

  llvm::FunctionCallee declared(const std::string& name, llvm::ArrayRef<llvm::Type*> arguments) {
    return module_.getOrInsertFunction(name, llvm::FunctionType::get(status_, arguments, false));
  }
  llvm::FunctionCallee program_of(const Program& program) {
    return declared(program_symbol(program), {pointer_});
  }
  llvm::FunctionCallee workspace_of(const Program& program) {
    return declared(workspace_symbol(program), {pointer_, pointer_, pointer_});
  }
  llvm::FunctionCallee shapes_of(const Program& program) {
    return declared(shapes_symbol(program), {pointer_, pointer_});
  }

  llvm::Constant* null() { return llvm::ConstantPointerNull::get(pointer_); }

  void emit_weights() {
    if (model_.weights == nullptr) return;
    const std::string name = model_.name + "_weights";
    auto* type = llvm::ArrayType::get(b_.getInt8Ty(), model_.weight_bytes);
    if (!model_.weights_file.empty()) {
      weights_ = new llvm::GlobalVariable(module_, type, true, llvm::GlobalValue::ExternalLinkage,
                                          nullptr, name);
      weights_->setVisibility(llvm::GlobalValue::HiddenVisibility);
    } else {
      llvm::Constant* bytes =
          llvm::ConstantDataArray::getRaw(*model_.weights, model_.weight_bytes, b_.getInt8Ty());
      weights_ = new llvm::GlobalVariable(module_, type, true, llvm::GlobalValue::InternalLinkage,
                                          bytes, name);
      // Apart from other constants, for who looks at sizes; other formats have other names for
      // sections.
      if (llvm::Triple(model_.base.triple).isOSBinFormatELF())
        weights_->setSection(".rodata.weir_weights");
    }
    weights_->setAlignment(llvm::Align(WEIR_ALIGNMENT));
  }

  bool weights_are_given(const Program& program) const {
    return program.weight_bytes > 0 && model_.weights == nullptr;
  }
  // The argument, or what the file carries.
  llvm::Value* weights_of(bool given, Arguments& arguments) {
    if (given) return arguments.next("weights");
    return weights_ == nullptr ? static_cast<llvm::Value*>(null()) : weights_;
  }

  void emit_init_state_face() {
    std::vector<llvm::Type*> types{pointer_};
    if (model_.first_values_are_given()) types.push_back(pointer_);
    Arguments arguments(function(model_.name + "_init_state", status_, types));
    llvm::Value* state = arguments.next("state");
    llvm::Value* weights = weights_of(model_.first_values_are_given(), arguments);
    b_.CreateRet(b_.CreateCall(init_state_, {state, weights}));
  }

  // Reads the arguments for the symbolic dimensions into an array.
  llvm::Value* dims_array(const Program& program, Arguments& arguments) {
    if (program.symbols.empty()) return null();
    auto* type = llvm::ArrayType::get(word_, program.symbols.size());
    llvm::Value* array = b_.CreateAlloca(type);
    for (unsigned i = 0; i < program.symbols.size(); ++i)
      b_.CreateStore(arguments.next(program.symbols[i]), b_.CreateConstGEP2_32(type, array, 0, i));
    return array;
  }

  void emit_run(const ModelObject::Entry& entry) {
    const Program& program = entry.program;
    std::vector<llvm::Type*> types;
    if (!program.inputs.empty()) types.push_back(pointer_);
    if (!program.outputs.empty()) types.push_back(pointer_);
    types.insert(types.end(), program.symbols.size(), word_);
    if (weights_are_given(program)) types.push_back(pointer_);
    if (program.state_bytes > 0) types.push_back(pointer_);
    types.insert(types.end(), 2, pointer_);
    Arguments arguments(function(model_.name + "_" + entry.name, status_, types));
    // A struct of pointers is laid out like an array of them.
    llvm::Value* inputs = program.inputs.empty() ? null() : arguments.next("inputs");
    llvm::Value* outputs = program.outputs.empty() ? null() : arguments.next("outputs");
    llvm::Value* dims = dims_array(program, arguments);
    llvm::Value* weights = weights_of(weights_are_given(program), arguments);
    llvm::Value* state = program.state_bytes == 0 ? null() : arguments.next("state");
    llvm::Value* workspace = arguments.next("workspace");
    llvm::Value* executor = arguments.next("executor");
    llvm::Value* call = b_.CreateAlloca(call_type_);
    unsigned field = 0;
    for (llvm::Value* value : {inputs, outputs, weights, workspace, dims, executor, state})
      b_.CreateStore(value, b_.CreateStructGEP(call_type_, call, field++));
    b_.CreateRet(b_.CreateCall(program_of(program), {call}));
  }

  void emit_get_sizes(const ModelObject::Entry& entry) {
    const Program& program = entry.program;
    std::vector<llvm::Type*> types(program.symbols.size(), word_);
    types.push_back(pointer_);
    llvm::Function* made = function(model_.name + "_" + entry.name + "_get_sizes", status_, types);
    Arguments arguments(made);
    llvm::Value* dims = dims_array(program, arguments);
    llvm::Value* sizes = arguments.next("sizes");
    std::uint64_t ranks = 0;
    for (const auto* side : {&program.inputs, &program.outputs})
      for (const auto& [name, type] : *side) ranks += static_cast<std::uint64_t>(type.rank());
    auto* all = llvm::ArrayType::get(word_, ranks + 1);
    llvm::Value* shapes = b_.CreateAlloca(all);
    auto* invalid = llvm::BasicBlock::Create(context_, "invalid", made);
    auto require = [&](llvm::Value* condition) {
      auto* next = llvm::BasicBlock::Create(context_, "valid", made);
      b_.CreateCondBr(condition, next, invalid);
      b_.SetInsertPoint(next);
    };
    auto place = [&](std::uint64_t i) { return b_.CreateConstGEP1_64(word_, sizes, i); };
    require(b_.CreateIsNotNull(sizes));
    require(b_.CreateIsNull(b_.CreateCall(workspace_of(program), {dims, place(0), place(1)})));
    require(b_.CreateIsNull(b_.CreateCall(shapes_of(program), {dims, shapes})));
    unsigned from = 0, to = 2;
    for (const auto* side : {&program.inputs, &program.outputs}) {
      for (const auto& [name, type] : *side) {
        llvm::Value* count = llvm::ConstantInt::get(word_, 1);
        for (int i = 0; i < type.rank(); ++i)
          count = b_.CreateMul(count,
                               b_.CreateLoad(word_, b_.CreateConstGEP2_32(all, shapes, 0, from++)));
        b_.CreateStore(count, place(to++));
      }
    }
    b_.CreateRet(b_.getInt32(WEIR_OK));
    b_.SetInsertPoint(invalid);
    b_.CreateRet(b_.getInt32(WEIR_INVALID_CALL));
  }

  llvm::Function* check_of(const Target& variant, const std::string& name) {
    return emit_cpu_check(module_, name, model_.name, *make_target_machine(variant));
  }

  void emit_init() {
    llvm::Function* made = function(model_.name + "_init", status_, {pointer_});
    llvm::Value* workspace = made->getArg(0);
    auto block = [&](const char* name) { return llvm::BasicBlock::Create(context_, name, made); };
    llvm::BasicBlock* invalid = block("invalid");
    llvm::BasicBlock* next = block("next");
    b_.CreateCondBr(b_.CreateIsNull(workspace), invalid, next);
    b_.SetInsertPoint(invalid);
    b_.CreateRet(b_.getInt32(WEIR_INVALID_CALL));
    for (std::size_t i = model_.variants.size(); i-- > 0;) {
      std::string name = i == 0 ? model_.name + "_check_cpu"
                                : fmt::format("weir.check_{}", model_.variants[i].cpu);
      llvm::Function* check = i == 0 ? check_cpu_ : check_of(model_.variants[i], name);
      if (i > 0) check->setLinkage(llvm::GlobalValue::InternalLinkage);
      b_.SetInsertPoint(next);
      llvm::BasicBlock* found = block("found");
      next = block("next");
      b_.CreateCondBr(b_.CreateIsNull(b_.CreateCall(check)), found, next);
      b_.SetInsertPoint(found);
      b_.CreateStore(b_.getInt32(kFirstVariant + static_cast<std::uint32_t>(i)),
                     variant_note(b_, workspace));
      b_.CreateRet(b_.getInt32(WEIR_OK));
    }
    b_.SetInsertPoint(next);
    b_.CreateRet(b_.getInt32(WEIR_WRONG_CPU));
    init_ = made;
  }

  // The program's three functions under its own name: they go on to those of the variant that the
  // workspace names.
  void emit_choice(const Program& program) {
    auto names = [&](std::size_t variant) {
      Program named;
      named.name = variant_name(model_, program, model_.variants[variant]);
      return named;
    };
    const Program first = names(0);
    auto define = [&](llvm::FunctionCallee callee) {
      auto* made = llvm::cast<llvm::Function>(callee.getCallee());
      made->setLinkage(llvm::GlobalValue::InternalLinkage);
      b_.SetInsertPoint(llvm::BasicBlock::Create(context_, "entry", made));
      return made;
    };
    llvm::Function* shapes = define(shapes_of(program));
    b_.CreateRet(b_.CreateCall(shapes_of(first), {shapes->getArg(0), shapes->getArg(1)}));
    llvm::Function* size = define(workspace_of(program));
    llvm::Value* status =
        b_.CreateCall(workspace_of(first), {size->getArg(0), size->getArg(1), size->getArg(2)});
    auto* good = llvm::BasicBlock::Create(context_, "good", size);
    auto* after = llvm::BasicBlock::Create(context_, "after", size);
    b_.CreateCondBr(b_.CreateIsNull(status), good, after);
    b_.SetInsertPoint(good);
    llvm::Value* more = b_.CreateAdd(b_.CreateLoad(word_, size->getArg(1)),
                                     llvm::ConstantInt::get(word_, WEIR_ALIGNMENT));
    // What the workers need is the variants' own.
    auto of_worker = [&] { return b_.CreateLoad(word_, size->getArg(2)); };
    llvm::Value* most = of_worker();
    for (std::size_t i = 1; i < model_.variants.size(); ++i) {
      b_.CreateCall(workspace_of(names(i)), {size->getArg(0), size->getArg(1), size->getArg(2)});
      most = b_.CreateBinaryIntrinsic(llvm::Intrinsic::umax, most, of_worker());
    }
    b_.CreateStore(most, size->getArg(2));
    b_.CreateStore(more, size->getArg(1));
    b_.CreateBr(after);
    b_.SetInsertPoint(after);
    b_.CreateRet(status);
    llvm::Function* run = define(program_of(program));
    llvm::Value* own = b_.CreateAlloca(call_type_);
    auto* invalid = llvm::BasicBlock::Create(context_, "invalid", run);
    auto require_some = [&](llvm::Value* pointer) {
      auto* some = llvm::BasicBlock::Create(context_, "some", run);
      b_.CreateCondBr(b_.CreateIsNull(pointer), invalid, some);
      b_.SetInsertPoint(some);
    };
    require_some(run->getArg(0));
    for (unsigned i = 0; i < call_type_->getNumElements(); ++i) {
      llvm::Value* value =
          b_.CreateLoad(pointer_, b_.CreateStructGEP(call_type_, run->getArg(0), i));
      b_.CreateStore(value, b_.CreateStructGEP(call_type_, own, i));
    }
    llvm::Value* place = b_.CreateStructGEP(call_type_, own, kCallWorkspace);
    llvm::Value* workspace = b_.CreateLoad(pointer_, place);
    require_some(workspace);
    llvm::Value* rest = b_.CreateConstGEP1_32(b_.getInt8Ty(), workspace, WEIR_ALIGNMENT);
    b_.CreateStore(rest, place);
    llvm::Value* noted = b_.CreateLoad(b_.getInt32Ty(), variant_note(b_, workspace));
    llvm::SwitchInst* choice = b_.CreateSwitch(noted, invalid);
    for (std::size_t i = 0; i < model_.variants.size(); ++i) {
      auto* chosen = llvm::BasicBlock::Create(context_, "variant", run);
      choice->addCase(b_.getInt32(kFirstVariant + static_cast<std::uint32_t>(i)), chosen);
      b_.SetInsertPoint(chosen);
      llvm::Value* result = b_.CreateCall(program_of(names(i)), {own});
      if (!program.checks.empty()) hand_on_fault(result, rest, workspace);
      b_.CreateRet(result);
    }
    b_.SetInsertPoint(invalid);
    b_.CreateRet(b_.getInt32(WEIR_INVALID_CALL));
  }

  // A weir_fault stands at the beginning of the caller's workspace, not of the variant's.
  void hand_on_fault(llvm::Value* status, llvm::Value* from, llvm::Value* to) {
    llvm::Function* made = b_.GetInsertBlock()->getParent();
    auto* fault = llvm::BasicBlock::Create(context_, "fault", made);
    auto* after = llvm::BasicBlock::Create(context_, "after", made);
    b_.CreateCondBr(b_.CreateICmpEQ(status, b_.getInt32(WEIR_DATA_FAULT)), fault, after);
    b_.SetInsertPoint(fault);
    for (unsigned i = 0; i < kFaultWords; ++i)
      b_.CreateStore(b_.CreateLoad(word_, b_.CreateConstGEP1_32(word_, from, i)),
                     b_.CreateConstGEP1_32(word_, to, i));
    b_.CreateBr(after);
    b_.SetInsertPoint(after);
  }

  llvm::Constant* text(llvm::StringRef content) {
    auto [found, inserted] = texts_.try_emplace(content, nullptr);
    if (!inserted) return found->second;
    llvm::Constant* bytes = llvm::ConstantDataArray::getString(context_, content);
    found->second = constant(bytes, "text");
    return found->second;
  }

  llvm::GlobalVariable* constant(llvm::Constant* value, const llvm::Twine& name) {
    auto* global = new llvm::GlobalVariable(module_, value->getType(), true,
                                            llvm::GlobalValue::InternalLinkage, value, name);
    global->setUnnamedAddr(llvm::GlobalValue::UnnamedAddr::Global);
    return global;
  }

  void emit_message() {
    llvm::Function* made = function(model_.name + "_message", pointer_, {status_});
    llvm::Value* found = text("there is no such status");
    for (const auto& [status, message] : kMessages) {
      llvm::Value* is_this =
          b_.CreateICmpEQ(made->getArg(0), b_.getInt32(static_cast<std::uint32_t>(status)));
      found = b_.CreateSelect(is_this, text(message), found);
    }
    b_.CreateRet(found);
  }

  llvm::Constant* number(std::size_t value) {
    return b_.getInt32(static_cast<std::uint32_t>(value));
  }

  llvm::Constant* table(const std::vector<llvm::Constant*>& rows, llvm::Type* type,
                        const char* name) {
    if (rows.empty()) return null();
    return constant(llvm::ConstantArray::get(llvm::ArrayType::get(type, rows.size()), rows), name);
  }

  llvm::Constant* program_info(const ModelObject::Entry& entry) {
    const Program& program = entry.program;
    std::vector<llvm::Constant*> tensors, dims;
    for (const auto* side : {&program.inputs, &program.outputs})
      for (const auto& [name, type] : *side)
        tensors.push_back(llvm::ConstantStruct::getAnon(
            {text(name), text(to_string(type)), number(static_cast<std::size_t>(type.dtype)),
             number(static_cast<std::size_t>(type.rank()))}));
    for (const std::string& symbol : program.symbols) dims.push_back(text(symbol));
    auto code = [](llvm::FunctionCallee callee) {
      return llvm::cast<llvm::Constant>(callee.getCallee());
    };
    llvm::Type* tensor_type = tensors.empty() ? nullptr : tensors[0]->getType();
    int state = program.state_bytes == 0  ? WEIR_NO_STATE
                : program.updates_state() ? WEIR_UPDATES_STATE
                                          : WEIR_READS_STATE;
    return llvm::ConstantStruct::getAnon(
        {text(entry.name), code(program_of(program)), code(workspace_of(program)),
         code(shapes_of(program)), number(program.inputs.size()), number(program.outputs.size()),
         number(program.symbols.size()), table(tensors, tensor_type, "tensors"),
         table(dims, pointer_, "dims"), b_.getInt32(static_cast<std::uint32_t>(state))});
  }

  void emit_description() {
    std::vector<llvm::Constant*> programs;
    for (const ModelObject::Entry& entry : model_.programs) programs.push_back(program_info(entry));
    std::string cpu;
    for (const Target& variant : model_.variants)
      cpu += (cpu.empty() ? "" : ", ") + variant.cpu +
             (variant.features.empty() ? "" : " " + variant.features);
    std::vector<llvm::Constant*> variables;
    for (const StateEntry& entry : model_.state.entries)
      variables.push_back(
          llvm::ConstantStruct::getAnon({text(entry.param), text(to_string(entry.type)),
                                         llvm::ConstantInt::get(word_, entry.offset),
                                         llvm::ConstantInt::get(word_, entry.bytes)}));
    llvm::Type* variable_type = variables.empty() ? nullptr : variables[0]->getType();
    llvm::Constant* info = llvm::ConstantStruct::getAnon(
        {number(WEIR_ABI_VERSION), number(programs.size()), text(model_.name), text(model_.version),
         text(model_.hash), text(model_.base.triple), text(cpu),
         weights_ == nullptr ? null() : weights_,
         llvm::ConstantInt::get(word_, model_.weight_bytes), check_cpu_,
         init_ == nullptr ? null() : init_, table(programs, programs[0]->getType(), "programs"),
         llvm::ConstantInt::get(word_, model_.state.bytes),
         init_state_ == nullptr ? null() : init_state_, number(variables.size()),
         table(variables, variable_type, "variables")});
    new llvm::GlobalVariable(module_, info->getType(), true, llvm::GlobalValue::ExternalLinkage,
                             info, model_.name + "_model");
    if (!model_.shared) return;
    new llvm::GlobalVariable(module_, info->getType(), true, llvm::GlobalValue::ExternalLinkage,
                             info, "weir_model");
    // An ELF note: sizes of name and content, type, name, content.
    llvm::Constant* note = llvm::ConstantStruct::getAnon(
        {number(5), number(4), number(WEIR_NOTE_TYPE),
         llvm::ConstantDataArray::getString(context_, llvm::StringRef("Weir\0\0\0", 7)),
         number(WEIR_ABI_VERSION)});
    auto* global = new llvm::GlobalVariable(module_, note->getType(), true,
                                            llvm::GlobalValue::InternalLinkage, note, "note");
    global->setSection(".note.weir");
    global->setAlignment(llvm::Align(4));
  }

  llvm::Module& module_;
  llvm::LLVMContext& context_;
  const ModelObject& model_;
  llvm::IRBuilder<> b_;
  llvm::IntegerType* word_;
  llvm::IntegerType* status_;
  llvm::PointerType* pointer_;
  llvm::StructType* call_type_;
  llvm::GlobalVariable* weights_ = nullptr;
  llvm::Function* check_cpu_ = nullptr;
  llvm::Function* init_ = nullptr;
  llvm::Function* init_state_ = nullptr;
  llvm::StringMap<llvm::Constant*> texts_;
};

}  // namespace

void emit_face(llvm::Module& module, const ModelObject& model) {
  FaceEmitter(module, model).emit();
}

std::string variant_name(const ModelObject& model, const Program& program, const Target& variant) {
  return model.variants.size() == 1 ? program.name : program.name + "_" + variant.cpu;
}

}  // namespace weir
