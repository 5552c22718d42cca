// Kernels that do nothing but sum a value: along one of its dimensions, as the gradient of a bias
// is summed along the batch or the rows of images. The kernel that stores the value may do so
// itself (fold_across.h). It may also sum what is computed of the value's element and of what lies
// at the same place of others, as the gradient of batch norm is times the deviation from the mean;
// and several such sums.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "compiler/lowering/kernel.h"

namespace weir {

// What a kernel folds along one dimension of a value, and nothing else.
struct RowSum {
  // A dimension of the value: `lanes` sums go along it, of each lanes-th element, and row axes of
  // the sum tell which. The last ones may have a 0 beyond the end in place of a last element, which
  // changes nothing, and need not be added. Otherwise row axes tell where. They are one, or two:
  // step * row + remainder.
  struct Dimension {
    std::optional<std::uint32_t> row;
    std::int64_t lanes = 0;
    std::optional<std::uint32_t> remainder = {};
    std::int64_t step = 1;
  };
  std::uint32_t parameter;  // the value
  scalar::Id element;       // what is added up: the value's, alone or in an expression
  scalar::Id load;          // of the value in it
  // Of the value; those of one element are neither. Where the sum goes through several as one, as
  // through the pixels of an image, that is the last one here, from its place to the value's last.
  std::vector<Dimension> dimensions;
  // The parameter that gets the sums, if all that the kernel does is to store them, and a chunk has
  // all elements of one.
  std::optional<std::uint32_t> result = {};
};

// If that is all that a kernel folds: of the value alone, or of an expression of the value that is
// this parameter and of others.
std::optional<RowSum> find_row_sum(const Kernel& kernel,
                                   std::optional<std::uint32_t> value = std::nullopt);

// The folds of a kernel that leaves each of several as it is, each as a kernel of its own with the
// same parameters. The kernel itself if it has one fold, and nothing otherwise.
std::vector<Kernel> single_folds(const Kernel& kernel);

// Whether it is a fold of images that are gone through as one row, as 1-D images and those of single
// positions are summed: in lanes that are whole vectors on every target, or pixel by pixel.
bool goes_through_images(const Kernel& kernel, const RowSum& sum);

// What a sum of rows of images behind a stride costs if it goes along rows in their place: a kernel
// of it with the indices of rows and columns of what it reads exchanged, to be weighed, not run.
// Nothing if it is another sum, or of few channels.
std::optional<Kernel> sum_along_rows(const Kernel& kernel, const RowSum& sum);

// Whether a chunk has all elements of a sum.
bool is_one_chunk(const Kernel& folds);

}  // namespace weir
