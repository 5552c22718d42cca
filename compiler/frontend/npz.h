// NumPy's .npz files: tensors by name, each of them a .npy file in a zip archive.
//
// Members are stored or deflated. A stored one is not copied where its elements are aligned in the
// archive, as they are in what is written here; NumPy aligns them by chance.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "compiler/frontend/file.h"
#include "compiler/frontend/tensor_header.h"
#include "ir/builder.h"

namespace weir {

// The names of the tensors, without ".npy", in the order of the archive. Error, naming the file, if
// it is not a zip archive as zip_archive.h has it, or if a member is not called NAME.npy; NAME is
// UTF-8 without control characters, and is no path that leads out of a folder.
std::vector<std::string> npz_names(const FileBytes& file);
// The same, with the types and what reading takes: only the beginnings of the members are inflated.
std::vector<TensorHeader> npz_headers(const FileBytes& file);
// One tensor; the others are not read. Error if there is none of that name, or it is damaged, and
// what `check` throws before the tensor is inflated.
Tensor read_npz(const FileBytes& file, std::string_view name, const TensorCheck& check = {});
// All of them, or those whose names are wanted.
Weights read_npz(const FileBytes& file, const WantedTensor& wanted = {});

// Stored, in the order of the names, all elements at multiples of 64 bytes; the same tensors give
// the same bytes. Error if there are none, for names that could not be read back, and for element
// types that NumPy does not have.
void write_npz(const std::string& path, const Weights& tensors);

}  // namespace weir
