#include "tests/numerics/rows_program.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "compiler/pipeline.h"
#include "ir/text.h"

namespace weir::numerics {
namespace {

constexpr std::size_t kLongestRow = 1 << 16;

std::int64_t vector_bytes(const std::string& cpu) {
#if defined(__x86_64__)
  if (cpu.empty() && __builtin_cpu_supports("avx512f") != 0) return 64;
  if (cpu.empty() ? __builtin_cpu_supports("avx2") != 0 : cpu == "x86-64-v3") return 32;
#endif
  return 16;
}

Executable compiled(const Graph& graph, const std::string& cpu) {
  CompileOptions options;
  options.target.cpu = cpu;
  options.debug_lines = false;
  return compile(Model{graph, {}}, options);
}

template <class T>
void* negative_zeros() {
  static std::vector<T> zeros(kLongestRow, T(-0.0));
  return zeros.data();
}

}  // namespace

Graph rows_graph(DType type, std::string_view parameters, std::string_view body) {
  return parse_graph(fmt::format("graph @rows(%x: {0}[M, K], %z: {0}[K]{1}) {{\n"
                                 "  %t = add(%x, %z)\n{2}}}\n",
                                 name(type), parameters, body),
                     "rows.weir");
}

RowsProgram::RowsProgram(const Graph& graph, DType type, const std::string& cpu)
    : type_(type),
      tail_(std::max<std::int64_t>(vector_bytes(cpu) / byte_size(type) - 1, 1)),
      executable_(compiled(graph, cpu)) {}

void RowsProgram::run(std::int64_t count, std::span<void* const> operands,
                      std::span<void* const> results, Part part) const {
  std::int64_t length = part == Part::body ? count : tail_;
  std::int64_t rows = (count + length - 1) / length;
  auto column = [&](void* data) { return Tensor::view(type_, {rows, length}, data); };
  std::vector<Tensor> inputs{column(operands[0])}, outputs;
  inputs.push_back(Tensor::view(
      type_, {length}, type_ == DType::f32 ? negative_zeros<float>() : negative_zeros<double>()));
  for (void* operand : operands.subspan(1)) inputs.push_back(column(operand));
  for (void* result : results) outputs.push_back(column(result));
  executable_.run_into(inputs, outputs);
}

}  // namespace weir::numerics
