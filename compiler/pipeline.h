// The compiler from end to end: every stage in order, on one page.
//
//   graph --passes--> optimized --lowering--> kernels --codegen--> llvm --> asm, object or memory
//
// What the optimized graph of a backward pass keeps is shown as a table of its own (kept).
//
// Each step can be looked at (inspect), timed (CompileOptions::timing) and taken alone.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/cache/code_cache.h"
#include "compiler/codegen/object.h"
#include "compiler/executable.h"
#include "compiler/lowering/program.h"
#include "compiler/lowering/target.h"
#include "compiler/rematerialize/rematerialize.h"
#include "ir/builder.h"
#include "ir/graph.h"

namespace weir {

struct CompileOptions {
  TargetSpec target;                // empty: this machine
  std::vector<std::string> passes;  // graph passes by name; empty: the default ones
  // Whether a product and the sum that alone reads it round once instead of twice, after the other
  // passes (compiler/passes/contract_multiply_add.h). This changes results; contracted() below is
  // the graph that they are of.
  bool contract = false;
  bool fuse = true;          // false: a kernel for every node
  bool reuse_memory = true;  // false: workspace of its own for every value
  // Whether the program may keep the params that it updates in another order of dimensions than
  // they are declared in (compiler/lowering/order_state.h), and the orders of those that another
  // program on the same block of state has chosen. StateVariable::order says what became of it.
  bool orders_state = false;
  StateOrders state_orders = {};
  // Whether whoever calls does not read the outputs soon. Large ones may then be stored past the
  // caches where these are full of what is read, which is faster unless they are read
  // (docs/decisions/streams.md). The bits are the same.
  bool outputs_leave = false;
  // What the backward pass reads of the forward pass is kept in its smallest form, and computed
  // again as far as this budget for the workspace asks for it
  // (compiler/rematerialize/rematerialize.h); not if `passes` are given.
  std::optional<MemoryBudget> memory_budget = {};
  bool debug_lines = true;  // model lines as debug info, in object files
  // Gives the threads on which compile() generates code. Null: the calling thread does it all. The
  // code does not depend on it.
  const weir_executor* executor = nullptr;
  // Where compile() keeps code, and finds it again. What is found is what would have been compiled.
  CacheOptions cache;
  // Called after every step with its name and duration in milliseconds; if `time_passes`, after
  // every graph pass with the pass's name instead of once for all of them.
  std::function<void(std::string_view step, double milliseconds)> timing;
  bool time_passes = false;
};

enum class InspectStage { graph, optimized, kept, kernels, llvm, assembly };
// "graph", "optimized", "kept", "kernels", "llvm", "asm": in the order of InspectStage.
std::span<const std::string_view> stage_names();
std::optional<InspectStage> parse_stage(std::string_view name);

// Graph passes and rematerialization. Throws Error for a graph that cannot be compiled (check_graph
// of ir/verifier.h); so does every step that begins with them.
Graph optimize(Graph graph, const CompileOptions& options = {});
// What a program computes, bit for bit: the graph, or where the options ask for contraction, the
// graph after the passes.
Graph contracted(Graph graph, const CompileOptions& options);
// Graph passes and lowering. `variants` are others that code is generated for from the program.
Program lower_graph(Graph graph, const CompileOptions& options = {},
                    std::span<const Target> variants = {});
// Everything, into an object file that needs nothing but memcpy and memset.
ObjectCode compile_object(const Graph& graph, const CompileOptions& options = {});
// Everything, into memory. The target must be this machine or a lesser one of its kind. Throws
// Error when a param has no value, or one of another type.
Executable compile(const Model& model, const CompileOptions& options = {});

// A stage as text.
std::string inspect(const Graph& graph, InspectStage stage, const CompileOptions& options = {});
// A stage as a picture, in Graphviz's language DOT; compiler/drawing/svg.h lays it out. Throws
// Error for llvm and assembly, which are text alone.
std::string draw(const Graph& graph, InspectStage stage, const CompileOptions& options = {});

}  // namespace weir
