// The part of the kernel emitter that deals with steps in a frame of zeros (leave_out_frames.h).
//
// Where all rows of a tile are in the frame, under a tap, its steps are one addition to each of
// their sums. Where the first row alone is, or the last one, as those of a row of an image are
// under a window's outer taps, the others take their steps as a tile that is a row lower. All else
// multiplies the zeros that are there.

#include <span>

#include "compiler/codegen/kernel_emitter.h"

namespace weir {

using scalar::Id;
using scalar::Primitive;

namespace {

// A tile of fewer rows is not made lower.
constexpr int kLeastRows = 4;

}  // namespace

// The loop over the last digit, `steps`, or what stands for it. All of the digit's steps are to be
// taken.
void KernelEmitter::beside_frame(const Stage& stage, const Lanes& lanes,
                                 const std::function<void()>& steps) {
  const std::optional<FrameSteps>& frame = stage.fold->frame;
  if (!frame || rows_ == 1 || schedule_.tile_axes > 1) return steps();
  std::vector<Id> of_tile, of_row;
  for (Id part : conjuncts(kernel_.arena, frame->inside))
    (schedule_.varies_by_row[part.index] ? of_row : of_tile).push_back(part);
  const Lanes one{1, 1, lanes.start, nullptr};
  auto all_hold = [&](std::span<const Id> parts, int row) {
    llvm::Value* all = b_.getTrue();
    for (Id part : parts) all = b_.CreateAnd(all, value(part, one, 0, row));
    return all;
  };
  auto add_to_rows = [&](int first, int end) {
    Scope scope(*this);
    for (int row = first; row < end; ++row) {
      for (int slot = 0; slot < lanes.slots; ++slot) {
        llvm::Value* sum = value(frame->sum, lanes, slot);
        llvm::Value* accumulator =
            sums_.accumulators[0][static_cast<std::size_t>(row * lanes.slots + slot)];
        b_.CreateStore(b_.CreateFAdd(b_.CreateLoad(sum->getType(), accumulator), sum), accumulator);
      }
    }
  };
  auto steps_of_rows = [&](int first, int end) {
    for_rows_of_tile([&] {
      Scope scope(*this);
      const std::uint32_t axis = schedule_.rows.back().number;
      axes_[axis] = b_.CreateAdd(axes_.at(axis), i64(first));
      rows_ = end - first;
      sums_.first += first * lanes.slots;
      steps();
      sums_.first -= first * lanes.slots;
    });
  };
  const int rows = rows_;
  either(
      all_hold(of_tile, 0),
      [&] {
        if (of_row.empty() || rows < kLeastRows || last_row_ != nullptr) return steps();
        either(
            all_hold(of_row, 0),
            [&] {
              either(all_hold(of_row, rows - 1), steps, [&] {
                add_to_rows(rows - 1, rows);
                steps_of_rows(0, rows - 1);
              });
            },
            [&] {
              add_to_rows(0, 1);
              steps_of_rows(1, rows);
            });
      },
      [&] { add_to_rows(0, rows); });
}

}  // namespace weir
