// Random programs of ops that are several in one: windows of pools, resizes by mode, and what reads
// or writes by index.
//
// What random_program.h generates has only what fits by chance, so that windows with strides and
// dilations are rare there, and attributes that are words keep their defaults.
#pragma once

#include <cstdint>

#include "tests/unit/pipeline/compiled.h"

namespace weir::test {

// The program of a seed: one such op, mostly between maps, and in every second program of floating
// point its gradients.
Program random_variant(std::uint64_t seed);

}  // namespace weir::test
