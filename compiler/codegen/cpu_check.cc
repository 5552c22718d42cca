#include "compiler/codegen/cpu_check.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <tuple>

#include <llvm/MC/MCSubtargetInfo.h>

#include "compiler/codegen/cpu_check_aarch64.h"
#include "compiler/codegen/llvm_versions.h"
#include "compiler/codegen/object.h"
#include "compiler/codegen/target_machine.h"
#include "runtime/abi.h"

namespace weir {
namespace {

struct FeatureBit {
  const char* name;  // LLVM's
  std::uint32_t leaf, subleaf;
  unsigned place;  // of the register: eax, ebx, ecx, edx
  unsigned bit;
};

// The features that change which instructions are chosen, and where cpuid shows them.
constexpr auto kFeatures = std::to_array<FeatureBit>({
    {"sse3", 1, 0, 2, 0},
    {"pclmul", 1, 0, 2, 1},
    {"ssse3", 1, 0, 2, 9},
    {"fma", 1, 0, 2, 12},
    {"cx16", 1, 0, 2, 13},
    {"sse4.1", 1, 0, 2, 19},
    {"sse4.2", 1, 0, 2, 20},
    {"movbe", 1, 0, 2, 22},
    {"popcnt", 1, 0, 2, 23},
    {"aes", 1, 0, 2, 25},
    {"avx", 1, 0, 2, 28},
    {"f16c", 1, 0, 2, 29},
    {"bmi", 7, 0, 1, 3},
    {"avx2", 7, 0, 1, 5},
    {"bmi2", 7, 0, 1, 8},
    {"avx512f", 7, 0, 1, 16},
    {"avx512dq", 7, 0, 1, 17},
    {"adx", 7, 0, 1, 19},
    {"avx512ifma", 7, 0, 1, 21},
    {"avx512cd", 7, 0, 1, 28},
    {"sha", 7, 0, 1, 29},
    {"avx512bw", 7, 0, 1, 30},
    {"avx512vl", 7, 0, 1, 31},
    {"avx512vbmi", 7, 0, 2, 1},
    {"avx512vbmi2", 7, 0, 2, 6},
    {"gfni", 7, 0, 2, 8},
    {"vaes", 7, 0, 2, 9},
    {"vpclmulqdq", 7, 0, 2, 10},
    {"avx512vnni", 7, 0, 2, 11},
    {"avx512bitalg", 7, 0, 2, 12},
    {"avx512vpopcntdq", 7, 0, 2, 14},
    {"avx512fp16", 7, 0, 3, 23},
    {"avxvnni", 7, 1, 0, 4},
    {"avx512bf16", 7, 1, 0, 5},
    {"avxifma", 7, 1, 0, 23},
    {"sahf", 0x80000001, 0, 2, 0},
    {"lzcnt", 0x80000001, 0, 2, 5},
    {"sse4a", 0x80000001, 0, 2, 6},
    {"xop", 0x80000001, 0, 2, 11},
    {"fma4", 0x80000001, 0, 2, 16},
    {"tbm", 0x80000001, 0, 2, 21},
});

// What the operating system has to save of the registers when it switches between threads.
constexpr std::uint32_t kSavesVectors = 0x6, kSavesMasks = 0xE6;
constexpr std::uint32_t kOsxsave = 1u << 27;  // of leaf 1, ecx: xgetbv may be asked

// push rbx; mov r8, rdx; mov eax, edi; mov ecx, esi; cpuid; mov [r8], eax; mov [r8 + 4], ebx; mov
// [r8 + 8], ecx; mov [r8 + 12], edx; pop rbx; ret
constexpr auto kCpuid = std::to_array<std::uint8_t>(
    {0x53, 0x49, 0x89, 0xD0, 0x89, 0xF8, 0x89, 0xF1, 0x0F, 0xA2, 0x41, 0x89, 0x00, 0x41,
     0x89, 0x58, 0x04, 0x41, 0x89, 0x48, 0x08, 0x41, 0x89, 0x50, 0x0C, 0x5B, 0xC3});
// xor ecx, ecx; xgetbv; ret
constexpr auto kXgetbv = std::to_array<std::uint8_t>({0x31, 0xC9, 0x0F, 0x01, 0xD0, 0xC3});

class CpuCheckEmitter {
 public:
  CpuCheckEmitter(llvm::Module& module, const std::string& name)
      : module_(module), b_(module.getContext()) {
    llvm::Type* word = b_.getInt32Ty();
    cpuid_ = machine_code(
        name + "_cpuid",
        llvm::FunctionType::get(b_.getVoidTy(), {word, word, b_.getPtrTy()}, false), kCpuid);
    xgetbv_ = machine_code(name + "_xgetbv", llvm::FunctionType::get(word, false), kXgetbv);
  }

  void emit(llvm::Function* function, const llvm::MCSubtargetInfo& info) {
    std::map<std::tuple<std::uint32_t, std::uint32_t>, std::array<std::uint32_t, 4>> masks;
    auto has = [&](const char* name) { return info.checkFeatures("+" + std::string(name)); };
    for (const FeatureBit& feature : kFeatures)
      if (has(feature.name))
        masks[{feature.leaf, feature.subleaf}][feature.place] |= 1u << feature.bit;
    bool vectors = has("avx");
    if (vectors) masks[{1, 0}][2] |= kOsxsave;
    function_ = function;
    b_.SetInsertPoint(block("entry"));
    registers_ = b_.CreateAlloca(llvm::ArrayType::get(b_.getInt32Ty(), 4));
    wrong_ = block("wrong");
    for (const auto& [where, mask] : masks) {
      const auto [leaf, subleaf] = where;
      // The largest leaf of each range, so that none is asked that does not exist.
      require(b_.CreateICmpUGE(ask(leaf & 0x80000000u, 0)[0], b_.getInt32(leaf)));
      std::array<llvm::Value*, 4> found = ask(leaf, subleaf);
      for (unsigned place = 0; place < 4; ++place)
        if (mask[place] != 0) require_bits(found[place], mask[place]);
    }
    if (vectors) {
      llvm::CallInst* saved = b_.CreateCall(xgetbv_);
      saved->setCallingConv(llvm::CallingConv::X86_64_SysV);
      require_bits(saved, has("avx512f") ? kSavesMasks : kSavesVectors);
    }
    b_.CreateRet(b_.getInt32(WEIR_OK));
    b_.SetInsertPoint(wrong_);
    b_.CreateRet(b_.getInt32(WEIR_WRONG_CPU));
  }

 private:
  llvm::BasicBlock* block(const char* name) {
    return llvm::BasicBlock::Create(module_.getContext(), name, function_);
  }

  // A function whose body is never reached. That it is weak keeps optimizers from believing that
  // body.
  template <std::size_t n>
  llvm::Function* machine_code(const std::string& name, llvm::FunctionType* type,
                               const std::array<std::uint8_t, n>& bytes) {
    if (llvm::Function* existing = module_.getFunction(name)) return existing;
    auto* function = llvm::Function::Create(type, llvm::GlobalValue::WeakAnyLinkage, name, module_);
    function->setVisibility(llvm::GlobalValue::HiddenVisibility);
    function->setCallingConv(llvm::CallingConv::X86_64_SysV);
    function->addFnAttr(llvm::Attribute::NoInline);
    function->setPrologueData(llvm::ConstantDataArray::get(module_.getContext(), bytes));
    llvm::IRBuilder<> b(llvm::BasicBlock::Create(module_.getContext(), "entry", function));
    if (type->getReturnType()->isVoidTy())
      b.CreateRetVoid();
    else
      b.CreateRet(llvm::Constant::getNullValue(type->getReturnType()));
    return function;
  }

  std::array<llvm::Value*, 4> ask(std::uint32_t leaf, std::uint32_t subleaf) {
    b_.CreateCall(cpuid_, {b_.getInt32(leaf), b_.getInt32(subleaf), registers_})
        ->setCallingConv(llvm::CallingConv::X86_64_SysV);
    std::array<llvm::Value*, 4> found{};
    for (unsigned i = 0; i < 4; ++i)
      found[i] = b_.CreateLoad(
          b_.getInt32Ty(), b_.CreateConstGEP2_32(registers_->getAllocatedType(), registers_, 0, i));
    return found;
  }

  void require(llvm::Value* condition) {
    llvm::BasicBlock* next = block("next");
    b_.CreateCondBr(condition, next, wrong_);
    b_.SetInsertPoint(next);
  }

  void require_bits(llvm::Value* value, std::uint32_t mask) {
    require(b_.CreateICmpEQ(b_.CreateAnd(value, b_.getInt32(mask)), b_.getInt32(mask)));
  }

  llvm::Module& module_;
  llvm::IRBuilder<> b_;
  llvm::Function* cpuid_ = nullptr;
  llvm::Function* xgetbv_ = nullptr;
  llvm::Function* function_ = nullptr;
  llvm::BasicBlock* wrong_ = nullptr;
  llvm::AllocaInst* registers_ = nullptr;
};

}  // namespace

bool runs_code_of(const Target& processor, const Target& other) {
  const KeptMachine given = make_target_machine(processor), wanted = make_target_machine(other);
  return std::all_of(kFeatures.begin(), kFeatures.end(), [&](const FeatureBit& feature) {
    std::string name = std::string("+") + feature.name;
    return !subtarget_of(*wanted).checkFeatures(name) || subtarget_of(*given).checkFeatures(name);
  });
}

llvm::Function* emit_cpu_check(llvm::Module& module, const std::string& name,
                               const std::string& prefix, const llvm::TargetMachine& machine) {
  llvm::IRBuilder<> b(module.getContext());
  auto* function = llvm::Function::Create(llvm::FunctionType::get(b.getInt32Ty(), false),
                                          llvm::GlobalValue::ExternalLinkage, name, module);
  const llvm::Triple& triple = machine.getTargetTriple();
  if (triple.isX86() && triple.isArch64Bit()) {
    CpuCheckEmitter(module, prefix).emit(function, subtarget_of(machine));
  } else if (can_ask_aarch64(triple)) {
    emit_aarch64_check(*function, subtarget_of(machine));
  } else {
    b.SetInsertPoint(llvm::BasicBlock::Create(module.getContext(), "entry", function));
    b.CreateRet(b.getInt32(WEIR_OK));
  }
  return function;
}

}  // namespace weir
