// Element expressions: the value of one element of a graph value, as a scalar expression.
//
// This is what fusion consists of. A value is either available - in a buffer, in a kernel-local -
// or it is not, and then its op's meaning is written out at the place that needs it: pointwise ops
// substitute their operands' expressions, movement ops become index arithmetic and guards.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <vector>

#include "ir/graph.h"
#include "ir/op.h"
#include "ir/scalar/arena.h"

namespace weir {

class ElementBuilder {
 public:
  // What an element of a value is to be read as; an invalid id if the value has to be written out.
  // `guard` is a condition without which memory may not be touched, invalid if there is none.
  using Available = std::function<scalar::Id(ValueId value, std::span<const scalar::Id> indices,
                                             scalar::Id guard)>;

  // `locations` is kept as long as the arena: the graph line that each new expression comes from.
  ElementBuilder(const Graph& graph, scalar::Arena& arena, std::vector<Location>& locations,
                 Available available);

  // The element at `indices`, one for each dimension of the value.
  scalar::Id element(ValueId value, std::span<const scalar::Id> indices, scalar::Id guard = {});
  // What the op of a node without a reduction gives at `indices`, even if its value is available.
  scalar::Id written_out(ValueId value, std::span<const scalar::Id> indices, scalar::Id guard = {});
  // The tuple that the reduction of a node folds, at result `indices` and reduced indices.
  std::vector<scalar::Id> folded_elements(const Node& node, const Comprehension& comprehension,
                                          std::span<const scalar::Id> indices,
                                          std::span<const scalar::Id> reduced);
  // Where a step of a node writes to, an index for each dimension, and then what.
  std::vector<scalar::Id> step(const Node& node, const Steps& steps,
                               std::span<const scalar::Id> indices);
  // Calls `write` and notes `location` for all expressions it adds.
  template <class Write>
  auto located(const Location& location, Write&& write) {
    std::size_t first = arena_.size();
    auto result = write();
    note(first, location);
    return result;
  }

 private:
  std::vector<scalar::Id> body(const Node& node, const Comprehension& comprehension,
                               std::span<const scalar::Id> indices,
                               std::span<const scalar::Id> reduced, scalar::Id guard);
  std::vector<scalar::Id> body_of(
      const Node& node, std::span<const scalar::Id> indices, std::span<const scalar::Id> reduced,
      scalar::Id guard, const std::function<std::vector<scalar::Id>(const Element&)>& write);
  void note(std::size_t first, const Location& location);

  const Graph& graph_;
  scalar::Arena& arena_;
  std::vector<Location>& locations_;
  Available available_;
  std::map<std::vector<std::uint32_t>, scalar::Id> memo_;  // by value, guard and indices
};

// A load of buffer number `buffer`, guarded if `guard` is valid, at simplified indices.
scalar::Id load_element(scalar::Arena& arena, std::uint32_t buffer, const TensorType& type,
                        std::span<const scalar::Id> indices, scalar::Id guard);

// Splits an index into a row-major collapsed group of dimensions into one index a dimension.
std::vector<scalar::Id> delinearize(scalar::Arena& arena, scalar::Id linear,
                                    std::span<const Dim> dims);

// One index for each dimension of `shape`: 0 where the dimension is 1, and otherwise the next of
// `axes`.
std::vector<scalar::Id> spread_indices(scalar::Arena& arena, const Shape& shape,
                                       std::span<const scalar::Id> axes);

// The value of every element, if all elements of a constant are the same (at least one).
std::optional<scalar::Bits> splat_value(const Tensor& tensor);

}  // namespace weir
