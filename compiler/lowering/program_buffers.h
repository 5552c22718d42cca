// The buffers of a program that is being lowered: one for each value that some kernel reads or
// writes, and those that no value stands for; the program's interface, its weights and its state.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "compiler/lowering/layouts.h"
#include "compiler/lowering/program.h"
#include "ir/graph.h"

namespace weir {

class ProgramBuffers {
 public:
  // Both outlive this. Gives the program its inputs, outputs, weights and state.
  ProgramBuffers(const Graph& graph, Program& program);

  // Whether the value is known ahead of all runs and lies in the block of weights.
  bool is_weight(ValueId value) const;
  // Tells which values are; what kernels hand over without a value is not.
  std::function<bool(ValueId)> weight_test() const;

  std::uint32_t add(Buffer buffer);
  std::uint32_t add_weight(WeightEntry entry, std::string name, TensorType type);
  // The value's buffer, which it has already if it is part of the interface.
  std::uint32_t of(ValueId value);
  bool contains(ValueId value) const { return numbers_.contains(value); }
  // The same, if the value has one; null otherwise.
  Buffer* find(ValueId value);
  // The entry of a buffer of weights; null for another.
  const WeightEntry* weight(std::uint32_t buffer) const;

  // How values lie in memory that are not as declared. To be known before kernels ask for buffers.
  Layouts& layouts() { return layouts_; }
  // Gives a buffer of the declared type that of the value's layout.
  void lay_out(Buffer& buffer, ValueId value) const;

  // Outputs that are another's value, or that of no kernel: the value, and the output's buffer.
  const std::vector<std::pair<ValueId, std::uint32_t>>& copies() const { return copies_; }

  // Gives the weights that some call reads their places in the block.
  void place_weights();

 private:
  void add_inputs();
  void add_params();
  void add_state(ValueId param);
  void add_outputs();
  // The next value of a param, which is the output of that number.
  void add_next_value(const Graph::Output& output, std::size_t number);
  bool is_computed(ValueId value) const;

  const Graph& graph_;
  Program& program_;
  Layouts layouts_;
  std::unordered_map<ValueId, std::uint32_t> numbers_;
  std::unordered_map<std::uint32_t, std::size_t> weights_;  // by buffer: its entry
  std::vector<std::pair<ValueId, std::uint32_t>> copies_;
};

}  // namespace weir
