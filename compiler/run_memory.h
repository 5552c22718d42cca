// The memory that a run takes, known before any of it is taken.
#pragma once

#include <cstdint>

#include "compiler/executable.h"
#include "ir/bind_symbols.h"
#include "ir/builder.h"

namespace weir {

// In bytes. What leaves 64 bits is the largest integer.
struct RunMemory {
  std::int64_t inputs = 0;
  std::int64_t outputs = 0;
  std::int64_t weights = 0;
  // What lies between inputs and outputs: a compiled program's workspace, or the most that the
  // interpreter keeps at one time, without what it takes inside of a composite op.
  std::int64_t between = 0;

  std::int64_t total() const;
  // Error with all of these if they are more than `limit` together.
  void check(std::int64_t limit) const;
};

// Of a compiled model, and of an interpreted one. The symbols are bound to sizes as bind_symbols
// does it.
RunMemory memory_of_run(const Model& model, const Executable& executable,
                        const Dim::Bindings& bindings);
RunMemory memory_of_interpreting(const Model& model, const Dim::Bindings& bindings);

// The bytes of a tensor of that type; the largest integer if they leave 64 bits.
std::int64_t bytes_of_type(const TensorType& type, const Dim::Bindings& bindings);

}  // namespace weir
