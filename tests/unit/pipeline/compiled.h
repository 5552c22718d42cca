// What tests of compiled code share: the vector levels this machine can run, and the comparison of
// compiled code with the interpreter's expanded mode, bit for bit.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "compiler/pipeline.h"
#include "ir/interpreter.h"
#include "runtime/abi.h"

namespace weir::test {

// One level of vectors: a CPU to compile for, empty for this machine, and what changes bits there.
struct VectorLevel {
  std::string cpu;
  bool has_fma;

  std::string name() const { return cpu.empty() ? "native" : cpu; }
};

// This machine first, then the lesser levels of its kind, the widest first.
std::span<const VectorLevel> vector_levels();
// The same for one of many programs. The level between the baseline and AVX2 has little of its own,
// and every fourth program in turn is compiled for it.
std::vector<VectorLevel> levels_of_turn(std::uint64_t turn);

// A graph with a value for everything that it reads.
struct Program {
  Graph graph;
  Weights weights;
  Inputs inputs;
};

// How a program is compiled and run.
struct Way {
  VectorLevel level;
  bool fuse = true;
  bool reuse_memory = true;
  bool orders_state = false;
  bool contract = false;

  std::string name() const;
};

Executable compile(const Program& program, const Way& way);
// The results of compiled code on a target with or without FMA. What the passes compute in advance
// is computed with FMA for every target, so without it the graph is interpreted as it is after the
// passes; and so it is where products and sums are contracted.
std::vector<Tensor> interpret_expanded(const Program& program, bool has_fma, bool contract = false);

// The first difference between two lists of results, described; nothing if they are the same bits.
std::optional<std::string> difference(const Graph& graph, std::span<const Tensor> actual,
                                      std::span<const Tensor> expected);

// Runs compiled code on inputs, alone and on every executor, and compares with `expected`.
std::optional<std::string> difference_run(const Graph& graph, const Executable& executable,
                                          const Inputs& inputs, std::span<const Tensor> expected,
                                          std::span<const weir_executor* const> executors);

// The same for a program that is compiled first. What goes wrong on the way, an exception too, is
// described.
std::optional<std::string> difference_compiled(const Program& program, const Way& way,
                                               std::span<const Tensor> expected,
                                               std::span<const weir_executor* const> executors);

// Two threads; and an executor that runs tasks backwards, as four workers in turn.
std::span<const weir_executor* const> test_executors();

// The same at every vector level and on test_executors, against the interpreter, for each of some
// inputs: the graph is compiled once a level, and interpreted once with FMA and once without.
std::optional<std::string> difference_on_levels(const Graph& graph, const Weights& weights,
                                                std::span<const Inputs> runs);

// The program as text: the graph, and the values that it was run on if they are few.
std::string describe(const Program& program);

}  // namespace weir::test
