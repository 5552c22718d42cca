#include "compiler/codegen/kernel_emitter.h"

#include <algorithm>

#include <llvm/IR/IntrinsicsX86.h>
#include <llvm/TargetParser/Triple.h>

#include "compiler/codegen/unit_count.h"

namespace weir {

llvm::StructType* frame_type(llvm::LLVMContext& context, std::size_t parameters,
                             std::size_t symbols, bool has_panel) {
  std::vector<llvm::Type*> fields(parameters, llvm::PointerType::get(context, 0));
  fields.insert(fields.end(), symbols + 1, llvm::Type::getInt64Ty(context));
  if (has_panel) fields.push_back(llvm::PointerType::get(context, 0));
  return llvm::StructType::get(context, fields);
}

KernelEmitter::KernelEmitter(llvm::Module& module, const Target& target, const Schedule& schedule,
                             DebugInfo& debug)
    : module_(module),
      target_(target),
      schedule_(schedule),
      kernel_(schedule.kernel),
      debug_(debug),
      b_(module.getContext()),
      primitives_(b_, module, target) {
  masks_ = target.masks_words;
  narrows_ = std::none_of(schedule.loads.begin(), schedule.loads.end(),
                          [](const auto& load) { return load.second.along_steps; });
  for (const KernelParameter& parameter : kernel_.parameters)
    if (byte_size(parameter.type.dtype) < 4) masks_ = masks_ && target.masks_bytes;
}

std::vector<KernelPhase> declare_phases(llvm::Module& module, const Kernel& kernel,
                                        const std::string& name) {
  llvm::LLVMContext& context = module.getContext();
  llvm::Type* word = llvm::Type::getInt64Ty(context);
  auto* type = llvm::FunctionType::get(
      llvm::Type::getVoidTy(context),
      {llvm::PointerType::get(context, 0), word, word, llvm::Type::getInt32Ty(context)}, false);
  auto declare = [&](const std::string& own) {
    return llvm::Function::Create(type, llvm::GlobalValue::ExternalLinkage, own, module);
  };
  std::vector<KernelPhase> phases;
  for (const Stage& stage : kernel.stages)
    if (stage.fold && !stage.fold->partials.empty())
      phases.push_back({declare(name + "_chunks" + std::to_string(phases.size())), &stage});
  phases.push_back({declare(name), nullptr});
  return phases;
}

void KernelEmitter::emit(const std::vector<KernelPhase>& phases) {
  for (const KernelPhase& phase : phases) {
    split_ = phase.split;
    emit_function(phase.function);
  }
  split_ = nullptr;
}

void KernelEmitter::emit_function(llvm::Function* function) {
  function_ = function;
  // A tile's accumulators may not all find a register. LLVM learns too late that it needs aligned
  // slots for them, and one that crosses a line of the cache is slower than the tile's step.
  constexpr int kTileOfMostRegisters = 12;
  if (target_.vector_bytes > 16 &&
      schedule_.rows_at_once * schedule_.tile_unroll >= kTileOfMostRegisters)
    function_->addFnAttr(kRealignsStack);
  pointers_.clear();
  symbols_.clear();
  values_.clear();
  defined_.clear();
  trees_.clear();
  axes_.clear();
  reach_ = nullptr;
  llvm::LLVMContext& context = module_.getContext();
  std::vector<std::string> symbols = kernel_symbols(kernel_);
  llvm::StructType* frame =
      frame_type(context, kernel_.parameters.size(), symbols.size(), schedule_.panel.has_value());
  debug_.enter(*function_);
  b_.SetInsertPoint(llvm::BasicBlock::Create(context, "entry", function_));
  for (const Location& location : kernel_.locations) {
    if (!location.known()) continue;
    debug_.set(b_, location);
    break;
  }
  auto field = [&](std::size_t i) {
    llvm::Value* where = b_.CreateStructGEP(frame, function_->getArg(0), static_cast<unsigned>(i));
    return b_.CreateLoad(frame->getElementType(static_cast<unsigned>(i)), where);
  };
  for (std::size_t i = 0; i < kernel_.parameters.size(); ++i) {
    pointers_.push_back(field(i));
    pointers_.back()->setName(kernel_.parameters[i].name);
  }
  for (std::size_t i = 0; i < symbols.size(); ++i) {
    symbols_[symbols[i]] = field(kernel_.parameters.size() + i);
    symbols_[symbols[i]]->setName(symbols[i]);
  }
  if (schedule_.streams && llvm::Triple(target_.triple).isX86())
    reach_ = field(kernel_.parameters.size() + symbols.size());
  if (schedule_.panel) find_panel(field(kernel_.parameters.size() + symbols.size() + 1));
  locals_.assign(kernel_.locals.size(), {});
  static const std::vector<Access> kNone;
  for (std::size_t i = 0; i < kernel_.stages.size(); ++i)
    hoist(kernel_.stages[i], i < schedule_.stores.size() ? schedule_.stores[i] : kNone, Level::row,
          {});
  llvm::Value* begin = function_->getArg(1);
  llvm::Value* end = function_->getArg(2);
  if (schedule_.folds_outside()) {
    llvm::Value* parts =
        parts_of_unit(b_, [&](const Dim& size) { return dimension(size); }, schedule_);
    begin = b_.CreateMul(begin, parts);
    end = b_.CreateMul(end, parts);
  }
  if (units_join())
    emit_units(begin, end);
  else if (schedule_.rows_at_once > 1 && split_)
    emit_chunks(begin, end);
  else if (schedule_.rows_at_once > 1)
    emit_tiles(begin, end);
  else if (schedule_.rows_by_stage > 1 && !split_)
    emit_by_stages(begin, end);
  else if (split_ && most_chunks_at_once() > 1)
    emit_chunks_at_once(begin, end);
  else
    loop(begin, end, 1, [&](llvm::Value* unit) { emit_units(unit, b_.CreateAdd(unit, i64(1))); });
  // Streaming stores are weakly ordered; whoever reads the result next may be another thread.
  if (reach_) {
    auto* fence = llvm::BasicBlock::Create(context, "fence", function_);
    auto* after = llvm::BasicBlock::Create(context, "fenced", function_);
    b_.CreateCondBr(schedule_.lines_past_caches > 0 ? b_.CreateNot(reaches(Reach::near))
                                                    : reaches(Reach::memory),
                    fence, after);
    b_.SetInsertPoint(fence);
    b_.CreateCall(
        llvm::Intrinsic::getOrInsertDeclaration(&module_, llvm::Intrinsic::x86_sse_sfence));
    b_.CreateBr(after);
    b_.SetInsertPoint(after);
  }
  b_.CreateRetVoid();
}

// The blocks of a single row follow one another, so several are run through as one.
bool KernelEmitter::units_join() const {
  if (split_ || !schedule_.vector_row || !schedule_.rows.empty()) return false;
  std::optional<std::int64_t> count = schedule_.vector_row->extent.constant();
  return !count || *count > schedule_.block;
}

// Whether a point of the vector axis is all that there is to a point of the loop.
bool KernelEmitter::is_map_only() const {
  return rows_ == 1 &&
         std::none_of(kernel_.stages.begin(), kernel_.stages.end(), [](const Stage& stage) {
           return stage.fold.has_value() || stage.axis.has_value();
         });
}

// Units from `unit` to `limit`: a single one, unless units_join().
void KernelEmitter::emit_units(llvm::Value* unit, llvm::Value* limit) {
  Scope scope(*this);
  rows_ = 1;
  unroll_ = schedule_.unroll;
  if (split_) {
    llvm::Value* chunks =
        b_.CreateUDiv(b_.CreateAdd(dimension(kernel_.arena.axis_extent(*split_->axis)),
                                   i64(split_->fold->chunk - 1)),
                      i64(split_->fold->chunk));
    llvm::Value* base = primitives_.quotient(unit, chunks);
    chunk_ = b_.CreateSub(unit, b_.CreateMul(base, chunks));
    unit = base;
    limit = b_.CreateAdd(base, i64(1));
  }
  if (!schedule_.vector_row) {
    row_ = unit;
    emit_row(unit, schedule_.rows.size());
    Lanes scalar;
    scalar.start = i64(0);
    for (auto& local : locals_) local.clear();
    emit_stages(scalar);
    return;
  }
  const Dim& extent = schedule_.vector_row->extent;
  llvm::Value* row = unit;
  llvm::Value* begin = i64(0);
  llvm::Value* end = dimension(extent);
  std::optional<std::int64_t> count = extent.constant();
  if (!count || *count > schedule_.block) {
    llvm::Value* block = unit;
    llvm::Value* block_limit = limit;
    if (schedule_.rows.empty()) {
      row = i64(0);
    } else {
      llvm::Value* blocks =
          b_.CreateUDiv(b_.CreateAdd(end, i64(schedule_.block - 1)), i64(schedule_.block));
      row = primitives_.quotient(unit, blocks);
      block = b_.CreateSub(unit, b_.CreateMul(row, blocks));
      block_limit = b_.CreateAdd(block, i64(1));
    }
    begin = b_.CreateMul(block, i64(schedule_.block));
    llvm::Value* block_end = b_.CreateMul(block_limit, i64(schedule_.block));
    const bool whole = count && *count % schedule_.block == 0;
    end = whole ? block_end : b_.CreateSelect(b_.CreateICmpSLT(block_end, end), block_end, end);
    // Of several blocks, too, it is known that whole steps fill them.
    count = whole ? std::optional(schedule_.block) : std::nullopt;
  }
  auto emit_points_of = [&](llvm::Value* point) {
    row_ = point;
    emit_row(point, schedule_.rows.size());
    Lanes none;
    none.start = begin;
    for (std::size_t i = 0; i < kernel_.stages.size(); ++i)
      hoist(kernel_.stages[i], schedule_.stores[i], Level::vector, none);
    auto stages_at = [&](const Lanes& lanes) {
      Scope inner(*this);
      for (auto& local : locals_) local.clear();
      emit_stages(lanes);
      for (auto& local : locals_) local.clear();
    };
    auto body = [&](const Lanes& lanes) {
      if (is_map_only())
        in_turn(lanes, stages_at);
      else
        stages_at(lanes);
    };
    if (reach_)
      stream_loop(begin, end, count, body);
    else
      vector_loop(begin, end, count, body);
  };
  if (!kernel_.across || schedule_.folds_outside()) return emit_points_of(row);
  llvm::Value* rows = dimension(schedule_.rows.back().extent);
  llvm::Value* chunks = chunks_of(rows);
  llvm::Value* outer = primitives_.quotient(row, chunks);
  llvm::Value* chunk = b_.CreateSub(row, b_.CreateMul(outer, chunks));
  for_chunks(chunk, b_.CreateAdd(chunk, i64(1)), [&](llvm::Value* first, llvm::Value* last) {
    loop(first, last, 1, [&](llvm::Value* index) {
      Scope one(*this);
      emit_points_of(b_.CreateAdd(b_.CreateMul(outer, rows), index));
    });
  });
}

// A point of the first `axes` row axes.
void KernelEmitter::emit_row(llvm::Value* row, std::size_t axes) {
  // The last axis varies fastest.
  llvm::Value* rest = row;
  for (std::size_t i = axes; i-- > 0;) {
    const LoopAxis& axis = schedule_.rows[i];
    if (i == 0) {
      axes_[axis.number] = rest;
      break;
    }
    llvm::Value* extent = dimension(axis.extent);
    llvm::Value* quotient = primitives_.quotient(rest, extent);
    axes_[axis.number] = b_.CreateSub(rest, b_.CreateMul(quotient, extent));
    rest = quotient;
  }
}

void KernelEmitter::emit_stages(const Lanes& lanes) {
  for (std::size_t i = 0; i < kernel_.stages.size(); ++i) {
    const Stage& stage = kernel_.stages[i];
    if (!stage.fold) {
      if (split_) continue;
      emit_map(stage, schedule_.stores[i], lanes);
      continue;
    }
    if (split_ == &stage) {
      emit_partial(stage, lanes);
      return;
    }
    Values results = emit_fold(stage, lanes);
    std::size_t slots = results.size() / stage.fold->locals.size();
    for (std::size_t k = 0; k < stage.fold->locals.size(); ++k)
      locals_[stage.fold->locals[k]].assign(
          results.begin() + static_cast<std::ptrdiff_t>(k * slots),
          results.begin() + static_cast<std::ptrdiff_t>((k + 1) * slots));
  }
  emit_sums(lanes);
}

void KernelEmitter::emit_map(const Stage& stage, const std::vector<Access>& accesses,
                             const Lanes& lanes) {
  if (!stage.axis) {
    emit_stores(stage, accesses, lanes);
    return;
  }
  hoist(stage, accesses, Level::stage, lanes);
  const Dim& extent = kernel_.arena.axis_extent(*stage.axis);
  if (schedule_.vector_row) {
    loop(i64(0), dimension(extent), 1, [&](llvm::Value* index) {
      Scope scope(*this);
      axes_[*stage.axis] = index;
      emit_stores(stage, accesses, lanes);
    });
    return;
  }
  vector_loop(i64(0), dimension(extent), extent.constant(), [&](const Lanes& inner) {
    in_turn(inner, [&](const Lanes& one) {
      Scope scope(*this);
      axes_[*stage.axis] = one.start;
      emit_stores(stage, accesses, one);
    });
  });
}

void KernelEmitter::emit_stores(const Stage& stage, const std::vector<Access>& accesses,
                                const Lanes& lanes) {
  for (const Store& store : stage.stores) {
    if (kernel_.arena[store.value].primitive != scalar::Primitive::constant)
      values(store.value, lanes);
  }
  for (std::size_t i = 0; i < stage.stores.size(); ++i) {
    const int together = accesses[i].interleaves ? rows_stored_together(lanes) : 1;
    if (together > 1 && rows_ % together == 0) {
      for (int row = 0; row < rows_; row += together)
        emit_interleaved(stage.stores[i], accesses[i], lanes, row);
      continue;
    }
    bool uniform = accesses[i].kind == Access::Kind::uniform;
    Lanes at = uniform ? Lanes{1, 1, lanes.start, nullptr} : lanes;
    for (int row = 0; row < rows_; ++row)
      for (int slot = 0; slot < at.slots; ++slot)
        emit_store(stage.stores[i].parameter, accesses[i],
                   value(stage.stores[i].value, at, slot, row), at, slot, row);
  }
}

// It is no stack slot, or SROA would know what is in it, and put a branch around every load that
// may look there.
llvm::Constant* KernelEmitter::zeros(std::int64_t bytes) {
  // Enough for a vector, or for all that a loop looks at.
  constexpr std::int64_t kFewZeroBytes = 256;
  WEIR_CHECK(bytes <= kMostZeroBytes, "more zeros than there are");
  const bool few = bytes <= kFewZeroBytes;
  const char* name = few ? "weir.zeros" : "weir.zeros.long";
  if (llvm::GlobalVariable* known = module_.getNamedGlobal(name)) return known;
  auto* type = llvm::ArrayType::get(
      b_.getInt8Ty(), static_cast<std::uint64_t>(few ? kFewZeroBytes : kMostZeroBytes));
  auto* made = new llvm::GlobalVariable(module_, type, true, llvm::GlobalValue::PrivateLinkage,
                                        llvm::Constant::getNullValue(type), name);
  made->setUnnamedAddr(llvm::GlobalValue::UnnamedAddr::Global);
  made->setAlignment(llvm::Align(64));
  return made;
}

llvm::AllocaInst* KernelEmitter::slot(llvm::Type* type, const char* name, std::int64_t count) {
  llvm::BasicBlock& entry = function_->getEntryBlock();
  llvm::IRBuilder<> builder(&entry, entry.begin());
  llvm::Value* size = count == 1 ? nullptr : builder.getInt64(static_cast<std::uint64_t>(count));
  return builder.CreateAlloca(type, size, name);
}

llvm::AllocaInst* KernelEmitter::tree_slot(llvm::Type* type, std::size_t number,
                                           std::int64_t count) {
  std::size_t free = 0;
  for (llvm::AllocaInst* tree : trees_) {
    if (tree->getAllocatedType() != type || free++ != number) continue;
    if (llvm::cast<llvm::ConstantInt>(tree->getArraySize())->getSExtValue() < count)
      tree->setOperand(0, i64(count));
    return tree;
  }
  trees_.push_back(slot(type, "tree", count));
  return trees_.back();
}

}  // namespace weir
