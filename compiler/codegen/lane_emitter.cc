// The part of the kernel emitter that deals with chunks of a reduction in lanes: of one row, with
// vectors along its steps, or of many columns side by side.

#include <algorithm>
#include <utility>

#include "compiler/codegen/kernel_emitter.h"

namespace weir {

using scalar::Id;
using scalar::Primitive;

namespace {

// More accumulators than this stay in memory, where a loop visits them.
constexpr int kMaxRegisterVectors = 8;

}  // namespace

// Lanes that can get no element, because a chunk is known to be short, are left out: they would
// hold the identity.
int KernelEmitter::lanes_of(const Fold& fold, std::optional<std::int64_t> count) const {
  int lanes = reduction_lanes(accumulator_type(fold, 0));
  while (count && lanes > 1 && lanes / 2 >= *count) lanes /= 2;
  return lanes;
}

// One chunk in lanes order for each column of some vectors: a lane of all of these is a vector in
// memory.
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

}  // namespace weir
