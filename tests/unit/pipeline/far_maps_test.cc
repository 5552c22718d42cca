// Maps whose operands are too large for a near cache, or for any, have loops of their own, with
// lines read together and stores past the caches. On both sides of every size from which they run,
// and wherever a result begins, they give what a formula gives, and write nothing else.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <ostream>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/graphs.h"
#include "tests/unit/pipeline/compiled.h"

namespace weir::test {
namespace {

float leaky(float x) { return x > 0 ? x : 0.01F * x; }

struct MapCase {
  const char* name;
  const char* text;
  std::size_t operands;
  float (*formula)(const float* x);
};

constexpr MapCase kMaps[] = {
    {"one", "graph @m(%a: f32[N]) -> (f32[N]) { %y = leaky_relu(%a) return %y }", 1,
     [](const float* x) { return leaky(x[0]); }},
    {"two",
     "graph @m(%a: f32[N], %b: f32[N]) -> (f32[N]) { %y = leaky_relu.grad(%a, %b) return %y }", 2,
     [](const float* x) { return x[0] > 0 ? x[1] : 0.01F * x[1]; }},
    {"three",
     "graph @m(%a: f32[N], %b: f32[N], %c: f32[N]) -> (f32[N]) { %p = mul(%a, %b) %y = sub(%p, %c) "
     "return %y }",
     3, [](const float* x) { return x[0] * x[1] - x[2]; }},
    {"four",
     "graph @m(%a: f32[N], %b: f32[N], %c: f32[N], %d: f32[N]) -> (f32[N]) { %p = mul(%a, %b) "
     "%q = mul(%c, %d) %y = sub(%p, %q) return %y }",
     4,
     [](const float* x) {
       const float p = x[0] * x[1], q = x[2] * x[3];
       return p - q;
     }},
    // With operands that are read again, and stay in registers.
    {"kept",
     "graph @m(%a: f32[N], %b: f32[N], %c: f32[N], %d: f32[N]) -> (f32[N]) { %p = mul(%a, %b) "
     "%q = mul(%p, %c) %s = sub(%q, %a) %t = sub(%s, %b) %u = sub(%t, %c) %y = mul(%u, %d) return "
     "%y }",
     4,
     [](const float* x) {
       const float p = x[0] * x[1], q = p * x[2];
       const float s = q - x[0], t = s - x[1];
       return (t - x[2]) * x[3];
     }},
};

// Bytes of operands and result from which another loop may run (lowering/choose_streams.cc); the
// first two are of first caches of 48 KB.
constexpr std::int64_t kSteps[] = {48 << 10, 96 << 10, 1 << 18,  1 << 20,  2 << 20, 5 << 19,
                                   15 << 18, 5 << 20,  12 << 20, 24 << 20, 64 << 20};
constexpr std::int64_t kMost = (64 << 20) / 8 + 64;  // elements
constexpr std::int64_t kMargin = 32;                 // before and behind a result
constexpr float kUntouched = 12345;

void PrintTo(const MapCase& map, std::ostream* out) { *out << map.name; }

class FarMaps : public testing::TestWithParam<MapCase> {
 protected:
  void check(const Executable& executable, std::int64_t count, std::int64_t from,
             const weir_executor* executor) {
    const MapCase& map = GetParam();
    std::vector<Tensor> given, results;
    for (std::size_t i = 0; i < map.operands; ++i)
      given.push_back(Tensor::view(DType::f32, {count}, operands_[i].data() + i));
    std::vector<float> memory(static_cast<std::size_t>(count + 2 * kMargin), kUntouched);
    float* begin = memory.data() + kMargin + from;
    results.push_back(Tensor::view(DType::f32, {count}, begin));
    executable.run_into(given, results, executor);
    std::vector<float> expected(memory.size(), kUntouched);
    for (std::int64_t i = 0; i < count; ++i) {
      float x[4];
      for (std::size_t k = 0; k < map.operands; ++k)
        x[k] = operands_[k][static_cast<std::size_t>(i) + k];
      expected[static_cast<std::size_t>(kMargin + from + i)] = map.formula(x);
    }
    ASSERT_EQ(std::memcmp(memory.data(), expected.data(), memory.size() * sizeof(float)), 0)
        << count << " elements, the result's first " << from << " behind, "
        << (executor == nullptr ? "one thread" : "several");
  }

  // Values that differ from element to element, of either sign; each operand is read from a
  // different place in a line on.
  void SetUp() override {
    for (std::size_t k = 0; k < GetParam().operands; ++k) {
      operands_.emplace_back(static_cast<std::size_t>(kMost) + 4);
      for (std::size_t i = 0; i < operands_[k].size(); ++i)
        operands_[k][i] =
            static_cast<float>(static_cast<std::int32_t>(i * 2654435761U + k * 40503U)) * 1e-6F;
    }
  }

  std::vector<std::vector<float>> operands_;
};

TEST_P(FarMaps, EqualTheFormulaOnBothSidesOfEverySize) {
  const auto bytes = static_cast<std::int64_t>((GetParam().operands + 1) * sizeof(float));
  for (const VectorLevel& level :
       vector_levels().first(std::min<std::size_t>(2, vector_levels().size()))) {
    const Graph graph = parse(GetParam().text);
    CompileOptions options;
    options.target.cpu = level.cpu;
    const Executable read_soon = weir::compile(Model{graph, {}}, options);
    options.outputs_leave = true;
    const Executable leaving = weir::compile(Model{graph, {}}, options);
    for (std::int64_t step : kSteps)
      for (std::int64_t count : {step / bytes - 5, step / bytes + 19}) {
        check(read_soon, count, 0, nullptr);
        check(read_soon, count, 3, test_executors()[0]);
        check(leaving, count, 3, nullptr);
        check(leaving, count, 0, test_executors()[0]);
      }
  }
}

// Rows begin and end with single elements, unless they are whole lines.
TEST(FarRows, EqualTheFormulaWhateverTheirLength) {
  const Graph graph = parse(
      "graph @m(%a: f32[N, K], %b: f32[K]) -> (f32[N, K]) { %s = add(%a, %b) %y = relu(%s) return "
      "%y }");
  for (const VectorLevel& level :
       vector_levels().first(std::min<std::size_t>(2, vector_levels().size()))) {
    const Executable executable = compile({graph, {}, {}}, {level});
    for (std::int64_t columns : {33, 63, 64, 191, 192, 193, 500}) {
      const std::int64_t rows = (66 << 20) / 8 / columns;
      std::vector<float> a(static_cast<std::size_t>(rows * columns)), b(500);
      for (std::size_t i = 0; i < a.size(); ++i) a[i] = static_cast<float>(i % 1001) - 500;
      for (std::size_t i = 0; i < b.size(); ++i) b[i] = static_cast<float>(i) - 250;
      const std::vector<Tensor> given{Tensor::view(DType::f32, {rows, columns}, a.data()),
                                      Tensor::view(DType::f32, {columns}, b.data())};
      std::vector<float> memory(a.size() + 2 * kMargin, kUntouched);
      std::vector<Tensor> results{
          Tensor::view(DType::f32, {rows, columns}, memory.data() + kMargin + 1)};
      executable.run_into(given, results);
      std::vector<float> expected(memory.size(), kUntouched);
      for (std::size_t i = 0; i < a.size(); ++i)
        expected[kMargin + 1 + i] = std::max(0.0F, a[i] + b[i % static_cast<std::size_t>(columns)]);
      ASSERT_EQ(std::memcmp(memory.data(), expected.data(), memory.size() * sizeof(float)), 0)
          << rows << " rows of " << columns;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Operands, FarMaps, testing::ValuesIn(kMaps),
                         [](const auto& map) { return map.param.name; });

}  // namespace
}  // namespace weir::test
