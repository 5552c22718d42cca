#include "compiler/codegen/size_functions.h"

#include "compiler/codegen/entry_emitter.h"
#include "compiler/codegen/kernel_emitter.h"
#include "runtime/abi.h"

namespace weir {
namespace {

// Reads the symbols' values. Returns the block of an invalid call, for `finish`.
llvm::BasicBlock* read_sizes(llvm::IRBuilder<>& b, SizeArithmetic& sizes, const Program& program,
                             llvm::Function& function) {
  llvm::BasicBlock* invalid = llvm::BasicBlock::Create(b.getContext(), "invalid", &function);
  // Without symbols there may be no array of their values.
  for (unsigned i = program.symbols.empty() ? 1 : 0; i < function.arg_size(); ++i)
    sizes.require(b.CreateIsNotNull(function.getArg(i)), invalid);
  sizes.read(function.getArg(0));
  sizes.check(invalid);
  return invalid;
}

void finish(llvm::IRBuilder<>& b, llvm::BasicBlock* invalid) {
  b.CreateRet(b.getInt32(WEIR_OK));
  b.SetInsertPoint(invalid);
  b.CreateRet(b.getInt32(WEIR_INVALID_CALL));
}

}  // namespace

void emit_workspace_size(llvm::IRBuilder<>& b, ParallelEmitter& functions, SizeArithmetic& sizes,
                         const Program& program, const std::vector<Schedule>& schedules,
                         llvm::IntegerType* word) {
  llvm::PointerType* pointer = b.getPtrTy();
  llvm::Function* made =
      functions.function(workspace_symbol(program), b.getInt32Ty(), {pointer, pointer, pointer},
                         llvm::GlobalValue::ExternalLinkage);
  llvm::BasicBlock* invalid = read_sizes(b, sizes, program, *made);
  llvm::Value* total = sizes.slot_offsets(invalid).back();
  b.CreateStore(b.CreateTrunc(total, word), made->getArg(1));
  b.CreateStore(b.CreateTrunc(bytes_per_worker(b, sizes, program, schedules), word),
                made->getArg(2));
  finish(b, invalid);
}

void emit_shapes(llvm::IRBuilder<>& b, ParallelEmitter& functions, SizeArithmetic& sizes,
                 const Program& program, llvm::IntegerType* word) {
  llvm::PointerType* pointer = b.getPtrTy();
  llvm::Function* made = functions.function(shapes_symbol(program), b.getInt32Ty(),
                                            {pointer, pointer}, llvm::GlobalValue::ExternalLinkage);
  llvm::BasicBlock* invalid = read_sizes(b, sizes, program, *made);
  std::uint64_t next = 0;
  for (const auto* side : {&program.inputs, &program.outputs})
    for (const auto& [name, type] : *side)
      for (const Dim& dim : type.shape)
        b.CreateStore(b.CreateTrunc(sizes.dimension(dim), word),
                      b.CreateConstGEP1_64(word, made->getArg(1), next++));
  finish(b, invalid);
}

llvm::Value* bytes_per_worker(llvm::IRBuilder<>& b, SizeArithmetic& sizes, const Program& program,
                              const std::vector<Schedule>& schedules) {
  auto dimension = [&](const Dim& dim) { return sizes.dimension(dim); };
  llvm::Value* most = sizes.i64(0);
  for (const Bands& bands : program.bands)
    most = b.CreateBinaryIntrinsic(llvm::Intrinsic::smax, most, sizes.bytes_of_band(bands));
  for (const Schedule& schedule : schedules) {
    if (!schedule.panel) continue;
    llvm::Value* bytes = b.CreateSelect(emit_panel_pays(b, *schedule.panel, dimension),
                                        dimension(schedule.panel->bytes), sizes.i64(0));
    most = b.CreateBinaryIntrinsic(llvm::Intrinsic::smax, most, bytes);
  }
  return most;
}

}  // namespace weir
