// The part of the kernel emitter that deals with reductions, in the order that Reduction (ir/op.h)
// fixes.

#include <bit>

#include "compiler/codegen/kernel_emitter.h"
#include "compiler/lowering/choose_tile.h"

namespace weir {

using scalar::Id;
using scalar::Primitive;

namespace {

// Levels for any number of chunks: no size is above 2^47 bytes, and no chunk is shorter than 256
// elements, or it is one element that stands for as many.
constexpr std::int64_t kTreeLevels = 40;

}  // namespace

DType KernelEmitter::accumulator_type(const Fold& fold, std::size_t i) const {
  return kernel_.locals[fold.locals[i]];
}

// A small expression on arguments, outside of the loops' value scopes.
std::vector<llvm::Value*> KernelEmitter::call(const std::vector<Id>& roots,
                                              const std::vector<llvm::Value*>& arguments,
                                              int width) {
  std::unordered_map<std::uint32_t, llvm::Value*> made;
  for (Id id : scalar::reachable(kernel_.arena, roots)) {
    const scalar::Node& node = kernel_.arena[id];
    if (node.primitive == Primitive::constant) {
      made[id.index] = primitives_.constant(node.type, node.payload, width);
    } else if (node.primitive == Primitive::argument) {
      made[id.index] = arguments[node.payload];
    } else {
      std::vector<llvm::Value*> operands;
      for (Id operand : kernel_.arena.operands(id)) operands.push_back(made.at(operand.index));
      if (id.index < kernel_.locations.size()) debug_.set(b_, kernel_.locations[id.index]);
      made[id.index] = primitives_.emit(
          node.primitive, kernel_.arena[kernel_.arena.operand(id, 0)].type, node.type, operands);
    }
  }
  std::vector<llvm::Value*> results;
  for (Id root : roots) results.push_back(made.at(root.index));
  return results;
}

// Folds one group of vectors into the accumulators first ... first + count - 1, or so many for each
// of the rows.
void KernelEmitter::fold_block(const Stage& stage, const std::vector<Values>& accumulators,
                               int first, int count, const Lanes& lanes) {
  const Fold& fold = *stage.fold;
  for (Id element : fold.elements)
    if (kernel_.arena[element].primitive != Primitive::constant) values(element, lanes);
  for (int number = 0; number < rows_ * count; ++number) {
    int row = number / count, slot = number % count;
    std::vector<llvm::Value*> arguments;
    for (std::size_t i = 0; i < accumulators.size(); ++i)
      arguments.push_back(b_.CreateLoad(primitives_.type(accumulator_type(fold, i), lanes.width),
                                        accumulators[i][static_cast<std::size_t>(first + number)]));
    for (Id element : fold.elements) arguments.push_back(value(element, lanes, slot, row));
    std::vector<llvm::Value*> next = call(fold.step, arguments, lanes.width);
    for (std::size_t i = 0; i < next.size(); ++i) {
      llvm::Value* kept = lanes.mask ? b_.CreateSelect(lanes.mask, next[i], arguments[i]) : next[i];
      b_.CreateStore(kept, accumulators[i][static_cast<std::size_t>(first + number)]);
    }
  }
}

// The whole fold, here and now, or what is left of it when its chunks have been folded already.
KernelEmitter::Values KernelEmitter::emit_fold(const Stage& stage, const Lanes& lanes) {
  const Fold& fold = *stage.fold;
  if (!fold.partials.empty()) return merge_partials(stage, lanes);
  hoist(stage, {}, Level::window, lanes);
  const Dim& extent = kernel_.arena.axis_extent(*stage.axis);
  if (fold.order == Reduction::Order::lanes && schedule_.vector_row)
    return in_chunks(fold, extent, lanes.width, lanes.slots,
                     [&](llvm::Value* begin, llvm::Value* end, std::optional<std::int64_t> count) {
                       return column_partial(stage, lanes, begin, end, count);
                     });
  if (fold.order == Reduction::Order::lanes)
    return in_chunks(fold, extent, 1, 1,
                     [&](llvm::Value* begin, llvm::Value* end, std::optional<std::int64_t> count) {
                       return lane_partial(stage, begin, end, count);
                     });
  return in_chunks(fold, extent, lanes.width, rows_ * lanes.slots,
                   [&](llvm::Value* begin, llvm::Value* end, std::optional<std::int64_t>) {
                     return chain_partial(stage, lanes, begin, end);
                   });
}

// One chunk in chain order, or a part of one, one accumulator for each vector of the row axis, of
// each row; or of several chunks, one behind the other, the last of which may be shorter.
KernelEmitter::Values KernelEmitter::chain_partial(const Stage& stage, const Lanes& lanes,
                                                   llvm::Value* begin, llvm::Value* end,
                                                   int chunks) {
  const Fold& fold = *stage.fold;
  sums_ = {std::vector<Values>(fold.locals.size()), 0};
  std::vector<Values>& accumulators = sums_.accumulators;
  for (std::size_t i = 0; i < fold.locals.size(); ++i) {
    DType type = accumulator_type(fold, i);
    for (int k = 0; k < chunks * rows_ * lanes.slots; ++k) {
      accumulators[i].push_back(slot(primitives_.type(type, lanes.width), "accumulator"));
      b_.CreateStore(initial(fold, i, lanes, k), accumulators[i].back());
    }
  }
  WEIR_CHECK(chunks == 1 || (rows_ == 1 && stage.digits.size() < 2));
  auto step = [&](llvm::Value* index) {
    Scope scope(*this);
    // Beside a fold in lanes, the stage's axis is the vector axis; here it goes one by one.
    Lanes at = lanes;
    if (!schedule_.vector_row) at.start = index;
    where_steps_count(stage, Level::stage, at, [&] {
      for (Id element : fold.elements)
        if (kernel_.arena[element].primitive != Primitive::constant) values(element, at);
      ask_for_columns(at);
      // Lanes outside the mask compute on zeros and are never stored; selecting would only cost.
      Lanes unmasked = at;
      unmasked.mask = nullptr;
      fold_block(stage, accumulators, sums_.first, lanes.slots, unmasked);
    });
  };
  auto at_axis = [&](std::uint32_t axis) {
    return [&, axis](llvm::Value* index) {
      const int first = sums_.first;
      for (int chunk = 0; chunk < chunks; ++chunk) {
        sums_.first = first + chunk * lanes.slots;
        axes_[axis] = b_.CreateAdd(index, i64(chunk * fold.chunk));
        step(axes_[axis]);
      }
      sums_.first = first;
    };
  };
  if (is_written_out(kernel_, stage, std::int64_t{rows_} * lanes.slots))
    write_out_digits(stage, lanes, [&](int row, llvm::Value* index) {
      sums_.first = row * lanes.slots;
      axes_[stage.digits.back()] = index;
      step(index);
    });
  else if (stage.digits.size() < 2)
    where_steps_count(stage, Level::window, lanes, [&] {
      Scope scope(*this);
      hoist_addresses(stage, lanes);
      if (chunks == 1) return step_loop(stage, lanes, begin, end, at_axis(*stage.axis));
      // Steps that the last chunk has, too, and those that the others have beyond.
      llvm::Value* length = dimension(kernel_.arena.axis_extent(*stage.axis));
      llvm::Value* shared = b_.CreateBinaryIntrinsic(
          llvm::Intrinsic::smin, b_.CreateSub(length, i64((chunks - 1) * fold.chunk)), end);
      step_loop(stage, lanes, begin, shared, at_axis(*stage.axis));
      --chunks;
      step_loop(stage, lanes, shared, end, at_axis(*stage.axis));
    });
  else
    digit_loops(stage, lanes, begin, end, at_axis(stage.digits.back()));
  Values results;
  for (std::size_t i = 0; i < fold.locals.size(); ++i)
    for (llvm::Value* accumulator : accumulators[i])
      results.push_back(
          b_.CreateLoad(primitives_.type(accumulator_type(fold, i), lanes.width), accumulator));
  return results;
}

// Chunks of fold.chunk, merged in a balanced tree: level k of the stack holds the result of 2^k
// chunks, and a chunk that finds its level taken is merged upwards, as in adding one to a binary
// number. That happens once in a chunk, so it is a loop over the vectors of the result, in the
// memory of the level where they end.
KernelEmitter::Values KernelEmitter::in_chunks(
    const Fold& fold, const Dim& extent, int width, int slots,
    const std::function<Values(llvm::Value*, llvm::Value*, std::optional<std::int64_t>)>& partial) {
  std::optional<std::int64_t> count = extent.constant();
  if (narrow_ || (count && *count <= fold.chunk)) return partial(i64(0), dimension(extent), count);
  const std::size_t tuple = fold.locals.size(), each = static_cast<std::size_t>(slots);
  const std::size_t total = tuple * each;
  auto type_of = [&](std::size_t i) { return primitives_.type(accumulator_type(fold, i), width); };
  WEIR_CHECK(fold.chunk >= 256 || fold.chunk == 1);
  std::int64_t most_levels =
      count ? std::bit_width(static_cast<std::uint64_t>((*count - 1) / fold.chunk + 1))
            : kTreeLevels;
  std::vector<llvm::AllocaInst*> stack;
  for (std::size_t i = 0; i < tuple; ++i)
    stack.push_back(tree_slot(type_of(i), i, most_levels * slots));
  auto entry = [&](std::size_t i, llvm::Value* level, llvm::Value* slot_number) {
    llvm::Value* number = b_.CreateAdd(b_.CreateMul(level, i64(slots)), slot_number);
    return b_.CreateGEP(type_of(i), stack[i], number);
  };
  // Merges a level into another, which has the chunks behind it.
  auto merge_into = [&](llvm::Value* level, llvm::Value* into) {
    auto merge_slot = [&](llvm::Value* number) {
      std::vector<llvm::Value*> arguments;
      for (llvm::Value* side : {level, into})
        for (std::size_t i = 0; i < tuple; ++i)
          arguments.push_back(b_.CreateLoad(type_of(i), entry(i, side, number)));
      const std::vector<llvm::Value*> merged = call(fold.merge, arguments, width);
      for (std::size_t i = 0; i < tuple; ++i) b_.CreateStore(merged[i], entry(i, into, number));
    };
    if (slots == 1)
      merge_slot(i64(0));
    else
      loop(i64(0), i64(slots), 1, merge_slot);
  };
  std::vector<llvm::AllocaInst*> current;
  for (std::size_t k = 0; k < total; ++k) {
    current.push_back(slot(type_of(k / each), "sum"));
    b_.CreateStore(primitives_.constant(accumulator_type(fold, k / each),
                                        fold.identity[k / each].value, width),
                   current[k]);
  }
  auto load_current = [&](std::size_t k) { return b_.CreateLoad(type_of(k / each), current[k]); };
  llvm::LLVMContext& context = module_.getContext();
  auto if_ = [&](llvm::Value* condition, const char* name, const std::function<void()>& body) {
    auto* inside = llvm::BasicBlock::Create(context, name, function_);
    auto* after = llvm::BasicBlock::Create(context, "after", function_);
    b_.CreateCondBr(condition, inside, after);
    b_.SetInsertPoint(inside);
    body();
    b_.CreateBr(after);
    b_.SetInsertPoint(after);
  };

  llvm::Value* length = dimension(extent);
  llvm::Value* chunks = b_.CreateUDiv(b_.CreateAdd(length, i64(fold.chunk - 1)), i64(fold.chunk));
  // A single chunk never leaves the registers.
  llvm::Value* several = b_.CreateICmpUGT(chunks, i64(1));
  loop(i64(0), chunks, 1, [&](llvm::Value* chunk) {
    llvm::Value* begin = b_.CreateMul(chunk, i64(fold.chunk));
    llvm::Value* chunk_end = b_.CreateAdd(begin, i64(fold.chunk));
    llvm::Value* end = b_.CreateSelect(b_.CreateICmpSLT(chunk_end, length), chunk_end, length);
    const Values result = partial(begin, end, std::nullopt);
    for (std::size_t k = 0; k < total; ++k) b_.CreateStore(result[k], current[k]);
    if_(several, "merge", [&] {
      // The number of trailing ones of the chunk's number is how often it is merged.
      llvm::Value* merges = b_.CreateIntrinsic(llvm::Intrinsic::cttz, {b_.getInt64Ty()},
                                               {b_.CreateNot(chunk), b_.getFalse()});
      for (std::size_t k = 0; k < total; ++k)
        b_.CreateStore(load_current(k),
                       entry(k / each, merges, i64(static_cast<std::int64_t>(k % each))));
      loop(i64(0), merges, 1, [&](llvm::Value* level) { merge_into(level, merges); });
    });
  });

  // What is left on the stack, from the highest chunks downwards: the lowest level holds those.
  if_(several, "unwind", [&] {
    auto bits = [&](llvm::Intrinsic::ID counted) {
      return b_.CreateIntrinsic(counted, {b_.getInt64Ty()}, {chunks, b_.getFalse()});
    };
    llvm::Value* lowest = bits(llvm::Intrinsic::cttz);
    llvm::Value* levels = b_.CreateSub(i64(64), bits(llvm::Intrinsic::ctlz));
    loop(b_.CreateAdd(lowest, i64(1)), levels, 1, [&](llvm::Value* level) {
      llvm::Value* bit = b_.CreateAnd(b_.CreateLShr(chunks, level), i64(1));
      if_(b_.CreateICmpNE(bit, i64(0)), "taken", [&] { merge_into(level, lowest); });
    });
    for (std::size_t k = 0; k < total; ++k)
      b_.CreateStore(
          b_.CreateLoad(type_of(k / each),
                        entry(k / each, lowest, i64(static_cast<std::int64_t>(k % each)))),
          current[k]);
  });
  Values results;
  for (std::size_t k = 0; k < total; ++k) results.push_back(load_current(k));
  return results;
}

}  // namespace weir
