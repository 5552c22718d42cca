// What a kernel costs, about, for each choice of the axis that its vectors run along and the axis
// that the rows of a register tile are, and for each order of the dimensions of its parameters in
// memory.
//
// The unit is a vector operation for one element of one step. Loads and stores of neighbours cost
// one, what is the same in all lanes less, and what lies elsewhere one for each lane; what does not
// depend on the rows of a tile is shared by them, and a guard that differs from lane to lane is
// computed as a mask. What is spread over a tile's row costs less the more of the row is filled,
// and how long a full one is depends on the target; else the model is the same for all.
//
// Rows are chosen where there is a window, and where some value does not lie as it is declared or a
// result is stored turned: products of matrices and maps are otherwise best as they are written. Kernels with stages that
// have axes of their own, or several folds, have no choice of axes: their vectors run along the
// stages' axis if a fold is in lanes order, and otherwise along the last row axis.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <vector>

#include "compiler/lowering/kernel.h"
#include "compiler/lowering/target.h"

namespace weir {

// The last two row axes as they could be: the rows of a tile, and what vectors run along. With a
// single row axis both are that.
struct TileAxes {
  std::uint32_t row = 0, axis = 0;
  friend bool operator==(const TileAxes&, const TileAxes&) = default;
};

class KernelCost {
 public:
  // `may_copy` tells of which parameters a plain operand of a fold may be copied, transposed, for
  // this kernel: weights, and copies with frames. `vectors` are the target's.
  KernelCost(const Kernel& kernel, const std::function<bool(std::uint32_t parameter)>& may_copy,
             const VectorRegisters& vectors);

  // The dimensions of a parameter in the order in which memory holds them, outermost first.
  void set_order(std::uint32_t parameter, const std::vector<std::uint32_t>& order);

  // Some parameter of the kernel has its dimensions in another order than its value.
  void set_moved() { moved_.front() = true; }
  // Whether some value does not lie as it is declared, or a result is stored turned.
  bool is_moved() const { return is_turned_ || std::ranges::count(moved_, true) > 0; }

  bool has_fold() const { return kind_ == Kind::fold; }
  // By row axis: how far apart in memory neighbours along it are that the first store writes.
  std::vector<double> store_strides() const;
  // The axes as they are.
  TileAxes given() const;
  // The axes that cost least; others than the given ones only where they are better by a margin.
  TileAxes best() const;
  // The outermost row axis that one loop walks through with this one, and with all in between.
  std::uint32_t first_joined(std::uint32_t axis) const;
  // The cost of one point of the rows.
  double of_point(const TileAxes& axes) const;
  // The cost of the whole kernel with the best axes.
  double whole() const { return points_ * of_point(best()); }

 private:
  enum class Kind : std::uint8_t { maps, fold, fixed };
  // An index of an access: the sum of axes times their coefficients, and something else.
  struct Index {
    std::vector<double> coefficients;  // by axis
    std::uint64_t other = 0;           // axes on which the rest depends
    std::uint64_t all = 0;
    bool is_axis = false;
  };
  struct Access {
    std::uint32_t parameter = 0;
    std::vector<Index> indices;
    bool guarded = false, in_fold = false, may_copy = false, is_store = false;
    bool is_copied = false;   // ahead of all runs, or with a frame
    bool may_turn = false;    // a window, whose copy may have another dimension innermost
    std::uint64_t guard = 0;  // axes on which the guard depends
    double times = 1;         // for each point of the rows
    double guard_times = 1;
    std::uint64_t within_line = 0;  // axes along which neighbours lie in one line of the caches
    // Until the innermost of these comes to the next element: lines that are read, and how far
    // apart, in elements, they are at least.
    double lines_between = 1;
    std::int64_t lines_apart = 0;
  };

  // A remainder that has to be 0 for a step of the fold to count.
  struct Remainder {
    double divisor = 1;
    std::uint64_t axes = 0;  // on which it depends
  };

  std::uint64_t axes_of(scalar::Id root) const;
  void find_remainders(const Fold& fold);
  // The part of the fold's steps that count.
  double part_of_steps(const TileAxes& axes) const;
  void add(std::uint32_t parameter, std::span<const scalar::Id> indices, Access access);
  void add_loads(scalar::Id root, bool in_fold, double times, double inner);
  static std::uint64_t axes_of(const Access& access);
  // To be told again where the parameter has got another order.
  void find_lines(Access& access) const;
  // Of each element: what it costs that caches have lost its line since the one beside it was read.
  double cost_of_lost_line(const Access& access, const TileAxes& axes, double stride,
                           bool tiled) const;
  bool is_in_squares(const Access& access, std::uint32_t axis) const;
  // `rows` of a tile share what does not depend on them.
  double access_cost(const Access& access, const TileAxes& axes, double rows) const;
  bool lies_along(std::uint32_t axis) const;
  double lanes_along(std::uint32_t axis) const;
  bool joins(std::uint32_t outer, std::uint32_t inner) const;

  const Kernel& kernel_;
  std::function<bool(std::uint32_t)> may_copy_;
  std::vector<bool> group_axes_;
  double lanes_, most_vectors_;  // of a vector, and of a row of a register tile
  bool spreads_by_itself_;       // a multiply-add, which reads one element for all lanes
  Kind kind_ = Kind::fixed;
  bool window_ = false;
  bool parts_results_ = false;     // what lies behind its fold may be a kernel of its own
  std::vector<bool> moved_;        // by parameter
  bool is_turned_ = false;         // a result has its dimensions in another order than the rows
  std::uint32_t vector_axis_ = 0;  // of a kernel without choice
  std::uint32_t step_axis_ = 0;    // of its last fold: the axis of its innermost loop
  double steps_ = 0;
  std::vector<Remainder> remainders_;  // of the only fold
  double points_ = 1;
  std::vector<double> extents_;  // by axis
  std::vector<Access> accesses_;
  std::vector<std::vector<double>> strides_;  // by parameter and dimension
};

}  // namespace weir
