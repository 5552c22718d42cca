// Bands: two calls that take turns, so that what the one computes for the other never leaves the
// caches, and needs no memory but a band for each worker.
//
// A pool behind a convolution reads each of its sums once: a row of the pool the rows under its
// windows. Where windows do not overlap along the rows of the image, these are no other row's. So
// both calls are cut in bands of rows: the first one computes what a band of the second one reads,
// in memory of the worker's own, and the second one reads it there.
//
// What must hold, of a call and the next one:
//   - The second one reads a buffer that the first one writes, and nothing else does; no check
//     stands between them, and neither writes what the other reads or writes besides.
//   - The outermost row axes of the first kernel are dimensions of the buffer, as they are. In all
//     that the second one reads, each of them is a row axis of its own, or for the last of them
//     stride * axis + what is less than the stride.
//   - On each of the processors that code is generated for, units are in the order of these axes:
//     what tiles, vectors, folds across rows and chunks of folds have lies within.
// The buffer then has these dimensions outermost, and the second kernel these axes: rows are runs of
// memory. Kernels are the same otherwise, and so are all bits.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "compiler/lowering/program.h"
#include "compiler/lowering/target.h"

namespace weir {

// So many bands or more are for threads to share, but none has less than so many bytes: the calls of
// the two kernels would be seen beside it.
inline constexpr std::int64_t kSharedBands = 64, kLeastBandBytes = 8192;

// For a program whose buffers have no places in the workspace yet. `number_of` gives a kernel that
// is new its place in Program::kernels.
void band_calls(Program& program, std::span<const Processor> processors,
                const std::function<std::uint32_t(Kernel)>& number_of);

// Rows of the second call in a band, at most.
std::int64_t rows_of_band(const Bands& bands, const Dim::Bindings& bindings);

// What a worker needs for bands, a multiple of WEIR_ALIGNMENT; 0 where there are none.
std::uint64_t bytes_of_band(const Bands& bands, const Dim::Bindings& bindings);

}  // namespace weir
