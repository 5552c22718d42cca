#include "compiler/codegen/cpu_check_aarch64.h"

#include <array>
#include <map>
#include <string>

#include <llvm/MC/MCSubtargetInfo.h>

#include "runtime/abi.h"

namespace weir {
namespace {

// A field of four bits, which is signed: it shows the feature if it is at least `least`.
struct FeatureField {
  const char* name;  // LLVM's
  const char* identification;
  unsigned shift;
  int least;
};

constexpr const char* kSet0 = "ID_AA64ISAR0_EL1";
constexpr const char* kSet1 = "ID_AA64ISAR1_EL1";
constexpr const char* kSet2 = "ID_AA64ISAR2_EL1";
constexpr const char* kVectors = "ID_AA64ZFR0_EL1";
constexpr const char* kProcessor = "ID_AA64PFR0_EL1";

// The features that change which instructions are chosen (Arm Architecture Reference Manual,
// "AArch64 System register descriptions"). SVE's own register may be read where SVE is.
constexpr auto kFields = std::to_array<FeatureField>({
    {"fp-armv8", kProcessor, 16, 0},
    {"fullfp16", kProcessor, 16, 1},
    {"neon", kProcessor, 20, 0},
    {"sve", kProcessor, 32, 1},
    {"aes", kSet0, 4, 1},
    {"sha2", kSet0, 12, 1},
    {"crc", kSet0, 16, 1},
    {"lse", kSet0, 20, 2},
    {"rdm", kSet0, 28, 1},
    {"sha3", kSet0, 32, 1},
    {"sm4", kSet0, 40, 1},
    {"dotprod", kSet0, 44, 1},
    {"fp16fml", kSet0, 48, 1},
    {"flagm", kSet0, 52, 1},
    {"rand", kSet0, 60, 1},
    {"ccpp", kSet1, 0, 1},
    {"jsconv", kSet1, 12, 1},
    {"complxnum", kSet1, 16, 1},
    {"rcpc", kSet1, 20, 1},
    {"rcpc-immo", kSet1, 20, 2},
    {"fptoint", kSet1, 32, 1},
    {"sb", kSet1, 36, 1},
    {"bf16", kSet1, 44, 1},
    {"i8mm", kSet1, 52, 1},
    {"mops", kSet2, 16, 1},
    {"cssc", kSet2, 52, 1},
    {"sve2", kVectors, 0, 1},
    {"sve2p1", kVectors, 0, 2},
    {"f32mm", kVectors, 52, 1},
    {"f64mm", kVectors, 56, 1},
});

}  // namespace

bool can_ask_aarch64(const llvm::Triple& triple) {
  return triple.isAArch64() && (triple.isOSLinux() || triple.getOS() == llvm::Triple::UnknownOS);
}

void emit_aarch64_check(llvm::Function& function, const llvm::MCSubtargetInfo& info) {
  llvm::LLVMContext& context = function.getContext();
  auto block = [&](const char* name) { return llvm::BasicBlock::Create(context, name, &function); };
  llvm::IRBuilder<> b(block("entry"));
  llvm::BasicBlock* wrong = block("wrong");
  std::map<std::string, llvm::Value*> read;
  for (const FeatureField& field : kFields) {
    if (!info.checkFeatures("+" + std::string(field.name))) continue;
    llvm::Value*& value = read[field.identification];
    if (value == nullptr) {
      auto* name = llvm::MDNode::get(context, llvm::MDString::get(context, field.identification));
      value = b.CreateIntrinsic(llvm::Intrinsic::read_volatile_register, {b.getInt64Ty()},
                                {llvm::MetadataAsValue::get(context, name)});
    }
    llvm::Value* found = b.CreateAShr(b.CreateShl(value, 60 - field.shift), 60);
    llvm::BasicBlock* next = block("next");
    b.CreateCondBr(b.CreateICmpSGE(found, b.getInt64(static_cast<std::uint64_t>(field.least))),
                   next, wrong);
    b.SetInsertPoint(next);
  }
  b.CreateRet(b.getInt32(WEIR_OK));
  b.SetInsertPoint(wrong);
  b.CreateRet(b.getInt32(WEIR_WRONG_CPU));
}

}  // namespace weir
