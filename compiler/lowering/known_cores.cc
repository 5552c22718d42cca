#include "compiler/lowering/known_cores.h"

#include <algorithm>
#include <array>

namespace weir {
namespace {

struct KnownCore {
  std::string_view cpu;
  Core core;
};

constexpr Cache kilobytes(std::int64_t count, std::int64_t ways) { return {count << 10, ways}; }

// With half of the second cache's 2 MB: operands that lie in rows cost more from there than from a
// smaller one (docs/decisions/cores.md).
constexpr Core kRapids{kilobytes(48, 12), kilobytes(1024, 8),   2, 4, 64,
                       PastCaches::late,  std::int64_t{4} << 10};

// As their makers publish them. Schedules were measured on znver3 to znver5 and on one of kRapids.
constexpr std::array kKnownCores{
    KnownCore{"haswell", {kilobytes(32, 8), kilobytes(256, 8), 2, 5}},
    KnownCore{"broadwell", {kilobytes(32, 8), kilobytes(256, 8), 2, 5}},
    KnownCore{"skylake", {kilobytes(32, 8), kilobytes(256, 4), 2, 4}},
    KnownCore{"skylake-avx512", {kilobytes(32, 8), kilobytes(1024, 16), 2, 4, 64}},
    KnownCore{"cascadelake", {kilobytes(32, 8), kilobytes(1024, 16), 2, 4, 64}},
    KnownCore{"icelake-server", {kilobytes(48, 12), kilobytes(1280, 20), 2, 4, 64}},
    KnownCore{"sapphirerapids", kRapids},
    KnownCore{"emeraldrapids", kRapids},
    KnownCore{"graniterapids", kRapids},
    KnownCore{"graniterapids-d", kRapids},
    KnownCore{"znver2", {kilobytes(32, 8), kilobytes(512, 8), 2, 5}},
    KnownCore{"znver3", {kilobytes(32, 8), kilobytes(512, 8), 2, 4}},
    KnownCore{"znver4", {kilobytes(32, 8), kilobytes(1024, 8), 2, 4}},
    KnownCore{"znver5",
              {kilobytes(48, 12), kilobytes(1024, 16), 2, 4, 64, PastCaches::early_apart}},
    KnownCore{"neoverse-n1", {kilobytes(64, 4), kilobytes(1024, 8), 2, 4}},
    KnownCore{"neoverse-v1", {kilobytes(64, 4), kilobytes(1024, 8), 4, 4}},
};

}  // namespace

Core core_of(std::string_view cpu) {
  const auto* known = std::ranges::find(kKnownCores, cpu, &KnownCore::cpu);
  return known == kKnownCores.end() ? Core() : known->core;
}

std::string_view name_by_features(std::string_view cpu, bool has_tiles) {
  constexpr std::string_view kFirstWithTiles = "sapphirerapids";
  return has_tiles && core_of(cpu) != core_of(kFirstWithTiles) ? kFirstWithTiles : cpu;
}

}  // namespace weir
