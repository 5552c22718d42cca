// Where channels lie that rows of an image are innermost in.
//
// As declared, the channels of an image lie one behind the other, each as large as the image. A
// window reads a few elements of each of them at every position, so of many channels of a large
// image that are as many runs of memory, far from each other, of which a processor reads a few
// ahead. With the channels of a row beside each other, an image's rows are one run.
#pragma once

#include <functional>
#include <vector>

#include "compiler/lowering/layouts.h"
#include "compiler/lowering/target.h"

namespace weir {

// Moves the second dimension of values, which is where window ops have their channels, to the one
// before the last, where the last is one of the image in `layouts`, a window goes through many
// channels, and the second cache does not hold an image. `is_free` as for choose_layouts; `again` are values that have to lie as
// others, and stay.
void place_channels(Layouts& layouts, const std::vector<const BuiltKernel*>& kernels,
                    const std::function<bool(ValueId)>& is_free,
                    const std::unordered_map<ValueId, ValueId>& again, const Core& core);

}  // namespace weir
