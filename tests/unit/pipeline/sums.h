// What the tests of sums that other kernels make have in common.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include "tests/unit/pipeline/compiled.h"

namespace weir::test {

// How many of a program's kernels fold across rows, if so many is said, so many sums; on a
// processor of this kind or on this machine.
std::ptrdiff_t row_folds(const Graph& graph, const std::string& cpu = {},
                         std::optional<std::size_t> sums = std::nullopt);

// Expects the bits of the interpreter of compiled code at every level, on random inputs of these
// sizes; if `special`, with infinities and NaN among them.
void expect_equal(const Graph& graph, const std::vector<Dim::Bindings>& sizes,
                  bool special = false);

// Bindings of N.
std::vector<Dim::Bindings> rows_of(std::initializer_list<std::int64_t> counts);

}  // namespace weir::test
