// The graph: ops on tensors in static single assignment.
//
// Nodes stand in topological order: a node is added after its operands. Types are inferred when a
// node is added, by its op's declaration, so a graph that could be built is well-typed. Graphs are
// values; a pass builds a new one.
//
// An output may update a param: its value is what the param holds when the graph has run. Such a
// param is state, as the parameters of a network and what its optimizer remembers are in training.
// A compiled program keeps state in memory of the caller's and writes it in place; whoever runs the
// graph otherwise gets the next value as the output that it is.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "ir/attribute.h"
#include "ir/diagnostic.h"
#include "ir/initializer.h"
#include "ir/type.h"

namespace weir {

struct OpDef;

struct ValueId {
  std::uint32_t index = UINT32_MAX;
  bool valid() const { return index != UINT32_MAX; }
  friend bool operator==(ValueId, ValueId) = default;
  friend auto operator<=>(ValueId, ValueId) = default;
};

struct NodeId {
  std::uint32_t index = UINT32_MAX;
  bool valid() const { return index != UINT32_MAX; }
  friend bool operator==(NodeId, NodeId) = default;
  friend auto operator<=>(NodeId, NodeId) = default;
};

struct Value {
  enum class Kind : std::uint8_t { input, param, result };
  Kind kind;
  TensorType type;
  std::string name;      // without the %; may be empty for a result
  NodeId producer;       // of a result
  int result_index = 0;  // which of the producer's results
  Location location;
};

struct Node {
  const OpDef* op;
  std::vector<ValueId> operands;
  Attributes attributes;  // complete: defaults are filled in
  std::vector<ValueId> results;
  Location location;
};

class Graph {
 public:
  struct Output {
    std::string name;
    ValueId value;
    ValueId updates = {};  // the param whose next value this is, if it is one's
  };

  explicit Graph(std::string name = "main") : name_(std::move(name)) {}

  const std::string& name() const { return name_; }

  // Makes room for so many nodes.
  void reserve(std::size_t nodes);

  // Names of inputs, params and outputs are unique among their kind; Error otherwise.
  ValueId add_input(std::string name, TensorType type, Location location = {});
  ValueId add_param(std::string name, TensorType type, Location location = {});
  // How the param gets its first value. Error without a location if it does not fit the param.
  void set_initializer(ValueId param, Initializer initializer);
  // Fills in default attributes, checks operands and attributes against the op's declaration and
  // infers the results' types. Throws Error at `location` when something does not fit. Result names
  // that are taken get a number appended.
  NodeId add_node(const OpDef& op, std::vector<ValueId> operands, Attributes attributes,
                  Location location = {}, std::span<const std::string> result_names = {});
  // Names a result that has no name yet; a number is appended when the name is taken.
  void name_result(ValueId result, std::string name);
  // An empty name is replaced by the value's.
  void add_output(ValueId value, std::string name = {});
  // An output that updates a param; an empty name is replaced by the param's. A param that is
  // updated with itself is state that the graph only reads. Error if `param` is none, is updated
  // already or has another type than the value.
  void add_update(ValueId param, ValueId value, const std::string& name = {});
  // As `output` of another graph, whose values became these.
  void add_output_like(const Output& output, ValueId value, ValueId updates);

  std::span<const ValueId> inputs() const { return inputs_; }
  std::span<const ValueId> params() const { return params_; }
  std::span<const Output> outputs() const { return outputs_; }
  // Whether some output updates the param.
  bool is_updated(ValueId param) const { return updated_.contains(param.index); }
  // That of the param, with all of its attributes; null if none is declared.
  const Initializer* initializer(ValueId param) const;
  std::span<const Node> nodes() const { return nodes_; }
  const Node& node(NodeId id) const { return nodes_[id.index]; }
  const Value& value(ValueId id) const { return values_[id.index]; }
  const TensorType& type(ValueId id) const { return values_[id.index].type; }
  std::size_t value_count() const { return values_.size(); }

  // The result of a node that has one.
  ValueId result(NodeId id) const;
  // The value of that name, if there is one.
  ValueId find(std::string_view name) const;
  // Names of all symbols in the types of inputs and params, in order of appearance. Every dimension
  // in the graph is made of these.
  std::vector<std::string> symbols() const;

 private:
  ValueId add_value(Value value);
  // Enters the name, unless it is empty; one that is taken gets a number appended.
  void take_name(std::string& name, ValueId value);

  std::string name_;
  std::vector<Node> nodes_;
  std::deque<Value> values_;  // types are handed out by reference while nodes are added
  std::vector<ValueId> inputs_, params_;
  std::unordered_map<std::uint32_t, Initializer> initializers_;  // by param
  std::vector<Output> outputs_;
  std::unordered_map<std::string, ValueId> by_name_;
  std::unordered_map<std::string, std::uint64_t> next_suffix_;  // to try, by the name that is taken
  std::unordered_set<std::string> output_names_;
  std::unordered_set<std::uint32_t> updated_;  // params
};

// The types of some values.
std::vector<TensorType> types_of(const Graph& graph, std::span<const ValueId> values);

}  // namespace weir

template <>
struct std::hash<weir::ValueId> {
  std::size_t operator()(weir::ValueId id) const { return id.index; }
};
