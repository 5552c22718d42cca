//   forward    x > 0 ? x : slope * x
//   gradient   g * (x > 0 ? 1 : slope), for upstream gradients g that are hard: -0, infinity, NaN,
//              denormal
// NaN results compare equal whatever their payload.
#include "tests/numerics/slopes.h"

#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <mutex>
#include <vector>

#include <fmt/format.h>

#include "ir/scalar/constant.h"
#include "runtime/thread_pool.h"
#include "tests/numerics/rows_program.h"
#include "tests/unit/pipeline/compiled.h"

namespace weir::numerics {
namespace {

constexpr std::int64_t kStride = 1 << 13;
constexpr std::size_t kWidth = kStride + RowsProgram::kRoom;
constexpr std::array kSlopes{0.01, 0.1, 0.2, 0.0, -0.5, 1.0, 2.0};
constexpr std::array kUpstream{1.0f, -0.0f, std::numeric_limits<float>::infinity(),
                               std::numeric_limits<float>::quiet_NaN(), 1e-40f};
constexpr std::size_t kResults = 1 + kUpstream.size();
constexpr int kMostNamed = 5;

float leaky_relu(float x, float slope) { return x > 0 ? x : slope * x; }
float gradient(float x, float slope, float upstream) { return upstream * (x > 0 ? 1.0f : slope); }

// The value, and the gradient for each of the upstream ones.
Graph value_and_gradients(double slope) {
  std::string attributes = fmt::format("{{negative_slope = {}}}", scalar::shortest(slope));
  std::string parameters, body = fmt::format("  %y = leaky_relu(%t) {}\n", attributes),
                          results = "  return %y";
  for (std::size_t i = 0; i < kUpstream.size(); ++i) {
    parameters += fmt::format(", %g{}: f32[M, K]", i);
    body += fmt::format("  %d{0} = leaky_relu.grad(%t, %g{0}) {1}\n", i, attributes);
    results += fmt::format(", %d{}", i);
  }
  return rows_graph(DType::f32, parameters, body + results + "\n");
}

bool same(float a, float b) {
  return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b) ||
         (std::isnan(a) && std::isnan(b));
}

// One slope at all levels.
class Slope {
 public:
  Slope(double slope, const Points<float>& points, int threads)
      : slope_(slope), points_(points), pool_(threads) {
    Graph graph = value_and_gradients(slope);
    for (const test::VectorLevel& level : test::vector_levels())
      programs_.emplace_back(level.name(), RowsProgram(graph, DType::f32, level.cpu));
    columns_.resize(static_cast<std::size_t>(threads));
    for (std::size_t i = 0; i < kUpstream.size(); ++i) upstream_.emplace_back(kWidth, kUpstream[i]);
  }

  std::string faults() {
    pool_.parallel_for((points_.size() + kStride - 1) / kStride,
                       [](void* self, std::ptrdiff_t chunk, int worker) {
                         auto& slope = *static_cast<Slope*>(self);
                         slope.run_chunk(chunk, slope.columns_[static_cast<std::size_t>(worker)]);
                       },
                       this);
    return std::move(faults_);
  }

 private:
  struct Columns {
    std::vector<float> x = std::vector<float>(kWidth);
    std::vector<std::vector<float>> expected{kResults, std::vector<float>(kWidth)};
    std::vector<std::vector<float>> actual{kResults, std::vector<float>(kWidth)};
  };

  void run_chunk(std::int64_t chunk, Columns& columns) {
    std::int64_t begin = chunk * kStride;
    std::int64_t count = std::min(kStride, points_.size() - begin);
    auto size = static_cast<std::size_t>(count);
    auto slope = static_cast<float>(slope_);
    for (std::size_t i = 0; i < size; ++i) {
      columns.x[i] = points_[begin + static_cast<std::int64_t>(i)];
      columns.expected[0][i] = leaky_relu(columns.x[i], slope);
    }
    for (std::size_t r = 1; r < kResults; ++r)
      for (std::size_t i = 0; i < size; ++i)
        columns.expected[r][i] = gradient(columns.x[i], slope, kUpstream[r - 1]);

    std::array<void*, kResults> operands{columns.x.data()}, results{};
    for (std::size_t i = 0; i < kUpstream.size(); ++i) operands[i + 1] = upstream_[i].data();
    for (std::size_t i = 0; i < kResults; ++i) results[i] = columns.actual[i].data();
    for (const auto& [level, program] : programs_) {
      for (Part part : {Part::body, Part::tail}) {
        program.run(count, operands, results, part);
        for (std::size_t r = 0; r < kResults; ++r)
          compare(columns, r, size, level + (part == Part::body ? "" : ", tail"));
      }
    }
  }

  void compare(const Columns& columns, std::size_t result, std::size_t size,
               const std::string& way) {
    const std::vector<float>&actual = columns.actual[result], &expected = columns.expected[result];
    if (std::memcmp(actual.data(), expected.data(), size * sizeof(float)) == 0) return;
    for (std::size_t i = 0; i < size; ++i) {
      if (same(actual[i], expected[i])) continue;
      std::lock_guard lock(mutex_);
      if (++count_ > kMostNamed) return;
      faults_ +=
          fmt::format("slope {}, {}, at {}, on {}: {} instead of {}\n", slope_,
                      result == 0 ? "value" : fmt::format("gradient for {}", kUpstream[result - 1]),
                      columns.x[i], way, actual[i], expected[i]);
    }
  }

  double slope_;
  const Points<float>& points_;
  ThreadPool pool_;
  std::vector<std::pair<std::string, RowsProgram>> programs_;
  std::vector<std::vector<float>> upstream_;
  std::vector<Columns> columns_;
  std::mutex mutex_;
  std::string faults_;
  int count_ = 0;
};

}  // namespace

std::string check_slopes(const Points<float>& points, int threads) {
  std::string faults;
  for (double slope : kSlopes) faults += Slope(slope, points, threads).faults();
  return faults;
}

}  // namespace weir::numerics
