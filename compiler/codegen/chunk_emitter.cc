// The part of the kernel emitter that deals with split folds (split_folds.h): chunk results are
// left in memory, and merged by another function.
//
// Where units are tiles, those of a chunk follow one another, so that what they read of its steps
// stays in the caches. Of a chunk over windows the steps go in parts, so short that what the groups
// of rows beside one another read of both operands stays in the first cache. A part goes on with
// the sums that the one before it left where the chunk's results go, so the order of additions is
// that of the chunk.

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
  llvm::Value* sum =
      lanes.mask ? static_cast<llvm::Value*>(b_.CreateMaskedLoad(
                       vector, where, align, lanes.mask, llvm::Constant::getNullValue(vector)))
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
  Values results = fold.order == Reduction::Order::chain ? chain_partial(stage, lanes, begin, end)
                   : in_lanes ? lane_partial(stage, begin, end, std::nullopt)
                              : column_partial(stage, lanes, begin, end, std::nullopt);
  int slots = in_lanes ? 1 : rows_ * lanes.slots;
  for (std::size_t i = 0; i < fold.partials.size(); ++i) {
    llvm::Align align(static_cast<std::uint64_t>(byte_size(accumulator_type(fold, i))));
    for (int slot = 0; slot < slots; ++slot) {
      llvm::Value* value =
          results[i * static_cast<std::size_t>(slots) + static_cast<std::size_t>(slot)];
      llvm::Value* where = partial_address(fold, i, chunk_, lanes, slot);
      if (lanes.mask && !in_lanes) {
        b_.CreateMaskedStore(value, where, align, lanes.mask);
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
                         results.push_back(lanes.mask && !in_lanes
                                               ? static_cast<llvm::Value*>(b_.CreateMaskedLoad(
                                                     vector, where, align, lanes.mask,
                                                     llvm::Constant::getNullValue(vector)))
                                               : b_.CreateAlignedLoad(vector, where, align));
                       }
                     }
                     return results;
                   });
}

}  // namespace weir
