// The part of the kernel emitter that deals with split folds (split_folds.h): chunk results are
// left in memory, and merged by another function.
//
// Where units are tiles, those of a chunk follow one another, so that what they read of its steps
// stays in the caches. Of a chunk over windows the steps go in parts, so short that what the groups
// of rows beside one another read of both operands stays in the first cache. A part goes on with
// the sums that the one before it left where the chunk's results go, so the order of additions is
// that of the chunk.
//
// Where they are no tiles, a chunk has few sums, each of which waits for its own multiply-adds. So
// several chunks, one behind the other, go through their steps at once.

#include <algorithm>
#include <bit>

#include "compiler/codegen/kernel_emitter.h"
#include "compiler/lowering/cache_line.h"

namespace weir {

namespace {

// Steps of a part, at most: with a line of each operand they have half of the first cache.
std::int64_t part_steps(const Core& core) { return core.first.bytes / 4 / kLineBytes; }
// Results that are summed part by part, at most: those that stay in the second cache beside the
// operands, a sixteenth of it.
std::int64_t sum_bytes(const Core& core) { return core.second.bytes / 16; }

// A part is whole loops over the last digits of the stage's axis, and a chunk a whole number of
// parts.
std::int64_t steps_of_part(const Kernel& kernel, const Stage& stage, const Core& core) {
  const std::int64_t most = part_steps(core);
  const std::int64_t chunk = stage.fold->chunk;
  std::int64_t steps = 1;
  for (std::size_t i = stage.digits.size(); i-- > 1;) {
    const std::int64_t size = kernel.arena.axis_extent(stage.digits[i]).constant().value_or(0);
    if (size < 1 || steps * size > most || chunk % (steps * size) != 0) break;
    steps *= size;
  }
  if (steps == 1) return chunk;
  while (steps * 2 <= most && chunk % (steps * 2) == 0) steps *= 2;
  return steps;
}

}  // namespace

// How many chunks of the split fold go through their steps at once: as many as keep all multiply-adds
// under way, but not more than half the ways of the first cache. Chunks begin a large power of two
// apart, so that what they read shares sets.
int KernelEmitter::most_chunks_at_once() const {
  const Fold& fold = *split_->fold;
  const Core& core = target_.core;
  const bool is_plain = split_->digits.size() < 2 && !step_condition(kernel_, fold);
  if (target_.vector_bytes == 0 || fold.order != Reduction::Order::chain || !is_plain) return 1;
  for (scalar::Id id : scalar::reachable(kernel_.arena, fold.elements))
    if (auto load = schedule_.loads.find(id.index);
        kernel_.arena[id].primitive == scalar::Primitive::load_if ||
        (load != schedule_.loads.end() && load->second.along_steps))
      return 1;
  const std::int64_t most = std::min<std::int64_t>(
      core.fmas_under_way(target_.vector_bytes) / schedule_.unroll, core.first.ways / 2);
  return most < 2 ? 1 : static_cast<int>(std::bit_floor(static_cast<std::uint64_t>(most)));
}

// Units of a split fold that are no tiles, its chunk varying fastest.
void KernelEmitter::emit_chunks_at_once(llvm::Value* begin, llvm::Value* end) {
  const int most = most_chunks_at_once();
  llvm::Value* length = dimension(kernel_.arena.axis_extent(*split_->axis));
  llvm::Value* size = i64(split_->fold->chunk);
  llvm::Value* chunks = b_.CreateUDiv(b_.CreateAdd(length, b_.CreateSub(size, i64(1))), size);
  llvm::AllocaInst* next = slot(b_.getInt64Ty(), "unit");
  b_.CreateStore(begin, next);
  auto units_from = [&](llvm::Value* unit, int count) {
    chunks_ = count;
    emit_units(unit, b_.CreateAdd(unit, i64(1)));
    chunks_ = 1;
    b_.CreateStore(b_.CreateAdd(unit, i64(count)), next);
  };
  llvm::LLVMContext& context = module_.getContext();
  auto* test = llvm::BasicBlock::Create(context, "test", function_);
  auto* inside = llvm::BasicBlock::Create(context, "chunks", function_);
  auto* after = llvm::BasicBlock::Create(context, "done", function_);
  b_.CreateBr(test);
  b_.SetInsertPoint(test);
  llvm::Value* unit = b_.CreateLoad(b_.getInt64Ty(), next);
  b_.CreateCondBr(b_.CreateICmpSLT(unit, end), inside, after);
  b_.SetInsertPoint(inside);
  llvm::Value* chunk = b_.CreateSub(unit, b_.CreateMul(primitives_.quotient(unit, chunks), chunks));
  llvm::Value* are_of_one = b_.CreateICmpSLE(b_.CreateAdd(chunk, i64(most)), chunks);
  llvm::Value* are_here = b_.CreateICmpSLE(b_.CreateAdd(unit, i64(most)), end);
  either(
      b_.CreateAnd(are_of_one, are_here), [&] { units_from(unit, most); },
      [&] { units_from(unit, 1); });
  b_.CreateBr(test);
  b_.SetInsertPoint(after);
}

// Cuts begin ... end - 1 at multiples of `size`.
void KernelEmitter::in_pieces(
    llvm::Value* begin, llvm::Value* end, llvm::Value* size,
    const std::function<void(llvm::Value* piece, llvm::Value* first, llvm::Value* last)>& body) {
  llvm::Value* from = primitives_.quotient(begin, size);
  llvm::Value* to = primitives_.quotient(b_.CreateAdd(end, b_.CreateSub(size, i64(1))), size);
  loop(from, to, 1, [&](llvm::Value* piece) {
    llvm::Value* start = b_.CreateMul(piece, size);
    body(piece, b_.CreateBinaryIntrinsic(llvm::Intrinsic::smax, begin, start),
         b_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, end, b_.CreateAdd(start, size)));
  });
}

// The units of all points of so many of the row axes outside of a tile, innermost.
llvm::Value* KernelEmitter::tile_units(std::size_t axes) {
  auto in_parts_of = [&](const Dim& extent, std::int64_t size) {
    return b_.CreateUDiv(b_.CreateAdd(dimension(extent), i64(size - 1)), i64(size));
  };
  llvm::Value* units = in_parts_of(schedule_.vector_row->extent, schedule_.block);
  if (schedule_.tile_axes == 1)
    units = b_.CreateMul(units, in_parts_of(schedule_.rows.back().extent, schedule_.rows_at_once));
  const std::size_t outside = schedule_.rows.size() - static_cast<std::size_t>(schedule_.tile_axes);
  for (std::size_t i = outside - axes; i < outside; ++i)
    units = b_.CreateMul(units, dimension(schedule_.rows[i].extent));
  return units;
}

// The units of a split fold that are tiles, the chunk varying slowest.
void KernelEmitter::emit_chunks(llvm::Value* begin, llvm::Value* end) {
  const Fold& fold = *split_->fold;
  const std::int64_t steps = steps_of_part(kernel_, *split_, target_.core);
  const std::size_t outside = schedule_.rows.size() - static_cast<std::size_t>(schedule_.tile_axes);
  // As many axes beside the tile as keep the sums few.
  std::size_t axes = 0;
  Dim results = schedule_.vector_row->extent;
  for (std::size_t i = outside; i < schedule_.rows.size(); ++i)
    results = results * schedule_.rows[i].extent;
  for (; axes < outside; ++axes) {
    results = results * schedule_.rows[outside - axes - 1].extent;
    if (!results.is_constant() ||
        results.value() * byte_size(accumulator_type(fold, 0)) > sum_bytes(target_.core))
      break;
  }
  llvm::Value* length = dimension(kernel_.arena.axis_extent(*split_->axis));
  // Of no rows there are none, and no chunk begins.
  llvm::Value* units = b_.CreateBinaryIntrinsic(llvm::Intrinsic::smax, tile_units(outside), i64(1));
  in_pieces(begin, end, units, [&](llvm::Value* chunk, llvm::Value* first, llvm::Value* last) {
    Scope scope(*this);
    chunk_ = chunk;
    llvm::Value* before = b_.CreateMul(chunk, units);
    first = b_.CreateSub(first, before);
    last = b_.CreateSub(last, before);
    llvm::Value* from = b_.CreateMul(chunk, i64(fold.chunk));
    llvm::Value* to = b_.CreateBinaryIntrinsic(llvm::Intrinsic::smin,
                                               b_.CreateAdd(from, i64(fold.chunk)), length);
    if (steps == fold.chunk) return emit_tiles(first, last);
    in_pieces(first, last, tile_units(axes),
              [&](llvm::Value*, llvm::Value* first_near, llvm::Value* last_near) {
                loop(from, to, steps, [&](llvm::Value* step) {
                  Scope part(*this);
                  part_ = {step,
                           b_.CreateBinaryIntrinsic(llvm::Intrinsic::smin,
                                                    b_.CreateAdd(step, i64(steps)), to),
                           b_.CreateICmpNE(step, from)};
                  emit_tiles(first_near, last_near);
                  part_.reset();
                });
              });
  });
}

// What an accumulator of a chunk, or of a part of one, begins with. `number` counts the slots of
// all rows.
llvm::Value* KernelEmitter::initial(const Fold& fold, std::size_t i, const Lanes& lanes,
                                    int number) {
  const DType type = accumulator_type(fold, i);
  llvm::Value* identity = primitives_.constant(type, fold.identity[i].value, lanes.width);
  if (!part_) return identity;
  llvm::Type* vector = memory_type(type, lanes.width);
  const llvm::Align align(static_cast<std::uint64_t>(byte_size(type)));
  llvm::Value* where = partial_address(fold, i, chunk_, lanes, number);
  llvm::Value* mask = lanes.mask_of(number % lanes.slots);
  llvm::Value* sum = mask ? static_cast<llvm::Value*>(b_.CreateMaskedLoad(
                                vector, where, align, mask, llvm::Constant::getNullValue(vector)))
                          : b_.CreateAlignedLoad(vector, where, align);
  return b_.CreateSelect(part_->continues, sum, identity);
}

// Where the result of one chunk is kept: [chunk][row]. `number` counts the slots of all rows.
llvm::Value* KernelEmitter::partial_address(const Fold& fold, std::size_t i, llvm::Value* chunk,
                                            const Lanes& lanes, int number) {
  Dim rows = 1;
  for (const Dim& row : kernel_.rows) rows = rows * row;
  const int slot = number % lanes.slots;
  llvm::Value* row = b_.CreateAdd(row_, i64(number / lanes.slots));
  if (schedule_.vector_row) {
    row = b_.CreateAdd(b_.CreateMul(row, dimension(schedule_.vector_row->extent)), lanes.start);
    row = b_.CreateAdd(row, i64(lanes.position(slot)));
  }
  return address(fold.partials[i], b_.CreateAdd(b_.CreateMul(chunk, dimension(rows)), row));
}

void KernelEmitter::emit_partial(const Stage& stage, const Lanes& lanes) {
  const Fold& fold = *stage.fold;
  hoist(stage, {}, Level::window, lanes);
  llvm::Value* length = dimension(kernel_.arena.axis_extent(*stage.axis));
  llvm::Value* begin = b_.CreateMul(chunk_, i64(fold.chunk));
  llvm::Value* chunk_end = b_.CreateAdd(begin, i64(fold.chunk));
  llvm::Value* end = b_.CreateSelect(b_.CreateICmpSLT(chunk_end, length), chunk_end, length);
  if (part_) begin = part_->begin, end = part_->end;
  const bool in_lanes = fold.order == Reduction::Order::lanes && !schedule_.vector_row;
  Values results = fold.order == Reduction::Order::chain
                       ? chain_partial(stage, lanes, begin, end, chunks_)
                   : in_lanes ? lane_partial(stage, begin, end, std::nullopt)
                              : column_partial(stage, lanes, begin, end, std::nullopt);
  const int slots = in_lanes ? 1 : rows_ * lanes.slots;
  auto result = results.begin();
  for (std::size_t i = 0; i < fold.partials.size(); ++i) {
    llvm::Align align(static_cast<std::uint64_t>(byte_size(accumulator_type(fold, i))));
    for (int number = 0; number < chunks_ * slots; ++number) {
      llvm::Value* value = *result++;
      const int slot = number % slots;
      llvm::Value* chunk = b_.CreateAdd(chunk_, i64(number / slots));
      llvm::Value* where = partial_address(fold, i, chunk, lanes, slot);
      llvm::Value* mask = in_lanes ? nullptr : lanes.mask_of(slot % lanes.slots);
      if (mask) {
        b_.CreateMaskedStore(value, where, align, mask);
      } else {
        b_.CreateAlignedStore(value, where, align);
      }
    }
  }
}

KernelEmitter::Values KernelEmitter::merge_partials(const Stage& stage, const Lanes& lanes) {
  const Fold& fold = *stage.fold;
  const bool in_lanes = fold.order == Reduction::Order::lanes && !schedule_.vector_row;
  int width = in_lanes ? 1 : lanes.width;
  int slots = in_lanes ? 1 : rows_ * lanes.slots;
  return in_chunks(fold, kernel_.arena.axis_extent(*stage.axis), width, slots,
                   [&](llvm::Value* begin, llvm::Value*, std::optional<std::int64_t>) {
                     Values results;
                     llvm::Value* chunk = b_.CreateUDiv(begin, i64(fold.chunk));
                     for (std::size_t i = 0; i < fold.partials.size(); ++i) {
                       DType type = accumulator_type(fold, i);
                       llvm::Align align(static_cast<std::uint64_t>(byte_size(type)));
                       llvm::Type* vector = memory_type(type, width);
                       for (int slot = 0; slot < slots; ++slot) {
                         llvm::Value* where = partial_address(fold, i, chunk, lanes, slot);
                         llvm::Value* mask = in_lanes ? nullptr : lanes.mask_of(slot % lanes.slots);
                         results.push_back(mask ? static_cast<llvm::Value*>(b_.CreateMaskedLoad(
                                                      vector, where, align, mask,
                                                      llvm::Constant::getNullValue(vector)))
                                                : b_.CreateAlignedLoad(vector, where, align));
                       }
                     }
                     return results;
                   });
}

}  // namespace weir
