// Ten thousand models compiled, run and dropped, each with code of its own: the memory that stays
// resident does not grow. And what each model keeps resident while it lives. Both take minutes, so
// they have a label of their own: ./dev test --soak.

#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <vector>

#include <gtest/gtest.h>

#include "compiler/pipeline.h"

namespace weir {
namespace {

std::size_t resident_bytes() {
  std::size_t total = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

// leaky_relu(x) * number on f32[N, columns]: other numbers and columns make other code.
Executable compiled(int number) {
  GraphBuilder builder("model");
  Var x = builder.input("x", DType::f32, {Dim::symbol("N"), 3 + number % 61});
  Var scaled = builder.apply(
      "mul", {builder.apply("leaky_relu", {x}), builder.scalar(DType::f32, number + 2)});
  builder.output("y", scaled);
  return compile(builder.finish());
}

TEST(Soak, ten_thousand_models_leave_nothing_behind) {
  constexpr int kModels = 10000, kWarmUp = 500;
  // Half a page a model would be ten times as much.
  constexpr std::size_t kCeiling = std::size_t{2} << 20;
  std::size_t settled = 0;
  for (int i = 0; i < kModels; ++i) {
    if (i == kWarmUp) settled = resident_bytes();
    Executable executable = compiled(i);
    Tensor x(DType::f32, {2, 3 + i % 61});
    x.mutable_elements<float>()[1] = 0.5F;
    std::vector<Tensor> inputs{x};
    ASSERT_EQ(executable.run(inputs)[0].elements<float>()[1], 0.5F * static_cast<float>(i + 2))
        << i;
    if (i >= kWarmUp) {
      ASSERT_LT(resident_bytes(), settled + kCeiling) << "after " << i << " models";
    }
  }
}

TEST(Soak, a_small_model_keeps_less_than_64_kilobytes_resident) {
  constexpr int kWarmUp = 200, kModels = 400;
  for (int i = 0; i < kWarmUp; ++i) compiled(i);
  std::size_t before = resident_bytes();
  std::vector<Executable> models;
  for (int i = 0; i < kModels; ++i) models.push_back(compiled(i));
  std::size_t each = (resident_bytes() - before) / kModels;
  RecordProperty("bytes a model", std::to_string(each));
  std::printf("%zu bytes a model\n", each);
  EXPECT_LT(each, std::size_t{64} << 10);
}

}  // namespace
}  // namespace weir
