// What a model is trained on: rows of data and of targets.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "ir/dim.h"
#include "ir/graph.h"
#include "ir/tensor.h"
#include "ir/type.h"

namespace weir {

// Row i of the targets belongs to row i of the data.
struct DataSet {
  Tensor data, targets;
  std::int64_t rows() const { return data.sizes()[0]; }
};

// Error if there are no rows, or not as many of both.
void check_data(const DataSet& set);
// Error, with the row, if a target is not the number of a class.
void check_labels(const Tensor& targets, std::int64_t classes);

// The tensor as rows of an input of that type, whose first dimension is a symbol and counts them:
// each row in the input's shape, if it has as many elements, and times `scale`. Error, about
// `what`, if rows do not fit, and for numbers that are not whole where the input takes integers.
Tensor as_rows_of(const Tensor& tensor, const TensorType& input, std::string_view what,
                  double scale = 1);

// All numbers below `count`, in an order that the seed and the number of the epoch fix.
std::vector<std::int64_t> shuffled(std::int64_t count, std::uint64_t seed, std::int64_t epoch);
// Two sets, whose rows keep their order: `part` of the rows, which the
// seed draws, are the second one. Error if that leaves none in either.
std::pair<DataSet, DataSet> split(const DataSet& set, double part, std::uint64_t seed);

// Rows `begin` to `end` as a view.
DataSet rows_of(const DataSet& set, std::int64_t begin, std::int64_t end);

// What the symbols of a graph stand for in a step on so many rows of the set, which has as many at
// least: its two inputs take data and targets. A symbol whose size does not follow from these is
// left out.
Dim::Bindings sizes_of_batch(const Graph& graph, const DataSet& set, std::int64_t rows);

// Memory for the rows of a batch, of which the last one of an epoch may want fewer.
class Batch {
 public:
  // The set must outlive the batch.
  Batch(const DataSet& set, std::int64_t most_rows);
  // Data and targets of these rows; the memory is written again by the next call.
  std::vector<Tensor> take(std::span<const std::int64_t> rows);

 private:
  const DataSet& set_;
  DataSet memory_;
};

}  // namespace weir
