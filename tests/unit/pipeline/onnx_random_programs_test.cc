// Random programs, exported to ONNX and read back, in the interpreter.
//
// What is read back computes the same bits, except where the export writes a primitive in other
// ones (expm1, log1p, erfc, fma): these round at other places, and what is added to them or follows
// may make as much of that as it likes, so values that depend on one are left out. The ops alone
// are compared in tests/unit/onnx_export. WEIR_RANDOM_PROGRAMS and WEIR_RANDOM_SEED as in
// random_programs_test.cc.
#include <algorithm>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "compiler/frontend/onnx/export.h"
#include "compiler/frontend/onnx/onnx_file.h"
#include "ir/text.h"
#include "tests/support/exported_graphs.h"
#include "tests/unit/pipeline/random_program.h"

namespace weir::test {
namespace {

using scalar::Primitive;

// Whether the export writes it in primitives that round elsewhere.
bool rounds_elsewhere(const Graph& graph, const Node& node) {
  if (!node.op->pointwise || node.op->onnx.is_direct()) return false;
  scalar::Arena arena;
  std::vector<scalar::Expr> arguments;
  for (std::uint32_t i = 0; i < node.operands.size(); ++i)
    arguments.emplace_back(arena,
                           arena.argument(i, compute_type(graph.type(node.operands[i]).dtype)));
  const scalar::Id root = node.op->pointwise(arguments, node.attributes).id();
  return std::ranges::any_of(scalar::reachable(arena, std::span(&root, 1)), [&](scalar::Id id) {
    const Primitive primitive = arena[id].primitive;
    return primitive == Primitive::expm1 || primitive == Primitive::log1p ||
           primitive == Primitive::erfc || primitive == Primitive::fma;
  });
}

// By value, whether it is written so, or computed from one that is.
std::vector<bool> differ_by_rounding(const Graph& graph) {
  std::vector<bool> differ(graph.value_count());
  for (const Node& node : graph.nodes()) {
    const bool differs =
        rounds_elsewhere(graph, node) ||
        std::ranges::any_of(node.operands, [&](ValueId operand) { return differ[operand.index]; });
    for (ValueId result : node.results) differ[result.index] = differs;
  }
  return differ;
}

struct Compared {
  std::uint64_t outputs = 0, of = 0;
};

// The first output that differs by more than rounding, described.
std::optional<std::string> difference_beyond(const Graph& graph, std::span<const Tensor> actual,
                                             std::span<const Tensor> expected, double tolerance,
                                             Compared& compared) {
  const std::vector<bool> left_out = differ_by_rounding(graph);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if (actual[i].type() != expected[i].type())
      return fmt::format("output {} is {} instead of {}", graph.outputs()[i].name,
                         to_string(actual[i].type()), to_string(expected[i].type()));
    ++compared.of;
    if (left_out[graph.outputs()[i].value.index]) continue;
    ++compared.outputs;
    double relative = compare(actual[i], expected[i]).relative();
    if (relative > (is_float(expected[i].dtype()) ? tolerance : 0))
      return fmt::format("output {} differs by {}: {} instead of {}", graph.outputs()[i].name,
                         relative, actual[i].to_string(20), expected[i].to_string(20));
  }
  return std::nullopt;
}

TEST(OnnxRandomPrograms, AreReadBackAsTheyWere) {
  std::uint64_t first = from_environment("WEIR_RANDOM_SEED", 1, 0);
  std::uint64_t count =
      std::max<std::uint64_t>(1, from_environment("WEIR_RANDOM_PROGRAMS", 2000, 1) / 4);
  int failures = 0;
  std::uint64_t refused = 0;
  Compared compared;
  for (std::uint64_t seed = first; seed < first + count && failures < 5; ++seed) {
    Program program = random_program(seed);
    if (draws(program.graph)) continue;
    std::optional<std::string> fault;
    std::string bytes;
    try {
      bytes = export_onnx({program.graph, program.weights});
    } catch (const Error&) {
      // Windows over axes that might be too short for them have no form there.
      ++refused;
      continue;
    }
    try {
      Model read = read_onnx(memory_file(bytes, "exported.onnx"), ".");
      fault = difference_beyond(program.graph, interpret(read.graph, read.weights, program.inputs),
                                interpret(program.graph, program.weights, program.inputs), 1e-5,
                                compared);
    } catch (const Error& error) {
      fault = error.what();
    }
    if (!fault) continue;
    ++failures;
    ADD_FAILURE() << "seed " << seed << ": " << *fault << "\n" << describe(program);
  }
  EXPECT_LE(refused, count / 50 + 1);
  EXPECT_GE(compared.outputs, compared.of * 3 / 4)
      << compared.outputs << " of " << compared.of << " outputs are compared";
}

}  // namespace
}  // namespace weir::test
