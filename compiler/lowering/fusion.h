// Fusion: which values get computed in which kernel, and which never exist in memory.
//
// Every node is one of
//   source   a constant
//   inline   written out wherever its elements are needed; never stored
//   member   computed by one group; stored only if another group or the caller needs it
// and every group of members becomes one kernel.
//
// Groups form greedily in graph order, but for small values of params and single elements alone,
// which come first. A node joins the group of its latest producer if it runs over the same domain;
// else a later group of the same domain that reads something it reads, maps with maps and folds
// with folds; and otherwise opens a new group. All other producers then belong to earlier groups,
// so groups executed by number respect every dependence.
//
// The domain of a group is a list of dimensions D and a range [inner_begin, inner_end) of them that
// its reductions fold; the rest are the kernel's row axes. A member runs over all of D, over the
// rows only, or folds the inner range. Dimensions of size 1 do not count. Behind a contraction, which
// reads its operands in whatever order its rows have, a map of its results may store them turned:
// their order in memory is another one then, and no kernel of its own has to turn them. A node that is
// written in steps is alone in its group, and so is a concat of many operands: written out, each
// element would be a choice among all of them. It has a kernel for each operand, which stores that
// in its place (place_parts.h).
#pragma once

#include <cstdint>
#include <vector>

#include "ir/graph.h"

namespace weir {

struct FusionOptions {
  bool fuse = true;  // false: every node that is not a constant is computed by a kernel of its own
  // By node, if there are any: values that are checked between the kernel that computes them and
  // the node's own.
  std::vector<std::vector<ValueId>> checked = {};
};

enum class MemberLevel : std::uint8_t { full, row, fold };

struct GroupMember {
  NodeId node;
  MemberLevel level;
  // Of a map of the rows that turns them: for each dimension of its result, but those of size 1, the
  // row axis that it is. Empty: in the rows' own order.
  std::vector<std::uint32_t> turned = {};
};

struct Group {
  Shape domain;
  std::size_t inner_begin = 0, inner_end = 0;
  // The reduced axis is private to a contraction: no dimension of the domain, which is the rows
  // alone.
  bool contraction = false;
  // The only member is written in steps, and the domain is the axes along which they are
  // independent.
  bool steps = false;
  // The only member is a concat of many operands, each of which has a kernel of its own.
  bool parts = false;
  std::vector<GroupMember> members;
  int work = 0;  // of them all: work_of()

  bool has_inner() const { return inner_begin != inner_end; }
  Shape rows() const;
  Shape inner() const {
    return {domain.begin() + static_cast<std::ptrdiff_t>(inner_begin),
            domain.begin() + static_cast<std::ptrdiff_t>(inner_end)};
  }
};

struct FusionPlan {
  static constexpr std::int32_t kInline = -1;
  static constexpr std::int32_t kSource = -2;

  std::vector<std::int32_t> group_of;  // by node: a group number, kInline or kSource
  std::vector<bool> stored;            // by value: needed outside its group
  std::vector<Group> groups;           // in order of execution
};

FusionPlan plan_fusion(const Graph& graph, const FusionOptions& options);

// What the kernel of a group computes, in graph order: its members, and the inline nodes that are
// written out for them.
std::vector<NodeId> computed_nodes(const Graph& graph, const FusionPlan& plan, std::size_t group);

// The nodes that are written out wherever these values are.
std::vector<NodeId> inline_nodes(const Graph& graph, const FusionPlan& plan,
                                 const std::vector<ValueId>& values);

// The dimensions of a shape that are not 1.
Shape without_ones(const Shape& shape);

}  // namespace weir
