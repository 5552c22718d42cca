// IDX files: one tensor each, as the MNIST database and its successors come.
//
// Format: two bytes of 0, one for the element type (8 u8, 9 i8, 11 16-bit integers, 12 i32, 13 f32,
// 14 f64), one for the rank, the sizes as 32-bit numbers and the elements, all big-endian. The file
// has to end where the elements end. 16-bit integers become i32. A file that is compressed by gzip
// is inflated while it is read, whatever its name; the size that its header claims is checked
// against what the compressed bytes can hold before memory is taken.
#pragma once

#include <string>

#include "compiler/frontend/file.h"
#include "compiler/frontend/tensor_header.h"
#include "ir/tensor.h"

namespace weir {

// Error, naming the file, for everything that is not as above, and what `check` throws.
Tensor read_idx(const FileBytes& file, const TensorCheck& check = {});

// Error for an element type that the format lacks.
void check_idx_type(DType type);
// Error as of check_idx_type(), and for sizes beyond 32 bits.
std::string idx_content(const Tensor& tensor);
// Compressed if the name ends in .gz; the same tensor gives the same bytes.
void write_idx(const std::string& path, const Tensor& tensor);

}  // namespace weir
