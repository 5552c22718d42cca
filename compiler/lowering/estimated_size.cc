#include "compiler/lowering/estimated_size.h"

#include <string>
#include <vector>

namespace weir {

double estimated_size(const Dim& dim, std::int64_t symbol) {
  std::vector<std::string> names;
  dim.collect_symbols(names);
  Dim::Bindings bindings;
  for (const std::string& name : names) bindings[name] = symbol;
  return static_cast<double>(dim.evaluate(bindings).value_or(symbol));
}

double estimated_elements(const Shape& shape) {
  double elements = 1;
  for (const Dim& dim : shape) elements *= estimated_size(dim);
  return elements;
}

double reads_of_each(const Kernel& kernel, const Stage& fold, const Shape& shape) {
  double reads = estimated_size(kernel.arena.axis_extent(*fold.axis));
  for (const Dim& row : kernel.rows) reads *= estimated_size(row);
  return reads / estimated_elements(shape);
}

}  // namespace weir
