// Kernels: loop nests with scalar bodies; fusion has happened.
//
// A kernel runs its stages, in order, for every point of its row axes; points are independent, so
// they may run in any order and on any thread. A stage may have one axis of its own:
//   map     stores values: one a row, or one for every point of its axis
//   reduce  folds a tuple over its axis and leaves the result in kernel-local values, one set a row
// A reduce over several axes - a window and the channels under it - has digits: axes of which its
// own is the row-major position, so that expressions need no quotients and remainders of that.
// Where a window's steps run along one axis, that is its only digit; folds of products have none.
// Bodies are expressions in the kernel's arena: `load` nodes read parameters, `local` nodes read
// kernel-local values, `axis` nodes are the row axes 0, 1, ... and the stages' own axes above them.
// A reduce's order of evaluation is part of its meaning; see Reduction in ir/op.h.
//
// What a kernel stores may be folded across one of its row axes besides, in the same pass over
// memory: chunk by chunk of that axis, whose points then run in order. Another kernel merges what
// the chunks leave.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "ir/diagnostic.h"
#include "ir/op.h"
#include "ir/scalar/arena.h"
#include "ir/type.h"

namespace weir {

struct Store {
  std::uint32_t parameter;
  std::vector<scalar::Id> indices;
  scalar::Id value;
};

// A size in bytes: dividend / divisor, rounded up, and `extra` on top.
struct SlotSize {
  Dim dividend;
  std::int64_t divisor = 1;
  Dim extra = 0;
  friend bool operator==(const SlotSize&, const SlotSize&) = default;
};

// Steps of a window in a frame of zeros (leave_out_frames.h): where `inside` does not hold, all
// steps of the last digit together are one addition to the accumulator, of `sum`.
struct FrameSteps {
  scalar::Id inside, sum;
};

struct Fold {
  std::string name;
  Reduction::Order order = Reduction::Order::chain;
  std::int64_t chunk = 1;
  std::vector<scalar::Id> elements;   // the tuple that is folded, at one point of the stage's axis
  std::vector<std::uint32_t> locals;  // where the accumulators end up
  std::vector<scalar::Bits> identity;
  // On arguments: the accumulators first, then the elements (step) or other accumulators (merge).
  std::vector<scalar::Id> step;
  std::vector<scalar::Id> merge;
  std::optional<FrameSteps> frame;
  // Of a split fold: the parameters that keep the chunk results of each accumulator, chunk by
  // chunk, all rows of a chunk together.
  std::vector<std::uint32_t> partials;
};

struct Stage {
  std::optional<std::uint32_t> axis;  // the stage's own axis
  // Of a reduce in chain order: the axes that `axis` is the row-major position of, outermost first.
  // Expressions use these in its place. None: `axis` stands for itself.
  std::vector<std::uint32_t> digits;
  std::optional<Fold> fold;   // a reduce; a map otherwise
  std::vector<Store> stores;  // of a map
  // Of a map: its axis is a part of what was a row axis (split_parts.h), and the points of it are
  // as independent. Those of other maps may be steps, each of which reads what the last one stored.
  bool is_part = false;
};

// Folds across a row axis. Points of a chunk run in order, on one thread, and go to as many
// accumulators in turn as there are lanes, each of which has indices of its own. Across the last
// row axis lanes lie side by side, as whole vectors, and a chunk has all of its points.
struct RowFolds {
  struct Sum {
    Fold fold;  // of `elements`, one at a point of the rows; in chain order
    // Where the result of a chunk goes: the same indices for all of its points of a lane.
    std::uint32_t parameter;
    std::vector<scalar::Id> indices;
  };
  std::uint32_t axis;
  std::int64_t chunk;  // a multiple of the lanes, as the extent of the axis is if there are several
  std::int64_t lanes;
  std::vector<Sum> sums;
};

struct KernelParameter {
  std::string name;  // of the value, where it has one
  TensorType type;
  bool written = false;
};

struct Kernel {
  std::string name;
  scalar::Arena arena;
  std::vector<Dim> rows;  // extents of row axes 0, 1, ...
  std::vector<KernelParameter> parameters;
  std::vector<DType> locals;
  std::vector<Stage> stages;
  std::optional<RowFolds> across;
  // By arena id, where known: the model line that an expression comes from.
  std::vector<Location> locations;
};

// The symbols in the kernel's extents and sizes, in order of appearance: its dimension arguments.
std::vector<std::string> kernel_symbols(const Kernel& kernel);

// A number that none of the kernel's axes has, nor any above it.
std::uint32_t unused_axis(const Kernel& kernel);

// The kernel as text; `name` replaces its own, if not empty.
std::string print(const Kernel& kernel, const std::string& name = {});

// A description of everything that compiled code depends on, and nothing else: two kernels with
// equal keys compile to the same code. Names and locations are left out.
std::string structure_key(const Kernel& kernel);

// All expressions that stages hold, in order of their use.
std::vector<scalar::Id> roots_of(const Kernel& kernel);

// Replaces the kernel's arena by one in which `leaf` has had its way with every expression; `leaf`
// is as for scalar::rebuild and makes its nodes in the arena given to it.
void rewrite(Kernel& kernel,
             const std::function<scalar::Id(const scalar::Arena& from, scalar::Id id,
                                            scalar::Arena& into)>& leaf);

// The element of a fold's tuple without which a step changes nothing: a condition under which each
// accumulator is selected. None if every step counts.
std::optional<scalar::Id> step_condition(const Kernel& kernel, const Fold& fold);

// Cuts a row axis in two: it is front + own, each times its stride. `front` becomes the first row
// axis, and `own` takes the place of the one that is cut.
struct AxisPart {
  Dim extent;
  Dim stride;
};
void cut_row(Kernel& kernel, std::uint32_t number, const AxisPart& front, const AxisPart& own);

// Gives the dimensions of parameters another order: by parameter, those that it has now, outermost
// first; empty where they stay. Loads and stores go to the same elements as before.
void reorder_dimensions(Kernel& kernel, const std::vector<std::vector<std::uint32_t>>& orders);

// Makes 1 of dimensions of which the kernel uses a single element, which is then the first: by
// parameter.
void take_single(Kernel& kernel, const std::vector<std::vector<std::size_t>>& dimensions);

// Gives every parameter that loads and stores name its new number.
void renumber_parameters(Kernel& kernel, const std::vector<std::uint32_t>& number);

}  // namespace weir
