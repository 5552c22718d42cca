#include "tests/numerics/points.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <random>

namespace weir::numerics {
namespace {

constexpr int kNeighbours = 40;  // to either side

// Joins and ends of the expansions and of the activations, in f32 and in f64.
constexpr std::array kPlaces{
    0.25,   0.3465736, 0.5,       0.55,      0.625,    0.6931472, 0.7071068, 0.75,      0.9,
    1.0,    1.0397208, 1.5,       2.0,       3.0,      4.0,       4.5,       5.0,       6.0,
    8.0,    8.317766,  9.01,      9.1,       10.06,    13.2,      14.2,      16.64,     17.33,
    18.0,   19.0,      26.55,     27.3,      36.05,    37.43,     38.57,     41.4465,   44.0,
    66.5,   77.9,      87.34,     88.0,      88.72284, 89.0,      103.28,    103.97,    104.0,
    110.0,  354.9,     531.0,     559.0,     708.4,    709.78271, 710.0,     745.13321, 746.0,
    1000.0, 65504.0,   8388608.0, 16777216.0};

template <class T>
void add_neighbours(T x, std::vector<T>& list) {
  T below = x, above = x;
  list.push_back(x);
  for (int i = 0; i < kNeighbours; ++i) {
    below = std::nextafter(below, -std::numeric_limits<T>::infinity());
    above = std::nextafter(above, std::numeric_limits<T>::infinity());
    list.insert(list.end(), {below, above});
  }
}

template <class T>
void add_places(std::vector<T>& list) {
  using Limits = std::numeric_limits<T>;
  std::vector<T> places{0, Limits::min(), Limits::max(), Limits::infinity(), Limits::quiet_NaN()};
  for (double place : kPlaces) places.push_back(static_cast<T>(place));
  for (int i = 1; i <= 64; ++i) places.push_back(static_cast<T>(i * 0.78539816339744831));
  for (int i = 1; i < Limits::max_exponent; i += Limits::max_exponent / 32) {
    places.push_back(std::ldexp(T(1), i));
    places.push_back(std::ldexp(T(1), -i));
  }
  for (T place : places)
    for (T x : {place, -place}) add_neighbours(x, list);
}

template <class T>
Points<T> in_order(std::vector<T> list) {
  add_places(list);
  std::sort(list.begin(), list.end(), [](T a, T b) {
    if (std::isnan(a) || std::isnan(b)) return !std::isnan(a) && std::isnan(b);
    if (a != b) return a < b;
    return std::signbit(a) && !std::signbit(b);  // -0 before 0
  });
  return Points<T>(std::move(list));
}

std::uint64_t mixed(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

template <class T>
T exponent(T x, std::uint64_t bits) {
  using Limits = std::numeric_limits<T>;
  static const std::array<T, 24> kSpecial{0,
                                          T(-0.0),
                                          1,
                                          -1,
                                          2,
                                          -2,
                                          3,
                                          -3,
                                          T(0.5),
                                          T(-0.5),
                                          T(1.5),
                                          T(-2.5),
                                          T(1) / 3,
                                          7,
                                          16,
                                          -17,
                                          Limits::infinity(),
                                          -Limits::infinity(),
                                          Limits::quiet_NaN(),
                                          Limits::denorm_min(),
                                          Limits::epsilon(),
                                          T(1e10),
                                          16777216,
                                          16777215};
  std::uint64_t random = mixed(bits + 0x9e3779b97f4a7c15u);
  if (random % 4 == 0) return kSpecial[(random >> 8) % kSpecial.size()];
  double uniform = static_cast<double>(random >> 11) * 0x1p-52 - 1;
  double range = 1.08 * Limits::max_exponent;
  double magnitude = std::fabs(std::log2(std::fabs(static_cast<double>(x))));
  double y = uniform * (magnitude > 0 && std::isfinite(magnitude) ? range / magnitude : 20);
  return static_cast<T>(std::signbit(x) ? std::nearbyint(y) : y);
}

}  // namespace

Points<float> strided_floats(std::int64_t stride) {
  std::vector<float> list;
  for (std::int64_t i = 0; i < kAllFloats; i += stride) list.push_back(float_at(i));
  return in_order(std::move(list));
}

Points<double> sampled_doubles(std::int64_t count) {
  std::vector<double> list;
  std::mt19937_64 random(1);
  std::uniform_real_distribution<double> uniform(-1, 1);
  for (std::int64_t i = 0; i < count; ++i) {
    double x = uniform(random);
    switch (i % 8) {
      case 0:
        x = std::bit_cast<double>(random());
        break;
      case 1:
        x *= 760;
        break;
      case 2:
      case 3:
        x *= 40;
        break;
      default:
        x = std::copysign(std::exp2(20 * x - 8), uniform(random));
    }
    list.push_back(x);
  }
  return in_order(std::move(list));
}

float exponent_for(float x) { return exponent(x, std::bit_cast<std::uint32_t>(x)); }
double exponent_for(double x) { return exponent(x, std::bit_cast<std::uint64_t>(x)); }

}  // namespace weir::numerics
