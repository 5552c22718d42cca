// A compiled program in memory, callable from C++ and through the C ABI.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ir/builder.h"
#include "ir/tensor.h"
#include "runtime/abi.h"

namespace weir {

// Tensors by name.
using NamedTensors = std::map<std::string, Tensor, std::less<>>;

// What a program takes or gives, in order.
struct Signature {
  std::string name;
  TensorType type;  // dimensions may be symbolic
};

// A param that the program updates: where it lies in the state block.
struct StateVariable {
  std::string name;
  TensorType type;         // dimensions are integers
  std::size_t offset = 0;  // in bytes, a multiple of WEIR_ALIGNMENT
  std::size_t bytes = 0;
  // The order in which the block holds its dimensions, outermost first. Empty, which it is unless
  // CompileOptions::orders_state or state_orders ask for another one: as `type` has them.
  std::vector<std::uint32_t> order = {};
  // Not 0: the last of these is cut into panels of so many elements, which follow one another.
  std::int64_t panel = 0;
};

// The value of a variable in a block of state; and into one, whose type must be the variable's.
Tensor read_state(const StateVariable& variable, const void* state);
void write_state(const StateVariable& variable, const Tensor& value, void* state);

// Movable; running is const and safe from many threads at once. Everything that belongs to the
// program - code, weights, workspaces - is freed with it.
class Executable {
 public:
  struct Parts;  // made by compile()
  explicit Executable(std::unique_ptr<Parts> parts);
  ~Executable();
  Executable(Executable&&) noexcept;
  Executable& operator=(Executable&&) noexcept;

  std::span<const Signature> inputs() const;
  // Those of the graph, in order.
  std::span<const Signature> outputs() const;
  // What the program updates in place, in order of the offsets, and the bytes of all of it.
  std::span<const StateVariable> state() const;
  std::size_t state_bytes() const;
  std::span<const std::string> symbols() const;  // in the order of weir_call::dims

  // Runs on inputs in order, or by name, and returns outputs in order. Symbols are bound to the
  // inputs' sizes. Throws Error when a tensor is missing, has another type than the program wants,
  // or two tensors disagree about a symbol. No executor: runs on the calling thread alone.
  std::vector<Tensor> run(std::span<const Tensor> inputs,
                          const weir_executor* executor = nullptr) const;
  std::vector<Tensor> run(const NamedTensors& inputs,
                          const weir_executor* executor = nullptr) const;
  // Likewise, into tensors of the caller's, which may be views of any memory, but an output's is
  // its own: Error if it overlaps another tensor's, or is null. A program that updates params
  // starts from the values that the model gives them, every time, and their next values are among
  // the outputs.
  void run_into(std::span<const Tensor> inputs, std::span<Tensor> outputs,
                const weir_executor* executor = nullptr) const;

  // One run that updates `state`, a block of state_bytes() at a multiple of WEIR_ALIGNMENT, apart
  // from all tensors, in place. `outputs` are those of the graph that update no param. Error as for
  // run_into(), before anything is written.
  void run_in_place(std::span<const Tensor> inputs, std::span<Tensor> outputs, void* state,
                    const weir_executor* executor = nullptr) const;
  // Tensors for the outputs of run_in_place, of the sizes that these inputs give.
  std::vector<Tensor> outputs_in_place(std::span<const Tensor> inputs) const;
  // The values that the model gave for what the program updates: they are copied into the block.
  void write_initial_state(void* state) const;

  // The C side: the program itself, the block that weir_call::weights must point to, and the bytes
  // of workspace for the given dimensions and so many workers, which is an executor's max_workers.
  weir_program program() const;
  weir_workspace_size workspace_size() const;  // null if the program needs none
  const void* weights() const;
  const void* initial_state() const;  // what write_initial_state copies
  std::size_t workspace_bytes(std::span<const std::ptrdiff_t> dims, int workers = 1) const;

 private:
  std::unique_ptr<Parts> parts_;
};

}  // namespace weir
