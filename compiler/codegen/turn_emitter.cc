// The part of the kernel emitter that turns what lies along other axes than its vectors: squares of
// elements are loaded row by row and transposed in registers, for as many rows as a vector has
// elements, or for steps of a fold ahead of these.

#include <algorithm>
#include <numeric>

#include "compiler/codegen/kernel_emitter.h"

namespace weir {

using scalar::Id;

namespace {

// Fewer rows than this are gathered: a square has as many loads as a vector has elements.
constexpr int kLeastTurnedRows = 4;

}  // namespace

// Whether so many rows are turned from vectors along them: as many as a vector has elements, or
// fewer, as a 3x3 filter has taps, where the rest of a vector costs nothing to leave out.
bool KernelEmitter::turns_rows(Id load, int rows, int width) const {
  if (rows == width) return true;
  const DType dtype = kernel_.parameters[kernel_.arena[load].payload].type.dtype;
  return rows >= kLeastTurnedRows && rows < width && masks_ && target_.vector_bytes == 64 &&
         byte_size(dtype) >= 4;
}

// One vector for each row, of elements that are contiguous along the rows: for each lane one is
// loaded, that of the last lane for those behind it, and the square is transposed.
KernelEmitter::Values KernelEmitter::load_transposed(Id id, const Access& access,
                                                     const Lanes& lanes) {
  std::uint32_t parameter = static_cast<std::uint32_t>(kernel_.arena[id].payload);
  DType dtype = kernel_.parameters[parameter].type.dtype;
  llvm::Align align(static_cast<std::uint64_t>(byte_size(dtype)));
  const int width = lanes.width;
  llvm::Value* stride = dimension(access.stride);
  llvm::Value* first =
      b_.CreateAdd(scalar_index(access.offset, lanes), b_.CreateMul(lanes.start, stride));
  llvm::Type* vector = memory_type(dtype, width);
  std::vector<llvm::Constant*> counts;
  for (int row = 0; row < width; ++row) counts.push_back(b_.getInt1(row < rows_));
  Values square;
  for (int lane = 0; lane < width; ++lane) {
    llvm::Value* number = i64(lane);
    if (lanes.mask) number = b_.CreateBinaryIntrinsic(llvm::Intrinsic::umin, number, lanes.last);
    llvm::Value* where = address(parameter, b_.CreateAdd(first, b_.CreateMul(stride, number)));
    square.push_back(rows_ == width
                         ? static_cast<llvm::Value*>(b_.CreateAlignedLoad(vector, where, align))
                         : b_.CreateMaskedLoad(vector, where, align,
                                               llvm::ConstantVector::get(counts),
                                               llvm::Constant::getNullValue(vector)));
  }
  transpose(square, width);
  square.resize(static_cast<std::size_t>(rows_));
  if (dtype == DType::boolean)
    for (llvm::Value*& row : square)
      row = b_.CreateICmpNE(row, llvm::Constant::getNullValue(row->getType()));
  return square;
}

// Of square pieces that stand side by side in as many vectors as each has rows, each is transposed.
// In step d, vectors whose numbers differ in bit d exchange the halves of each of their pieces of
// 2 d elements.
void KernelEmitter::transpose(Values& rows, int width) {
  const int size = static_cast<int>(rows.size());
  for (int d = 1; d < size; d *= 2) {
    std::vector<int> low, high;
    for (int lane = 0; lane < width; ++lane) {
      low.push_back(lane & d ? width + lane - d : lane);
      high.push_back(lane & d ? width + lane : lane + d);
    }
    for (int i = 0; i < size; ++i) {
      if (i & d) continue;
      llvm::Value *&a = rows[static_cast<std::size_t>(i)],
                  *&b = rows[static_cast<std::size_t>(i + d)];
      llvm::Value* exchanged = b_.CreateShuffleVector(a, b, low);
      b = b_.CreateShuffleVector(a, b, high);
      a = exchanged;
    }
  }
}

// For how many steps at once loads along them are turned: for as many as a vector has elements, or
// as many as fill a kilobyte.
std::int64_t KernelEmitter::turned_steps(const std::vector<Id>& loads, const Lanes& lanes) const {
  constexpr std::int64_t kTurnedBytes = 1024;
  std::int64_t steps = lanes.width;
  for (Id id : loads) {
    const auto parameter = static_cast<std::uint32_t>(kernel_.arena[id].payload);
    const std::int64_t bytes = byte_size(kernel_.parameters[parameter].type.dtype) *
                               std::int64_t{lanes.width} * lanes.slots;
    steps = std::max(steps, kTurnedBytes / bytes / lanes.width * lanes.width);
  }
  return steps;
}

// Keeps what a load along the steps gives for the steps begin ... end - 1, of which there are at
// most turned_steps. Few registers are free beside the accumulators, so squares
// of 16 bytes a row are transposed, as many at once as a vector holds.
void KernelEmitter::turn_steps(Id id, const Lanes& lanes, llvm::Value* begin, llvm::Value* end,
                               std::int64_t most) {
  constexpr int kPieceBytes = 16;
  const Access& access = schedule_.loads.at(id.index);
  const auto parameter = static_cast<std::uint32_t>(kernel_.arena[id].payload);
  const DType dtype = kernel_.parameters[parameter].type.dtype;
  const int width = lanes.width;
  const int size = std::min(width, kPieceBytes / static_cast<int>(byte_size(dtype)));
  llvm::Align align(static_cast<std::uint64_t>(byte_size(dtype)));
  llvm::Type *element = memory_type(dtype, 1), *piece = memory_type(dtype, size),
             *vector = memory_type(dtype, width);
  llvm::AllocaInst* kept = slot(vector, "turned", most * lanes.slots);
  turned_[id.index] = {kept, begin};
  llvm::Value* stride = dimension(access.stride);
  llvm::Value* offset = b_.CreateAdd(scalar_index(access.outside, lanes), begin);
  llvm::Value* first = address(parameter, b_.CreateAdd(offset, b_.CreateMul(lanes.start, stride)));
  llvm::Value* count = b_.CreateSub(end, begin);
  llvm::Value* whole = b_.CreateAnd(count, i64(-size));
  loop(i64(0), i64(lanes.slots), 1, [&](llvm::Value* slot) {
    llvm::Value* position = b_.CreateMul(slot, i64(width));
    if (lanes.early != 0)
      position = b_.CreateSub(position, b_.CreateSelect(b_.CreateICmpEQ(slot, i64(lanes.slots - 1)),
                                                        i64(lanes.early), i64(0)));
    llvm::Value* of_slot = b_.CreateMul(position, stride);
    auto from = [&](llvm::Value* step, int lane) {
      llvm::Value* distance = b_.CreateAdd(of_slot, b_.CreateMul(stride, i64(lane)));
      return b_.CreateGEP(element, first, b_.CreateAdd(distance, step));
    };
    auto into = [&](llvm::Value* step) {
      llvm::Value* number = b_.CreateAdd(b_.CreateMul(step, i64(lanes.slots)), slot);
      return b_.CreateGEP(vector, kept, number);
    };
    loop(i64(0), whole, size, [&](llvm::Value* step) {
      Values rows;
      for (int row = 0; row < size; ++row) {
        Values pieces;
        for (int lane = row; lane < width; lane += size)
          pieces.push_back(b_.CreateAlignedLoad(piece, from(step, lane), align));
        for (int length = size; pieces.size() > 1; length *= 2) {
          std::vector<int> order(static_cast<std::size_t>(2 * length));
          std::iota(order.begin(), order.end(), 0);
          for (std::size_t i = 0; i < pieces.size() / 2; ++i)
            pieces[i] = b_.CreateShuffleVector(pieces[2 * i], pieces[2 * i + 1], order);
          pieces.resize(pieces.size() / 2);
        }
        rows.push_back(pieces[0]);
      }
      transpose(rows, width);
      for (int i = 0; i < size; ++i)
        b_.CreateStore(rows[static_cast<std::size_t>(i)], into(b_.CreateAdd(step, i64(i))));
    });
    loop(whole, count, 1, [&](llvm::Value* step) {
      for (int lane = 0; lane < width; ++lane)
        b_.CreateStore(
            b_.CreateAlignedLoad(element, from(step, lane), align),
            b_.CreateConstGEP1_64(element, into(step), static_cast<std::uint64_t>(lane)));
    });
  });
}

}  // namespace weir
