// Values that are read where their copies are.
//
// A copy with a frame of zeros (frame_windows.h) may serve two kernels that lie far apart, as a
// layer and the gradient of its weights do in a training step. In between the value is in memory
// twice if something else reads it, such as the mask of a LeakyReLU. Where the copy has the value's
// elements in the same order, and is kept at least as long, these kernels read the middle of the
// copy, and the value ends with it being made. If nothing else reads the value then, the kernel
// that computes it stores it in the middle of the copy, and no call copies it: such a copy is also
// kept longer, for an element here and there, as a residual sum reads them, if its frame is small.
// Elements and results stay as they are.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "compiler/lowering/program.h"

namespace weir {

// A copy in the same order, and the call that fills its middle.
struct FramedCopy {
  std::uint32_t source, copy;     // buffers
  std::vector<std::int64_t> low;  // before each dimension of `copy`, so many zeros
  std::uint32_t call;
};

// The frame interrupts what was one run of memory. Without a frame along it, the last dimension has
// to be so long, three of the longest vectors, that loops are no slower for that.
inline constexpr std::int64_t kLeastRun = 48;

// Makes kernels behind such calls read copies, and those before them store in copies. `number_of`
// gives a kernel a number in the program; some kernels may be without calls then.
void read_frames(Program& program, std::span<const FramedCopy> copies,
                 const std::function<std::uint32_t(Kernel)>& number_of);

}  // namespace weir
