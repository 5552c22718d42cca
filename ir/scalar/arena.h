// Scalar expressions: a typed, hash-consed DAG in an arena.
//
// Equal expressions have equal ids, so comparing, counting and sharing are comparisons of integers.
// Operands always precede their users: ids ascend in topological order. An arena only grows; it is
// a value type, and belongs to one thread at a time.
//
// Payloads of the leaves:
//   constant   the bits, at the node's type
//   argument   number of an operand of a pointwise op, or of a combiner
//   axis       number of a loop axis; its extent is axis_extent(payload)
//   size       index into the arena's table of dimensions: the value of a Dim, as i64
//   local      number of a kernel-local value
//   load       number of a buffer; its operands are the element's indices, one a dimension
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "ir/dim.h"
#include "ir/dtype.h"
#include "ir/scalar/constant.h"
#include "ir/scalar/primitive.h"

namespace weir::scalar {

struct Id {
  std::uint32_t index = UINT32_MAX;
  bool valid() const { return index != UINT32_MAX; }
  friend bool operator==(Id, Id) = default;
  friend auto operator<=>(Id, Id) = default;
};

struct Node {
  Primitive primitive;
  DType type;
  std::uint32_t first_operand;  // in the arena's operand table
  std::uint32_t operand_count;
  std::uint64_t payload;
};

class Arena {
 public:
  const Node& operator[](Id id) const { return nodes_[id.index]; }
  std::span<const Id> operands(Id id) const {
    const Node& node = nodes_[id.index];
    return {operands_.data() + node.first_operand, node.operand_count};
  }
  Id operand(Id id, std::size_t i) const { return operands(id)[i]; }
  // The operands that are values: of a load guard and alternative, or none.
  std::span<const Id> value_operands(Id id) const {
    Primitive primitive = nodes_[id.index].primitive;
    if (primitive == Primitive::load) return {};
    return primitive == Primitive::load_if ? operands(id).first(2) : operands(id);
  }
  // Of a load: the element's indices.
  std::span<const Id> load_indices(Id id) const {
    return nodes_[id.index].primitive == Primitive::load_if ? operands(id).subspan(2)
                                                            : operands(id);
  }
  std::size_t size() const { return nodes_.size(); }

  Id constant(DType type, Bits bits) { return intern(Primitive::constant, type, {}, bits.value); }
  Id constant(DType type, double value) { return constant(type, bits_of(type, value)); }
  Id index(std::int64_t value) { return constant(DType::i64, from_i64(value)); }
  Id argument(std::uint32_t number, DType type) {
    return intern(Primitive::argument, type, {}, number);
  }
  // An axis runs over 0 <= i < extent. One number always has one extent within an arena.
  Id axis(std::uint32_t number, const Dim& extent);
  const Dim& axis_extent(std::uint64_t number) const { return axis_extents_.at(number); }
  // A constant dimension becomes a constant.
  Id size_of(const Dim& dim);
  const Dim& dim(std::uint64_t payload) const { return dims_[payload]; }
  Id local(std::uint32_t number, DType type) { return intern(Primitive::local, type, {}, number); }
  Id load(std::uint32_t buffer, DType type, std::span<const Id> indices) {
    return intern(Primitive::load, type, indices, buffer);
  }
  Id load_if(std::uint32_t buffer, Id guard, Id otherwise, std::span<const Id> indices);
  // The operand itself where nothing changes: a cast to its own type, or back from one that holds
  // all of the type's values.
  Id cast(Id operand, DType type);
  Id bitcast(Id operand, DType type);
  // Any primitive but leaves and conversions; checks arity and operand types. Folds what is
  // certain: all operands constant (elementary functions excepted), select on a constant or on
  // equal branches.
  Id make(Primitive primitive, std::span<const Id> operands);
  Id make(Primitive primitive, std::initializer_list<Id> operands) {
    return make(primitive, std::span<const Id>(operands.begin(), operands.size()));
  }

  bool is_constant(Id id) const { return nodes_[id.index].primitive == Primitive::constant; }
  // The bits of a constant.
  Bits bits(Id id) const { return {nodes_[id.index].payload}; }

 private:
  Id intern(Primitive primitive, DType type, std::span<const Id> operands, std::uint64_t payload);

  std::vector<Node> nodes_;
  std::vector<Id> operands_;
  std::vector<Dim> dims_;
  std::unordered_map<std::uint64_t, Dim> axis_extents_;
  std::unordered_multimap<std::size_t, Id> index_;
};

// All nodes that the roots need, each once, operands before users.
std::vector<Id> reachable(const Arena& arena, std::span<const Id> roots);

// Rebuilds `root` (of `from`) in `into`, with `leaf` deciding what becomes of each leaf node: it
// returns a valid id of `into` to replace the node, or an invalid id to copy it. Loads count as
// leaves when `leaf` returns a valid id for them; otherwise their indices are rebuilt too.
// `memo` is indexed by ids of `from`, and may be shared between calls with the same `leaf`.
template <class Leaf>
Id rebuild(const Arena& from, Id root, Arena& into, std::vector<Id>& memo, Leaf&& leaf);

// Copies one node with new operands.
Id copy_node(const Arena& from, Id id, Arena& into, std::span<const Id> operands);

template <class Leaf>
Id rebuild(const Arena& from, Id root, Arena& into, std::vector<Id>& memo, Leaf&& leaf) {
  if (memo.size() < from.size()) memo.resize(from.size());
  std::vector<Id> stack{root};
  std::vector<Id> operands;
  while (!stack.empty()) {
    Id id = stack.back();
    if (memo[id.index].valid()) {
      stack.pop_back();
      continue;
    }
    if (Id replaced = leaf(id); replaced.valid()) {
      memo[id.index] = replaced;
      stack.pop_back();
      continue;
    }
    bool ready = true;
    for (Id operand : from.operands(id)) {
      if (!memo[operand.index].valid()) {
        stack.push_back(operand);
        ready = false;
      }
    }
    if (!ready) continue;
    operands.clear();
    for (Id operand : from.operands(id)) operands.push_back(memo[operand.index]);
    memo[id.index] = copy_node(from, id, into, operands);
    stack.pop_back();
  }
  return memo[root.index];
}

}  // namespace weir::scalar
