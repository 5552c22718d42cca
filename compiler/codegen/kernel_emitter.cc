#include "compiler/codegen/kernel_emitter.h"

#include <algorithm>
#include <bit>

#include <llvm/IR/IntrinsicsX86.h>
#include <llvm/TargetParser/Triple.h>

#include "compiler/codegen/repeat_columns.h"

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
  if (units_join())
    emit_units(function_->getArg(1), function_->getArg(2));
  else if (schedule_.rows_at_once > 1 && split_)
    emit_chunks(function_->getArg(1), function_->getArg(2));
  else if (schedule_.rows_at_once > 1)
    emit_tiles(function_->getArg(1), function_->getArg(2));
  else
    loop(function_->getArg(1), function_->getArg(2), 1,
         [&](llvm::Value* unit) { emit_units(unit, b_.CreateAdd(unit, i64(1))); });
  // Streaming stores are weakly ordered; whoever reads the result next may be another thread.
  if (reach_) {
    auto* fence = llvm::BasicBlock::Create(context, "fence", function_);
    auto* after = llvm::BasicBlock::Create(context, "fenced", function_);
    b_.CreateCondBr(reaches(Reach::memory), fence, after);
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
  if (!kernel_.across) return emit_points_of(row);
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

void KernelEmitter::loop(llvm::Value* begin, llvm::Value* end, std::int64_t step,
                         const Body& body) {
  llvm::LLVMContext& context = module_.getContext();
  auto* counter = slot(b_.getInt64Ty(), "counter");
  auto* test = llvm::BasicBlock::Create(context, "test", function_);
  auto* inside = llvm::BasicBlock::Create(context, "loop", function_);
  auto* after = llvm::BasicBlock::Create(context, "done", function_);
  b_.CreateStore(begin, counter);
  b_.CreateBr(test);
  b_.SetInsertPoint(test);
  llvm::Value* index = b_.CreateLoad(b_.getInt64Ty(), counter);
  b_.CreateCondBr(b_.CreateICmpSLT(index, end), inside, after);
  b_.SetInsertPoint(inside);
  body(index);
  b_.CreateStore(b_.CreateAdd(index, i64(step)), counter);
  b_.CreateBr(test);
  b_.SetInsertPoint(after);
}

std::optional<std::int64_t> KernelEmitter::known_distance(llvm::Value* begin, llvm::Value* end) {
  auto *from = llvm::dyn_cast<llvm::ConstantInt>(begin),
       *to = llvm::dyn_cast<llvm::ConstantInt>(end);
  if (!from || !to) return std::nullopt;
  return to->getSExtValue() - from->getSExtValue();
}

// Vector by vector: a processor that waits for its second cache takes 10% longer where loads come four at a time, and stores
// after them, than where each vector is stored before the next is loaded (docs/performance.md). Streams keep their lines.
void KernelEmitter::in_turn(const Lanes& lanes, const LaneBody& body) {
  if (streaming_ || lanes.slots == 1) return body(lanes);
  for (int slot = 0; slot < lanes.slots; ++slot)
    body({lanes.width, 1, b_.CreateAdd(lanes.start, i64(std::int64_t{lanes.width} * slot)),
          nullptr});
}

// As many whole steps of `slots` vectors as fit; returns where they end.
llvm::Value* KernelEmitter::whole_vectors(llvm::Value* begin, llvm::Value* end, int slots,
                                          const LaneBody& body) {
  std::int64_t size = static_cast<std::int64_t>(schedule_.width) * slots;
  llvm::Value* distance = b_.CreateSub(end, begin);
  // A tile may be three vectors wide.
  llvm::Value* whole = (size & (size - 1)) == 0
                           ? b_.CreateAnd(distance, i64(-size))
                           : b_.CreateSub(distance, b_.CreateURem(distance, i64(size)));
  llvm::Value* limit = b_.CreateAdd(begin, whole);
  // A single step is no loop: where it is, is known ahead.
  if (known_distance(begin, limit) == size) {
    body({schedule_.width, slots, begin, nullptr});
    return limit;
  }
  loop(begin, limit, size,
       [&](llvm::Value* index) { body({schedule_.width, slots, index, nullptr}); });
  return limit;
}

// Whole steps of several vectors, then of one where no mask takes those; returns where they end.
llvm::Value* KernelEmitter::whole_steps(llvm::Value* begin, llvm::Value* end,
                                        std::optional<std::int64_t> count, const LaneBody& body) {
  std::int64_t step = static_cast<std::int64_t>(schedule_.width) * unroll_;
  if (!count || *count >= step) begin = whole_vectors(begin, end, unroll_, body);
  if (unroll_ == 1 || (masks_ && schedule_.width > 1)) return begin;
  if (!count || *count % step >= schedule_.width) begin = whole_vectors(begin, end, 1, body);
  return begin;
}

// What whole_steps left: `count` is the length of the whole, where it is known.
void KernelEmitter::remainder(llvm::Value* begin, llvm::Value* end,
                              std::optional<std::int64_t> count, const LaneBody& body) {
  int width = schedule_.width;
  if (width == 1) return;
  std::int64_t step = masks_ ? static_cast<std::int64_t>(width) * unroll_ : width;
  if (count && *count % step == 0) return;
  if (!masks_) {
    loop(begin, end, 1, [&](llvm::Value* index) { body({1, 1, index, nullptr}); });
    return;
  }
  // Of a tile's rows, a few columns take vectors no wider than they need, which are done sooner.
  if (count && rows_ > 1 && narrows_) {
    const std::int64_t left = *count % step, tail = left % width;
    const auto narrow = static_cast<int>(std::bit_ceil(static_cast<std::uint64_t>(tail)));
    if (tail > 0 && narrow > 1 && narrow < width) {
      llvm::Value* whole = b_.CreateAdd(begin, i64(left - tail));
      if (left > tail) whole_vectors(begin, whole, 1, body);
      llvm::Value* mask = tail == narrow ? nullptr : first_lanes(narrow, i64(tail));
      return body({narrow, 1, whole, mask, i64(tail - 1)});
    }
  }
  auto rest_at = [&](llvm::Value* index) {
    llvm::Value* left = b_.CreateSub(end, index);
    body({width, 1, index, first_lanes(width, left), b_.CreateSub(left, i64(1))});
  };
  // Where it is known ahead, it is no loop, of which a second step would be more code only where
  // whole steps come before.
  if (std::optional<std::int64_t> left = known_distance(begin, end);
      left && (*left <= width || (*left <= 2 * width && *left == count))) {
    for (std::int64_t at = 0; at < *left; at += width) {
      llvm::Value* index = b_.CreateAdd(begin, i64(at));
      if (at + width <= *left)
        body({width, 1, index, nullptr});
      else
        rest_at(index);
    }
    return;
  }
  // The guard keeps the mask's constants out of the way of a length that leaves nothing.
  auto* some = llvm::BasicBlock::Create(module_.getContext(), "remainder", function_);
  auto* none = llvm::BasicBlock::Create(module_.getContext(), "whole", function_);
  b_.CreateCondBr(b_.CreateICmpSLT(begin, end), some, none);
  b_.SetInsertPoint(some);
  loop(begin, end, width, rest_at);
  b_.CreateBr(none);
  b_.SetInsertPoint(none);
}

void KernelEmitter::vector_loop(llvm::Value* begin, llvm::Value* end,
                                std::optional<std::int64_t> count, const LaneBody& body) {
  const std::int64_t step = std::int64_t{schedule_.width} * unroll_;
  if (rows_ > 1 && unroll_ == schedule_.tile_unroll && count &&
      repeats_columns(schedule_, *count, rows_)) {
    llvm::Value* last = b_.CreateSub(end, i64(step));
    return loop(begin, end, step, [&](llvm::Value* index) {
      llvm::Value* from = b_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, index, last);
      body({schedule_.width, unroll_, from, nullptr});
    });
  }
  if (rows_ > 1 && unroll_ == schedule_.tile_unroll && count && *count < step &&
      shares_columns(schedule_, *count)) {
    const std::int64_t slots = (*count + schedule_.width - 1) / schedule_.width;
    return body({schedule_.width, static_cast<int>(slots), begin, nullptr, nullptr,
                 slots * schedule_.width - *count});
  }
  llvm::Value* from = whole_steps(begin, end, count, body);
  // What fills vectors needs no masks, though it is known at the call only how many of them are left.
  const std::optional<std::int64_t> left = known_distance(from, end);
  const bool are_few = left && left == count && *left <= 2 * std::int64_t{schedule_.width};
  if (!masks_ || schedule_.width == 1 || are_few || !fills_vectors(count))
    return remainder(from, end, count, body);
  if (!count || *count % step != 0) whole_vectors(from, end, 1, body);
}

// Whether a piece of the vector axis is whole vectors: one of so many elements, or a part that begins and ends with blocks, or
// with the axis.
bool KernelEmitter::fills_vectors(std::optional<std::int64_t> count) const {
  if (!count && schedule_.vector_row) count = schedule_.vector_row->extent.constant();
  return count && *count % schedule_.width == 0;
}

}  // namespace weir
