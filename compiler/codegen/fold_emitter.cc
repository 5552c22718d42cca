// The part of the kernel emitter that deals with reductions, in the order that Reduction (ir/op.h)
// fixes.

#include <array>
#include <bit>

#include "compiler/codegen/kernel_emitter.h"
#include "compiler/lowering/choose_tile.h"

namespace weir {

using scalar::Id;
using scalar::Primitive;

namespace {

// More accumulators than this stay in memory, where a loop visits them.
constexpr int kMaxRegisterVectors = 8;
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

// One chunk in chain order, or a part of one, one accumulator for each vector of the row axis, of each row.
KernelEmitter::Values KernelEmitter::chain_partial(const Stage& stage, const Lanes& lanes,
                                                   llvm::Value* begin, llvm::Value* end) {
  const Fold& fold = *stage.fold;
  std::vector<Values> accumulators(fold.locals.size());
  for (std::size_t i = 0; i < fold.locals.size(); ++i) {
    DType type = accumulator_type(fold, i);
    for (int k = 0; k < rows_ * lanes.slots; ++k) {
      accumulators[i].push_back(slot(primitives_.type(type, lanes.width), "accumulator"));
      b_.CreateStore(initial(fold, i, lanes, k), accumulators[i].back());
    }
  }
  int first = 0;
  auto step = [&](llvm::Value* index) {
    Scope scope(*this);
    // Beside a fold in lanes, the stage's axis is the vector axis; here it goes one by one.
    Lanes at = lanes;
    if (!schedule_.vector_row) at.start = index;
    where_steps_count(stage, Level::stage, at, [&] {
      for (Id element : fold.elements)
        if (kernel_.arena[element].primitive != Primitive::constant) values(element, at);
      // Lanes outside the mask compute on zeros and are never stored; selecting would only cost.
      Lanes unmasked = at;
      unmasked.mask = nullptr;
      fold_block(stage, accumulators, first, lanes.slots, unmasked);
    });
  };
  auto at_axis = [&](std::uint32_t axis) {
    return [&, axis](llvm::Value* index) {
      axes_[axis] = index;
      step(index);
    };
  };
  if (is_written_out(kernel_, stage, std::int64_t{rows_} * lanes.slots))
    write_out_digits(stage, lanes, [&](int row, llvm::Value* index) {
      first = row * lanes.slots;
      at_axis(stage.digits.back())(index);
    });
  else if (stage.digits.size() < 2)
    where_steps_count(stage, Level::window, lanes, [&] {
      Scope scope(*this);
      hoist_addresses(stage, lanes);
      step_loop(stage, lanes, begin, end, at_axis(*stage.axis));
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

// Lanes that can get no element, because a chunk is known to be short, are left out: they would
// hold the identity.
int KernelEmitter::lanes_of(const Fold& fold, std::optional<std::int64_t> count) const {
  int lanes = reduction_lanes(accumulator_type(fold, 0));
  while (count && lanes > 1 && lanes / 2 >= *count) lanes /= 2;
  return lanes;
}

// One chunk in lanes order for each column of some vectors: a lane of all of these is a vector in memory.
KernelEmitter::Values KernelEmitter::column_partial(const Stage& stage, const Lanes& lanes,
                                                    llvm::Value* begin, llvm::Value* end,
                                                    std::optional<std::int64_t> count) {
  const Fold& fold = *stage.fold;
  const int lane_count = lanes_of(fold, count);
  const std::size_t tuple = fold.locals.size();
  auto type_of = [&](std::size_t i) {
    return primitives_.type(accumulator_type(fold, i), lanes.width);
  };
  std::vector<std::vector<llvm::AllocaInst*>> sums(tuple);
  for (std::size_t i = 0; i < tuple; ++i)
    for (int k = 0; k < lanes.slots; ++k) sums[i].push_back(slot(type_of(i), "lanes", lane_count));
  auto entries = [&](llvm::Value* lane) {
    std::vector<Values> here(tuple);
    for (std::size_t i = 0; i < tuple; ++i)
      for (llvm::AllocaInst* sum : sums[i]) here[i].push_back(b_.CreateGEP(type_of(i), sum, lane));
    return here;
  };
  loop(i64(0), i64(lane_count), 1, [&](llvm::Value* lane) {
    const std::vector<Values> here = entries(lane);
    for (std::size_t i = 0; i < tuple; ++i)
      for (llvm::Value* where : here[i])
        b_.CreateStore(
            primitives_.constant(accumulator_type(fold, i), fold.identity[i].value, lanes.width),
            where);
  });
  loop(begin, end, lane_count, [&](llvm::Value* round) {
    llvm::Value* limit =
        b_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, b_.CreateAdd(round, i64(lane_count)), end);
    loop(round, limit, 1, [&](llvm::Value* index) {
      Scope scope(*this);
      axes_[*stage.axis] = index;
      for (Id element : fold.elements)
        if (kernel_.arena[element].primitive != Primitive::constant) values(element, lanes);
      // As in chains: lanes outside the mask are never stored.
      Lanes unmasked = lanes;
      unmasked.mask = nullptr;
      fold_block(stage, entries(b_.CreateSub(index, round)), 0, lanes.slots, unmasked);
    });
  });
  for (int half = lane_count / 2; half >= 1; half /= 2) {
    loop(i64(0), i64(half), 1, [&](llvm::Value* lane) {
      const std::vector<Values> here = entries(lane),
                                there = entries(b_.CreateAdd(lane, i64(half)));
      for (std::size_t k = 0; k < static_cast<std::size_t>(lanes.slots); ++k) {
        std::vector<llvm::Value*> arguments;
        for (const auto* side : {&here, &there})
          for (std::size_t i = 0; i < tuple; ++i)
            arguments.push_back(b_.CreateLoad(type_of(i), (*side)[i][k]));
        const std::vector<llvm::Value*> merged = call(fold.merge, arguments, lanes.width);
        for (std::size_t i = 0; i < tuple; ++i) b_.CreateStore(merged[i], here[i][k]);
      }
    });
  }
  Values results;
  for (std::size_t i = 0; i < tuple; ++i)
    for (llvm::AllocaInst* sum : sums[i]) results.push_back(b_.CreateLoad(type_of(i), sum));
  return results;
}

// One chunk in lanes order: element r goes to lane r mod L, then the lanes are merged by halves.
KernelEmitter::Values KernelEmitter::lane_partial(const Stage& stage, llvm::Value* begin,
                                                  llvm::Value* end,
                                                  std::optional<std::int64_t> count) {
  const Fold& fold = *stage.fold;
  const int lane_count = lanes_of(fold, count);
  int width = std::min(schedule_.width, lane_count);
  int vectors = lane_count / width;
  bool in_registers = vectors <= kMaxRegisterVectors;
  std::size_t tuple = fold.locals.size();

  // The lanes as arrays in memory; registers are views of them as long as only whole vectors are
  // used.
  std::vector<llvm::AllocaInst*> arrays;
  for (std::size_t i = 0; i < tuple; ++i) {
    llvm::Type* array = llvm::ArrayType::get(primitives_.type(accumulator_type(fold, i), 1),
                                             static_cast<std::uint64_t>(lane_count));
    arrays.push_back(slot(array, "lanes"));
    arrays.back()->setAlignment(llvm::Align(64));
  }
  auto lane_address = [&](std::size_t i, llvm::Value* lane) {
    return b_.CreateGEP(memory_type(accumulator_type(fold, i), 1), arrays[i], lane);
  };
  std::vector<Values> registers(tuple);
  for (std::size_t i = 0; i < tuple; ++i) {
    DType type = accumulator_type(fold, i);
    llvm::Constant* identity = primitives_.constant(type, fold.identity[i].value, width);
    if (in_registers) {
      for (int u = 0; u < vectors; ++u) {
        registers[i].push_back(slot(primitives_.type(type, width), "accumulator"));
        b_.CreateStore(identity, registers[i].back());
      }
    } else {
      loop(i64(0), i64(lane_count), width,
           [&](llvm::Value* lane) { b_.CreateStore(identity, lane_address(i, lane)); });
    }
  }

  // Whole rounds of all lanes.
  llvm::Value* whole =
      b_.CreateAdd(begin, b_.CreateAnd(b_.CreateSub(end, begin), i64(-lane_count)));
  if (!count || *count >= lane_count) {
    loop(begin, whole, lane_count, [&](llvm::Value* round) {
      if (in_registers) {
        int group = std::min(unroll_, vectors);
        for (int u = 0; u < vectors; u += group) {
          Scope scope(*this);
          llvm::Value* start = b_.CreateAdd(round, i64(static_cast<std::int64_t>(u) * width));
          axes_[*stage.axis] = start;
          fold_block(stage, registers, u, group, {width, group, start, nullptr});
        }
        return;
      }
      loop(i64(0), i64(lane_count), width, [&](llvm::Value* lane) {
        Scope scope(*this);
        llvm::Value* start = b_.CreateAdd(round, lane);
        axes_[*stage.axis] = start;
        std::vector<Values> here(tuple);
        for (std::size_t i = 0; i < tuple; ++i) here[i].push_back(lane_address(i, lane));
        fold_block(stage, here, 0, 1, {width, 1, start, nullptr});
      });
    });
  }

  // The incomplete round.
  bool complete = count && *count % lane_count == 0;
  if (!complete && masks_ && in_registers && width > 1) {
    auto* partial = llvm::BasicBlock::Create(module_.getContext(), "partial", function_);
    auto* after = llvm::BasicBlock::Create(module_.getContext(), "after", function_);
    b_.CreateCondBr(b_.CreateICmpSLT(whole, end), partial, after);
    b_.SetInsertPoint(partial);
    for (int u = 0; u < vectors; ++u) {
      Scope scope(*this);
      llvm::Value* start = b_.CreateAdd(whole, i64(static_cast<std::int64_t>(u) * width));
      axes_[*stage.axis] = start;
      // Negative behind the last element.
      llvm::Value* left =
          b_.CreateBinaryIntrinsic(llvm::Intrinsic::smax, b_.CreateSub(end, start), i64(0));
      fold_block(stage, registers, u, 1, {width, 1, start, first_lanes(width, left)});
    }
    b_.CreateBr(after);
    b_.SetInsertPoint(after);
  } else if (!complete) {
    if (in_registers)
      for (std::size_t i = 0; i < tuple; ++i)
        for (int u = 0; u < vectors; ++u)
          b_.CreateStore(b_.CreateLoad(primitives_.type(accumulator_type(fold, i), width),
                                       registers[i][static_cast<std::size_t>(u)]),
                         lane_address(i, i64(static_cast<std::int64_t>(u) * width)));
    loop(whole, end, 1, [&](llvm::Value* index) {
      Scope scope(*this);
      axes_[*stage.axis] = index;
      std::vector<Values> here(tuple);
      for (std::size_t i = 0; i < tuple; ++i)
        here[i].push_back(lane_address(i, b_.CreateSub(index, whole)));
      fold_block(stage, here, 0, 1, {1, 1, index, nullptr});
    });
    if (in_registers)
      for (std::size_t i = 0; i < tuple; ++i)
        for (int u = 0; u < vectors; ++u)
          b_.CreateStore(b_.CreateLoad(primitives_.type(accumulator_type(fold, i), width),
                                       lane_address(i, i64(static_cast<std::int64_t>(u) * width))),
                         registers[i][static_cast<std::size_t>(u)]);
  }

  if (!in_registers) {
    // Lane l takes in lane l + half while more lanes are left than a register group holds.
    for (int half = lane_count / 2; half >= width * kMaxRegisterVectors; half /= 2) {
      loop(i64(0), i64(half), width, [&](llvm::Value* lane) {
        std::vector<llvm::Value*> arguments;
        for (int side = 0; side < 2; ++side)
          for (std::size_t i = 0; i < tuple; ++i)
            arguments.push_back(
                b_.CreateLoad(primitives_.type(accumulator_type(fold, i), width),
                              lane_address(i, side == 0 ? lane : b_.CreateAdd(lane, i64(half)))));
        std::vector<llvm::Value*> merged = call(fold.merge, arguments, width);
        for (std::size_t i = 0; i < tuple; ++i) b_.CreateStore(merged[i], lane_address(i, lane));
      });
      vectors = half / width;
    }
  }
  std::vector<Values> left(static_cast<std::size_t>(vectors));
  for (int u = 0; u < vectors; ++u)
    for (std::size_t i = 0; i < tuple; ++i)
      left[static_cast<std::size_t>(u)].push_back(
          b_.CreateLoad(primitives_.type(accumulator_type(fold, i), width),
                        in_registers ? registers[i][static_cast<std::size_t>(u)]
                                     : lane_address(i, i64(static_cast<std::int64_t>(u) * width))));
  return merge_lanes(fold, std::move(left), width);
}

// Merges lane l with lane l + half, halving until one lane is left. `lanes` holds a tuple of
// vectors for each group of `width` lanes.
KernelEmitter::Values KernelEmitter::merge_lanes(const Fold& fold, std::vector<Values> lanes,
                                                 int width) {
  auto merge = [&](const Values& a, const Values& b, int at_width) {
    std::vector<llvm::Value*> arguments = a;
    arguments.insert(arguments.end(), b.begin(), b.end());
    return call(fold.merge, arguments, at_width);
  };
  for (std::size_t half = lanes.size() / 2; half >= 1; half /= 2) {
    for (std::size_t u = 0; u < half; ++u) lanes[u] = merge(lanes[u], lanes[u + half], width);
  }
  Values result = lanes[0];
  for (int half = width / 2; half >= 1; half /= 2) {
    Values low, high;
    for (llvm::Value* vector : result) {
      auto part = [&](int first) -> llvm::Value* {
        if (half == 1) return b_.CreateExtractElement(vector, static_cast<std::uint64_t>(first));
        std::vector<int> order;
        for (int i = 0; i < half; ++i) order.push_back(first + i);
        return b_.CreateShuffleVector(vector, order);
      };
      low.push_back(part(0));
      high.push_back(part(half));
    }
    result = merge(low, high, half);
  }
  return result;
}

// Chunks of fold.chunk, merged in a balanced tree: level k of the stack holds the result of 2^k
// chunks, and a chunk that finds its level taken is merged upwards, as in adding one to a binary
// number. That happens once in a chunk, so it is a loop over the vectors of the result, in the memory of the level
// where they end.
KernelEmitter::Values KernelEmitter::in_chunks(
    const Fold& fold, const Dim& extent, int width, int slots,
    const std::function<Values(llvm::Value*, llvm::Value*, std::optional<std::int64_t>)>& partial) {
  std::optional<std::int64_t> count = extent.constant();
  if (count && *count <= fold.chunk) return partial(i64(0), i64(*count), count);
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
