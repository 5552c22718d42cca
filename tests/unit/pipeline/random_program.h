// Random programs: graphs made from the op registry alone, and the smallest one that still fails.
#pragma once

#include <cstdint>
#include <functional>

#include "tests/unit/pipeline/compiled.h"

namespace weir::test {

// The program of a seed: 1 to 14 nodes, up to 5 in most, dimensions of 0 to 70 and now and then
// several thousand, with symbols bound to the sizes of its inputs. Ops are chosen by family and
// used on whatever their declarations admit.
Program random_program(std::uint64_t seed);

// Drops outputs, cuts off nodes and reduces dimensions as long as `fails` holds for what is left.
Program shrink(Program program, const std::function<bool(const Program&)>& fails);

// The number in an environment variable, or `otherwise` if that is not set. Throws if it is
// anything else than a number from `least`: a test that runs nothing would pass.
std::uint64_t from_environment(const char* name, std::uint64_t otherwise, std::uint64_t least);

}  // namespace weir::test
