// Copies of what windows are read from, with a frame of zeros around it.
//
// A window at the border of an image reaches beyond it, and reads zeros there: each load has a
// guard, which is a choice of an address for each row of a register tile, or a mask for each of its
// vectors, and both take registers that the tile needs for its sums. Where each element is read
// often, as a convolution with many filters does, it is copied once into the middle of a block that
// holds those zeros, and the fold reads that without a guard. The products are the same, and so are
// the bits.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "compiler/lowering/kernel.h"

namespace weir {

// A parameter that is read through windows, and the one that has a frame around it, which is
// appended to the kernel's parameters: before each dimension there are `low` zeros.
struct FramedWindow {
  std::uint32_t source;
  std::uint32_t parameter;
  std::vector<std::int64_t> low;
};

// An operand that would not be copied otherwise gets a frame if each of its elements is read so
// often, by estimated_size: the copy is then a few hundredths of the work.
inline constexpr double kFramedReads = 64;

// Makes the kernel read such parameters with a frame, of those that may be copied in every run and
// are read so often.
std::vector<FramedWindow> frame_windows(
    Kernel& kernel, const std::function<bool(std::uint32_t parameter)>& may_copy,
    double reads = kFramedReads);

// Of the order of dimensions that a copy gets, with the innermost one last, for a load with these
// indices: the dimension that all steps of a fold's outermost loop lie along comes before those that
// the loops within it go through. Or each step would be in another line than the one before it, and
// of a line nothing else is read until the next round.
void put_outer_steps_first(const scalar::Arena& arena, const Stage& stage,
                           std::span<const scalar::Id> indices, std::vector<std::uint32_t>& order);

// The order of a framed parameter's dimensions that suits how the kernel reads it: innermost is the
// one along which its vectors run, or if none is, that of the fold's steps. Empty if it is
// innermost already.
std::vector<std::uint32_t> order_of_framed(const Kernel& kernel, std::uint32_t parameter);

}  // namespace weir
