// Programs: kernels in order, the buffers they work on, and where each buffer lives.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "compiler/lowering/kernel.h"
#include "ir/graph.h"
#include "ir/op.h"
#include "ir/tensor.h"
#include "runtime/abi.h"

namespace weir {

// How memory holds the elements of a value.
struct MemoryLayout {
  // Its dimensions, outermost first; empty: as they are.
  std::vector<std::uint32_t> order = {};
  // Not 0: the last of these is cut into panels of so many elements, which follow one another.
  std::int64_t panel = 0;
  friend bool operator==(const MemoryLayout&, const MemoryLayout&) = default;
};

struct Buffer {
  enum class Place : std::uint8_t {
    input,      // `index` in weir_call::inputs
    output,     // `index` in weir_call::outputs
    weights,    // `offset` bytes into the weight block
    state,      // `offset` bytes into the state block
    workspace,  // in slot `index` of the workspace
    band,       // a part at a time, in what each worker has of the workspace
  };
  std::string name;
  TensorType type;  // as it lies in memory
  Place place = Place::workspace;
  std::uint32_t index = 0;
  std::uint64_t offset = 0;
  std::optional<SlotSize> scratch;  // the size of a workspace buffer that is no tensor
  MemoryLayout layout = {};         // of its value in `type`
};

// One run of a kernel on buffers.
struct KernelCall {
  std::uint32_t kernel;                // in Program::kernels
  std::vector<std::uint32_t> buffers;  // one for each kernel parameter
  // By parameter: the bytes of its buffer before what the kernel gets of it. Empty: none.
  std::vector<Dim> begins = {};
  std::vector<Dim> dims;    // the value of each of the kernel's symbols
  std::string description;  // names of the values it computes
  // Where it comes from, for who shows it: the nodes of the graph that it computes, with those that
  // other kernels compute again; and the value in each buffer, which for a transposed copy is the
  // value copied, and none for scratch.
  std::vector<NodeId> nodes;
  std::vector<ValueId> values;
};

// Two calls that run together, band by band (band_calls.h): so many rows of what the first one
// computes as some rows of the second one need, and then these.
struct Bands {
  std::uint32_t call;    // the first one, in Program::calls; the other is the next
  std::uint32_t buffer;  // what the one computes for the other
  // Both go through images, one after the other, and in each through rows: of an image the second
  // call has `rows`, and the first one `source_rows`, of which row i of the second reads
  // i * stride ... (i + 1) * stride - 1, those that there are.
  Dim images, rows, source_rows;
  std::int64_t stride;
  Dim source_bytes;    // of a row of the first call
  std::int64_t bytes;  // that a band has at most, unless a row of the second call reads more
};

// A check of an operand of indices, which a kernel of its own makes: it leaves the position of the
// first index, in row-major order, that is out of range, and the index. Without one the position is
// kNoFault.
struct IndexCheck {
  static constexpr std::int64_t kNoFault = INT64_MAX;
  std::uint32_t call;  // in Program::calls; the program goes on behind it if there is no fault
  std::uint32_t position, index;  // buffers of one i64
  // For the message: whether negative indices are in range, the sizes as in IndexOperand, and the
  // op.
  bool from_end;
  Shape sizes;
  std::string op;
  Location location;
};

// A size that must not be negative where the program is called.
struct SizeCheck {
  SizeNeed need;
  // For the message: the op that needs it.
  std::string op;
  Location location;
};

// The end of a buffer of this size in a slot, aligned to WEIR_ALIGNMENT.
struct SlotEnd {
  std::uint32_t slot;
  SlotSize size;
  friend bool operator==(const SlotEnd&, const SlotEnd&) = default;
};

// A place in the workspace where buffers begin that are never alive together: the largest of these
// ends, which are ends in slots before it; 0 without any.
struct WorkspaceSlot {
  std::vector<SlotEnd> behind;
};

struct WeightEntry {
  std::string param;                    // a param of the graph; empty for a constant
  std::shared_ptr<const Tensor> value;  // of a constant
  TensorType type;                      // of the param or constant
  // Its dimensions in the order in which the block holds them, outermost first; empty: as they are.
  std::vector<std::uint32_t> order;
  // Not 0: the last of these is cut into panels of so many elements, which follow one another.
  std::int64_t panel = 0;
  std::optional<std::uint64_t> offset;  // in bytes; none if no kernel reads it
  // Not its elements are in the block, but their sums_with_zero along this dimension, which `order`
  // lacks.
  std::optional<std::uint32_t> times_zero = {};
};

// What an entry has in the block, in the order of its dimensions.
TensorType type_in_block(const WeightEntry& entry);

// By param: how the state block holds it, as StateEntry::layout.
using StateOrders = std::map<std::string, MemoryLayout, std::less<>>;

// A param that the graph updates. All of them are in the state block, in the order of the graph's
// params, each aligned to WEIR_ALIGNMENT, whether or not the program reads them.
struct StateEntry {
  std::string param;
  TensorType type;           // dimensions are integers
  std::uint64_t offset = 0;  // in bytes
  std::uint64_t bytes = 0;
  std::uint32_t output = 0;  // which of the graph's outputs updates it
  // What holds its next value at the end: the param's own, if it is only read.
  std::uint32_t buffer = 0;
  bool updated = false;      // it has a next value; otherwise it is only read
  MemoryLayout layout = {};  // in the block
};

struct Program {
  std::string name;
  std::vector<std::string> symbols;  // in the order of weir_call::dims
  std::vector<Kernel> kernels;       // each structure once
  std::vector<KernelCall> calls;
  std::vector<Bands> bands;        // in the order of their calls
  std::vector<IndexCheck> checks;  // in the order of their calls
  std::vector<SizeCheck> size_checks;
  std::vector<Buffer> buffers;
  std::vector<WorkspaceSlot> slots;
  std::vector<SlotEnd> workspace;  // the largest of these ends is its size
  std::vector<WeightEntry> weights;
  std::uint64_t weight_bytes = 0;
  std::vector<StateEntry> state;
  std::uint64_t state_bytes = 0;
  // In the order of weir_call. The outputs are those of the graph that update no param.
  std::vector<std::pair<std::string, TensorType>> inputs, outputs;
  bool outputs_leave = false;  // as in CompileOptions

  // Whether some of the state has a next value.
  bool updates_state() const {
    return std::any_of(state.begin(), state.end(),
                       [](const StateEntry& entry) { return entry.updated; });
  }
};

// As many bytes, and up to WEIR_ALIGNMENT more: what a place in a block takes.
inline std::uint64_t aligned(std::uint64_t bytes) {
  return (bytes + WEIR_ALIGNMENT - 1) / WEIR_ALIGNMENT * WEIR_ALIGNMENT;
}

// The program as text: the memory plan, then every kernel with its calls.
std::string print(const Program& program);

}  // namespace weir
