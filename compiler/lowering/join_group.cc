#include "compiler/lowering/join_group.h"

#include <algorithm>
#include <utility>

#include "compiler/lowering/elements.h"
#include "ir/scalar/affine.h"
namespace weir {

using scalar::Arena;
using scalar::Id;

namespace {

constexpr std::size_t kMaxMembers = 64;  // in a group, which bounds the size of a kernel
constexpr int kMaxWork = 2400;           // likewise, of which the compiler's time is a square
constexpr std::int64_t kShortRow = 8;    // fills half of a vector at most
constexpr int kLightWork = 8;            // primitives and loads
constexpr std::int64_t kFewSteps = 64;   // of folds that share a loop over rows with private axes

bool depends_on(const Arena& arena, Id id, Id leaf) {
  for (Id reached : scalar::reachable(arena, std::span(&id, 1)))
    if (reached == leaf) return true;
  return false;
}

// The index at which a node of the given level reads a member's element of its own row (and its own
// point of the inner range), in the axes of a probe.
std::vector<Id> aligned_indices(Arena& arena, const Group& group, MemberLevel reader,
                                MemberLevel read, const Shape& read_shape) {
  // The reader's axes that stand for each dimension of the domain.
  std::vector<Id> domain_axes;
  std::uint32_t next = 0;
  if (reader == MemberLevel::full) {
    for (const Dim& dim : group.domain) domain_axes.push_back(arena.axis(next++, dim));
  } else {
    Shape rows = group.rows(), inner = group.inner();
    std::vector<Id> row_axes;
    for (const Dim& dim : rows) row_axes.push_back(arena.axis(next++, dim));
    std::vector<Id> inner_axes(inner.size());
    if (reader == MemberLevel::fold) {
      Dim count = 1;
      for (const Dim& dim : inner) count = count * dim;
      inner_axes = delinearize(arena, arena.axis(next, count), inner);
    }
    domain_axes = row_axes;
    domain_axes.insert(domain_axes.begin() + static_cast<std::ptrdiff_t>(group.inner_begin),
                       inner_axes.begin(), inner_axes.end());
  }
  if (read != MemberLevel::full)
    domain_axes.erase(domain_axes.begin() + static_cast<std::ptrdiff_t>(group.inner_begin),
                      domain_axes.begin() + static_cast<std::ptrdiff_t>(group.inner_end));
  return spread_indices(arena, read_shape, domain_axes);
}

const GroupMember& member_that_makes(const Planner& planner, const Group& group, ValueId value) {
  const NodeId producer = planner.graph.value(value).producer;
  auto member = std::ranges::find(group.members, producer, &GroupMember::node);
  WEIR_CHECK(member != group.members.end());
  return *member;
}

// Whether every value of `group` that the probed node reads is read at the reader's own place.
bool reads_in_place(const Planner& planner, Probe& probe, const Group& group, int number,
                    MemberLevel level) {
  for (const Probe::Access& access : probe.accesses) {
    if (planner.group_of(access.value) != number) continue;
    const GroupMember& member = member_that_makes(planner, group, access.value);
    if (!member.turned.empty() || (member.level == MemberLevel::full && level == MemberLevel::row))
      return false;
    if (access.indices != aligned_indices(probe.arena, group, level, member.level,
                                          planner.graph.type(access.value).shape))
      return false;
  }
  return true;
}

// How a map takes part whose elements are each computed from one row of a contraction, in another
// order of the rows' axes.
std::optional<GroupMember> turned_member(const Planner& planner, NodeId node, const Probe& probe,
                                         const Shape& shape, const Group& group, int number) {
  const std::size_t rank = group.domain.size();
  if (shape.size() != rank) return std::nullopt;
  std::vector<std::uint32_t> turned(rank);
  std::optional<std::vector<Id>> place;  // of the group's row, for each of its axes
  for (const Probe::Access& access : probe.accesses) {
    if (planner.group_of(access.value) != number) continue;
    const Shape& of_value = planner.graph.type(access.value).shape;
    std::vector<Id> indices;
    for (std::size_t i = 0; i < of_value.size(); ++i)
      if (of_value[i] != Dim(1)) indices.push_back(access.indices[i]);
    if (indices.size() != rank) return std::nullopt;
    // What a row has of a member that is turned itself.
    const GroupMember& member = member_that_makes(planner, group, access.value);
    std::vector<Id> row = indices;
    for (std::size_t i = 0; i < member.turned.size(); ++i) row[member.turned[i]] = indices[i];
    if (place && *place != row) return std::nullopt;
    place = std::move(row);
  }
  if (!place) return std::nullopt;
  std::vector<bool> seen(rank);
  for (std::uint32_t row = 0; row < rank; ++row) {
    const scalar::Node& index = probe.arena[(*place)[row]];
    if (index.primitive != scalar::Primitive::axis || index.payload >= rank ||
        seen[index.payload] || shape[index.payload] != group.domain[row])
      return std::nullopt;
    seen[index.payload] = true;
    turned[index.payload] = row;
  }
  if (std::ranges::is_sorted(turned)) turned.clear();
  return GroupMember{node, MemberLevel::row, std::move(turned)};
}

// Whether the probed fold has as many steps as all that the group of private axes folds, and they
// are few and no products: the windows of a pooling, of which a kernel finds the greatest and its
// place. A contraction has its registers for itself.
bool folds_alike(const Planner& planner, const Probe& probe, const Group& group) {
  const std::optional<std::int64_t> steps = probe.reduced_extent.constant();
  if (probe.multiplies || !steps || *steps > kFewSteps) return false;
  // Its folds are alike themselves, so one of them stands for all.
  const auto member = std::ranges::find(group.members, MemberLevel::fold, &GroupMember::level);
  if (member == group.members.end()) return true;
  const Probe other = planner.probe(planner.graph.node(member->node));
  return !other.multiplies && other.reduced_extent == probe.reduced_extent;
}

}  // namespace

Group domain_of_fold(const Graph& graph, Probe& probe, const Shape& result_shape) {
  Arena& arena = probe.arena;
  std::size_t rows = probe.result_axes;
  Id reduced = arena.axis(static_cast<std::uint32_t>(rows), probe.reduced_extent);
  for (const Probe::Access& access : probe.accesses) {
    const Shape& shape = graph.type(access.value).shape;
    Group group;
    std::size_t next_row = 0;
    bool fits = true, seen = false;
    for (std::size_t i = 0; i < shape.size() && fits; ++i) {
      if (shape[i] == Dim(1)) continue;
      Id index = access.indices[i];
      if (depends_on(arena, index, reduced)) {
        if (!seen) group.inner_begin = group.inner_end = group.domain.size();
        fits = group.inner_end == group.domain.size();
        seen = true;
        group.domain.push_back(shape[i]);
        ++group.inner_end;
      } else {
        // Under a guard, as in a concat, an operand may be shorter than the rows.
        fits = next_row < rows && shape[i] == result_shape[next_row] &&
               index == arena.axis(static_cast<std::uint32_t>(next_row), result_shape[next_row]);
        ++next_row;
        group.domain.push_back(shape[i]);
      }
    }
    Dim inner_count = 1;
    for (const Dim& dim : group.inner()) inner_count = inner_count * dim;
    if (fits && seen && next_row == rows && inner_count == probe.reduced_extent) return group;
  }
  Group group;
  group.domain = result_shape;
  group.contraction = true;
  return group;
}

int work_of(const Planner& planner, NodeId node, const Probe& probe) {
  return planner.cost[node.index] + static_cast<int>(probe.accesses.size());
}

std::optional<GroupMember> member_of(const Planner& planner, NodeId node, Probe& probe,
                                     const Shape& shape, Group& group, int number) {
  if (group.members.size() >= kMaxMembers || group.steps || group.parts ||
      group.work + work_of(planner, node, probe) > kMaxWork)
    return std::nullopt;
  if (!probe.folds) {
    std::optional<MemberLevel> level;
    if (shape == group.domain && !group.contraction) level = MemberLevel::full;
    if (group.contraction && shape == group.domain) level = MemberLevel::row;
    if (!level && group.has_inner() && shape == group.rows()) level = MemberLevel::row;
    if (level && reads_in_place(planner, probe, group, number, *level))
      return GroupMember{node, *level};
    if (group.contraction) return turned_member(planner, node, probe, shape, group, number);
    return std::nullopt;
  }
  Group own = domain_of_fold(planner.graph, probe, shape);
  if (group.contraction) {
    const bool reads_member = std::ranges::any_of(probe.accesses, [&](const Probe::Access& access) {
      return planner.group_of(access.value) == number;
    });
    if (!own.contraction || own.domain != group.domain || reads_member ||
        !folds_alike(planner, probe, group))
      return std::nullopt;
    return GroupMember{node, MemberLevel::fold};
  }
  if (own.contraction) {
    // What lies as rows of all positions gives no domain, but is folded over as many.
    const bool is_all = std::ranges::any_of(probe.accesses, [&](const Probe::Access& access) {
      return element_count(planner.graph.type(access.value).shape) == element_count(group.domain);
    });
    if (!group.has_inner() || probe.multiplies || !is_all || shape != group.rows() ||
        probe.reduced_extent != element_count(group.inner()) ||
        !reads_in_place(planner, probe, group, number, MemberLevel::fold))
      return std::nullopt;
    return GroupMember{node, MemberLevel::fold};
  }
  if (own.domain != group.domain) return std::nullopt;
  if (group.has_inner()) {
    if (own.inner_begin != group.inner_begin || own.inner_end != group.inner_end)
      return std::nullopt;
    if (!reads_in_place(planner, probe, group, number, MemberLevel::fold)) return std::nullopt;
    return GroupMember{node, MemberLevel::fold};
  }
  // A group of maps keeps its parallelism unless rows remain, and its vectors unless the folded
  // range is the innermost one; and if that is short, unless there is little to compute in them.
  if (own.rows().empty() || probe.order != Reduction::Order::lanes) return std::nullopt;
  if (element_count(own.inner()).constant().value_or(kShortRow) < kShortRow &&
      group.work > kLightWork)
    return std::nullopt;
  Group turned = group;
  turned.inner_begin = own.inner_begin;
  turned.inner_end = own.inner_end;
  if (!reads_in_place(planner, probe, turned, number, MemberLevel::fold)) return std::nullopt;
  group = std::move(turned);
  return GroupMember{node, MemberLevel::fold};
}

}  // namespace weir
