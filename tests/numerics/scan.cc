#include "tests/numerics/scan.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <mutex>

#include <fmt/format.h>

#include "compiler/autodiff/gradient.h"
#include "runtime/thread_pool.h"
#include "tests/numerics/glance.h"
#include "tests/numerics/rows_program.h"
#include "tests/unit/pipeline/compiled.h"

namespace weir::numerics {
namespace {

constexpr std::int64_t kChunk = 1 << 13;  // points at a time: all columns stay in the second cache
constexpr std::size_t kColumn = kChunk + RowsProgram::kRoom;
constexpr std::size_t kMostDescribed = 5;

template <class T>
using Unsigned = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;

template <class T>
bool same(T a, T b) {
  return std::bit_cast<Unsigned<T>>(a) == std::bit_cast<Unsigned<T>>(b) || (a != a && b != b);
}

template <class T>
Wide<T> limit() {  // the power of two after the largest number
  return wide::scaled(Wide<T>(1), std::numeric_limits<T>::max_exponent);
}

// In ulp; infinite for what no bound allows.
template <class T>
double error_in_ulp(T result, const Exact<Wide<T>>& exact, bool is_value) {
  using Limits = std::numeric_limits<T>;
  constexpr double wrong = std::numeric_limits<double>::infinity();
  bool is_nan = wide::is_nan(exact.value);
  if (is_nan || result != result) return is_nan && result != result ? 0 : wrong;
  if (result == 0 && is_value && std::signbit(result) != wide::negative(exact.value)) return wrong;
  if (wide::fabs(exact.value) >= limit<T>())
    return std::isinf(result) && (result > 0) == (exact.value > 0) ? 0 : wrong;
  Wide<T> value = static_cast<Wide<T>>(result);
  if (std::isinf(result)) value = result > 0 ? limit<T>() : -limit<T>();
  Wide<T> magnitude = wide::fabs(exact.value);
  if (exact.unit > magnitude) magnitude = exact.unit;
  int exponent = Limits::min_exponent - 1;
  if (magnitude > 0) exponent = std::max(exponent, wide::exponent_of(magnitude));
  return static_cast<double>(
      wide::scaled(wide::fabs(value - exact.value), Limits::digits - 1 - exponent));
}

Graph value_and_derivative(const Function& function, DType type) {
  std::string parameters =
      function.operands() == 2 ? fmt::format(", %y: {}[M, K]", name(type)) : "";
  Graph graph =
      rows_graph(type, parameters, fmt::format("  %r = {}\n  return %r\n", function.text));
  std::vector<std::string> wrt{"x"};
  if (function.operands() == 2) wrt.emplace_back("y");
  return gradient(graph, wrt);
}

// One level of vectors.
struct Way {
  std::string name;
  bool has_fma;
  RowsProgram program;
};

template <class T>
class Scanner {
 public:
  Scanner(const Function& function, const Points<T>& points, int threads)
      : function_(function), points_(points), pool_(threads), mutex_(), result_() {
    constexpr DType type = sizeof(T) == 4 ? DType::f32 : DType::f64;
    Graph graph = value_and_derivative(function, type);
    for (const test::VectorLevel& level : test::vector_levels())
      if (!points.all() || level.cpu != "x86-64-v2")
        ways_.push_back({level.name(), level.has_fma, RowsProgram(graph, type, level.cpu)});
    result_.points = points.size();
    result_.largest.resize(static_cast<std::size_t>(function.results()));
    for (int i = 0; i < threads; ++i) columns_.push_back(std::make_unique<Columns>(function));
  }

  Scan run() {
    std::int64_t chunks = (points_.size() + kChunk - 2) / (kChunk - 1);
    pool_.parallel_for(
        chunks,
        [](void* self, std::ptrdiff_t chunk, int worker) {
          auto& scanner = *static_cast<Scanner*>(self);
          scanner.run_chunk(chunk, *scanner.columns_[static_cast<std::size_t>(worker)]);
        },
        this);
    return std::move(result_);
  }

 private:
  // What one thread works on.
  struct Columns {
    explicit Columns(const Function& function)
        : operands(2, std::vector<T>(kColumn)),
          exact(static_cast<std::size_t>(function.results()),
                std::vector<Exact<Wide<T>>>(kColumn)) {
      std::vector<std::vector<T>> columns(static_cast<std::size_t>(function.results()),
                                          std::vector<T>(kColumn));
      with_fma = without_fma = others = columns;
      largest.resize(columns.size());
    }
    std::vector<std::vector<T>> operands, with_fma, without_fma, others;
    std::vector<std::vector<Exact<Wide<T>>>> exact;
    std::int64_t count = 0;
    std::vector<std::array<double, 2>> largest;  // what this thread has reported
  };

  // Chunks overlap by a point, so that each step lies in one of them.
  void run_chunk(std::int64_t chunk, Columns& columns) {
    std::int64_t begin = chunk * (kChunk - 1);
    columns.count = std::min(kChunk, points_.size() - begin);
    auto count = static_cast<std::size_t>(columns.count);
    std::vector<T>& x = columns.operands[0];
    std::vector<T>& y = columns.operands[1];
    for (std::size_t i = 0; i < count; ++i) x[i] = points_[begin + static_cast<std::int64_t>(i)];
    if (function_.operands() == 2)
      for (std::size_t i = 0; i < count; ++i) y[i] = exponent_for(x[i]);
    std::array<Exact<Wide<T>>, 3> exact;
    for (std::size_t i = 0; i < count; ++i) {
      reference(x[i], y[i], exact.data());
      for (std::size_t r = 0; r < columns.exact.size(); ++r) columns.exact[r][i] = exact[r];
    }
    std::array<std::string, 2> leader;
    for (const Way& way : ways_) {
      std::vector<std::vector<T>>& first = way.has_fma ? columns.with_fma : columns.without_fma;
      std::string& leading = leader[way.has_fma ? 0 : 1];
      for (Part part : {Part::body, Part::tail}) {
        bool leads = leading.empty();
        std::string name = way.name + (part == Part::body ? "" : ", tail");
        if (leads) leading = name;
        std::vector<std::vector<T>>& results = leads ? first : columns.others;
        run_way(way.program, part, columns, results);
        if (!leads) compare(columns, results, first, name, leading);
      }
    }
    if (!leader[0].empty()) judge(columns, columns.with_fma, 0, leader[0]);
    if (!leader[1].empty()) judge(columns, columns.without_fma, 1, leader[1]);
  }

  void reference(T x, T y, Exact<Wide<T>>* results) const {
    auto wide_x = static_cast<Wide<T>>(x), wide_y = static_cast<Wide<T>>(y);
    if constexpr (sizeof(T) == 4)
      function_.of_f32(wide_x, wide_y, results);
    else
      function_.of_f64(wide_x, wide_y, results);
  }

  void run_way(const RowsProgram& program, Part part, Columns& columns,
               std::vector<std::vector<T>>& results) const {
    std::array<void*, 2> operands{columns.operands[0].data(), columns.operands[1].data()};
    std::array<void*, 3> outputs{};
    for (std::size_t r = 0; r < results.size(); ++r) outputs[r] = results[r].data();
    program.run(columns.count,
                std::span(operands).first(static_cast<std::size_t>(function_.operands())),
                std::span(outputs).first(results.size()), part);
  }

  void compare(const Columns& columns, const std::vector<std::vector<T>>& results,
               const std::vector<std::vector<T>>& first, const std::string& name,
               const std::string& leading) {
    auto count = static_cast<std::size_t>(columns.count);
    for (std::size_t r = 0; r < results.size(); ++r) {
      if (std::memcmp(results[r].data(), first[r].data(), count * sizeof(T)) == 0) continue;
      for (std::size_t i = 0; i < count; ++i)
        if (!same(results[r][i], first[r][i]))
          fault(columns, i, r,
                fmt::format("{} on {}, {} on {}", results[r][i], name, first[r][i], leading));
    }
  }

  void judge(Columns& columns, const std::vector<std::vector<T>>& results, std::size_t arithmetic,
             const std::string& leading) {
    auto count = static_cast<std::size_t>(columns.count);
    for (std::size_t r = 0; r < results.size(); ++r) {
      const Bounds& bounds = function_.bounds(sizeof(T) == 4, static_cast<int>(r));
      double bound = arithmetic == 0 ? bounds.with_fma : bounds.without;
      double& known = columns.largest[r][arithmetic];
      {
        std::lock_guard lock(mutex_);
        if (!result_.largest[r][arithmetic]) result_.largest[r][arithmetic].emplace();
      }
      if constexpr (sizeof(T) == 4)
        if (nothing_new(columns.exact[r].data(), results[r].data(), count, known, r == 0)) continue;
      for (std::size_t i = 0; i < count; ++i) {
        double error = error_in_ulp(results[r][i], columns.exact[r][i], r == 0);
        if (error > bound)
          fault(columns, i, r,
                fmt::format("{} on {} instead of {}: {:.2f} ulp", results[r][i], leading,
                            static_cast<double>(columns.exact[r][i].value), error));
        if (error <= known || std::isinf(error)) continue;
        known = error;
        std::lock_guard lock(mutex_);
        Largest& largest = *result_.largest[r][arithmetic];
        if (error > largest.ulp)
          largest = {error, static_cast<double>(columns.operands[0][i]),
                     static_cast<double>(columns.operands[1][i])};
      }
    }
    if (function_.direction != Direction::none) check_steps(columns, results[0], leading);
  }

  void check_steps(Columns& columns, const std::vector<T>& results, const std::string& leading) {
    auto count = static_cast<std::size_t>(columns.count);
    bool up = function_.direction == Direction::increasing;
    const std::vector<T>& x = columns.operands[0];
    int wrong = 0;
    for (std::size_t i = 1; i < count; ++i) {
      bool back = up ? results[i] < results[i - 1] : results[i] > results[i - 1];
      wrong |= static_cast<int>(back);
    }
    if (wrong == 0) return;
    for (std::size_t i = 1; i < count; ++i) {
      if (function_.steps_at_zero && x[i - 1] <= 0 && x[i] >= 0) continue;
      if (up ? results[i] < results[i - 1] : results[i] > results[i - 1])
        fault(
            columns, i, 0,
            fmt::format("{} follows {} on {}: not monotone", results[i], results[i - 1], leading));
    }
  }

  void fault(const Columns& columns, std::size_t point, std::size_t result,
             const std::string& what) {
    std::lock_guard lock(mutex_);
    ++result_.faults;
    if (result_.descriptions.size() >= kMostDescribed) return;
    std::string where = fmt::format("{}", columns.operands[0][point]);
    if (function_.operands() == 2) where += fmt::format(", {}", columns.operands[1][point]);
    result_.descriptions.push_back(
        fmt::format("{} at {}: {}", function_.name_of(static_cast<int>(result)), where, what));
  }

  const Function& function_;
  const Points<T>& points_;
  ThreadPool pool_;
  std::vector<Way> ways_;
  std::vector<std::unique_ptr<Columns>> columns_;
  std::mutex mutex_;
  Scan result_;
};

}  // namespace

template <class T>
Scan scan(const Function& function, const Points<T>& points, int threads) {
  return Scanner<T>(function, points, threads).run();
}

template Scan scan<float>(const Function&, const Points<float>&, int);
template Scan scan<double>(const Function&, const Points<double>&, int);

}  // namespace weir::numerics
