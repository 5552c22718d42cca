// NumPy's .npy files: one tensor each.
//
// Format: numpy.lib.format. "\x93NUMPY", a version (1.0, 2.0 or 3.0), the length of the header (2
// bytes in version 1, else 4), the header - a Python dictionary of 'descr', 'fortran_order' and
// 'shape' - and the elements. Read are f4 f8 i4 i8 b1, and f2 i1 u1 as declared types,
// little-endian, in either order; the file has to end where the elements end. A file in C order is
// not copied; one in Fortran order takes its size once more.
#pragma once

#include <string>

#include "compiler/frontend/file.h"
#include "compiler/frontend/tensor_header.h"
#include "ir/tensor.h"

namespace weir {

// Error, naming the file, for everything that is not as above, and what `check` throws.
Tensor read_npy(const FileBytes& file, const TensorCheck& check = {});
Tensor read_npy(const std::string& path);

// Of the first bytes of a file: kMostOfNpyHeader, or all if it has fewer. Error as for reading the
// file, which has `size` bytes.
inline constexpr std::size_t kMostOfNpyHeader = 12 + 65536;
TensorHeader read_npy_header(const FileBytes& begin, std::uint64_t size);

// Error for bf16, which NumPy does not have.
void check_npy_type(DType type);
// Version 1.0, C order. Error as of check_npy_type().
std::string npy_header(const Tensor& tensor);
void write_npy(const std::string& path, const Tensor& tensor);

}  // namespace weir
