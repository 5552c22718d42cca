// Operands of which a register tile reads a few neighbours at each step, far apart from one step to
// the next.
//
// The gradient of a filter is a sum over all positions of the images, and with channels innermost a
// tile reads a line or two of each position, from both operands: lines a power of two apart, which
// share few sets of the caches. So such an operand is copied in panels of as many channels as a
// tile has columns, or of a line of memory where they are its rows; each panel is one run of
// memory. The row axis is cut likewise, and the panels become the outermost axes, those of the rows
// before those of the columns: what a panel of the rows has stays near while the panels of the
// columns pass by.
//
// So are both operands of the gradient of a layer's weights, a product in which both lie along what
// the tile has of them, and not along the steps. There the panels of the columns are outermost, as
// those of the weights that may lie so (order_state.h): these are walked through once, as a run of
// memory.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "compiler/lowering/pack_operands.h"

namespace weir {

// A product's rows read an operand one beside the other, and step by step so far apart, in at least
// so many steps; a copy pays if so many columns read it. Lines so far apart have four sets of the
// first cache.
inline std::int64_t far_step_bytes(const Core& core) { return core.first.bytes_of_way() / 4; }
inline constexpr std::int64_t kFarSteps = 64;
inline constexpr std::int64_t kFarColumns = 256;

// Whether that is so of both operands of a product, and both can be cut.
bool cuts_product(const BuiltKernel& built, const std::function<bool(ValueId)>& is_weight,
                  const Processor& processor, std::span<const PackedCopy> copies);

// Makes `built` read such operands in panels. `copies` are those that it reads already: they are
// cut as they are made, or returned with others. `is_weight` tells which values are laid out ahead
// of all runs.
std::vector<PackedCopy> cut_copies(BuiltKernel& built,
                                   const std::function<bool(ValueId)>& is_weight,
                                   const Processor& processor, std::vector<PackedCopy> copies);

}  // namespace weir
