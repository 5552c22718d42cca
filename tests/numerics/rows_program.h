// A compiled program of pointwise ops, run so that every element lies in the body of the vector
// loop, or every element in its tail.
//
// The program works on rows: elements [M, K], with a vector of negative zeros, [K], added to the
// first operand, which changes nothing and keeps the rows apart. One long row is all body; rows
// that are shorter than a vector are all tail.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "compiler/executable.h"
#include "ir/dtype.h"
#include "ir/graph.h"

namespace weir::numerics {

enum class Part { body, tail };

// `parameters` and `body` in the text form, on %t, which is the first operand x.
Graph rows_graph(DType type, std::string_view parameters, std::string_view body);

class RowsProgram {
 public:
  // For a graph of rows_graph(), or its gradient.
  RowsProgram(const Graph& graph, DType type, const std::string& cpu);

  // On columns of `count` elements that have room for kRoom more, which may be written.
  static constexpr std::int64_t kRoom = 16;
  void run(std::int64_t count, std::span<void* const> operands, std::span<void* const> results,
           Part part) const;

 private:
  DType type_;
  std::int64_t tail_;  // a row that is shorter than a vector
  Executable executable_;
};

}  // namespace weir::numerics
