// Files of tensors, whatever their format: the ending of the name says which one it is.
//
// A place is FILE, or FILE:NAME for one tensor of a file that holds several by name, such as
// weights.npz:w1. The formats are one table; a format is added there and nowhere else.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/frontend/file.h"
#include "compiler/frontend/tensor_header.h"
#include "ir/builder.h"

namespace weir {

struct TensorFormat {
  std::string_view ending;   // ".npz"
  std::string_view summary;  // for --help
  // The tensor; in a format that is named, the one of that name, which is there. Formats without
  // types of their own give a tensor of the expected type, if one is expected. `check`, if there is
  // one, is called before memory is taken for the elements.
  Tensor (*read)(const FileBytes& file, std::string_view name, const TensorType* expected,
                 const TensorCheck& check);
  // Replaces the file by these: exactly one if the format is not named.
  void (*write)(const std::string& path, const Weights& tensors);
  // Error if files of the format have no elements of the type; null: they have all.
  void (*check_type)(DType type) = nullptr;
  // Of a format that is named: which tensors a file holds, of which types, and all that are wanted.
  std::vector<std::string> (*names)(const FileBytes& file) = nullptr;
  std::vector<TensorHeader> (*headers)(const FileBytes& file) = nullptr;
  Weights (*read_all)(const FileBytes& file, const WantedTensor& wanted) = nullptr;

  // Whether a file holds any number of tensors, each with a name, and not one without.
  bool is_named() const { return names != nullptr; }
};

std::span<const TensorFormat> tensor_formats();
// ".npy, .npz and .csv", for messages: of all formats, or of those that are named.
std::string tensor_endings(bool named_only = false);

struct TensorPlace {
  std::string file;
  std::string name;  // empty if the place names none
  const TensorFormat* format;
};

// Nothing if the text has no ending of a format. Error if a file that holds one tensor is followed
// by a name, or a name is missing behind the colon.
std::optional<TensorPlace> parse_tensor_place(std::string_view text);

// The tensor at that place. Of several in a file it is the one that the place names, else the one
// called `name`, else the only one. Error if there is none of them, or the file is not right, and
// what `check` throws.
Tensor read_tensor(const TensorPlace& place, std::string_view name = {},
                   const TensorType* expected = nullptr, const TensorCheck& check = {});
Tensor read_tensor(std::string_view place);

// All tensors of a file whose format is named, or those whose names are wanted.
Weights read_tensors(const std::string& path);
Weights read_tensors(const FileBytes& file, const WantedTensor& wanted = {});
// What they are, without their elements.
std::vector<TensorHeader> tensor_headers(const FileBytes& file);

// Replaces the file. Error if the format cannot hold the tensor. In a named format it is called as
// the place says, else `name`.
void write_tensor(const TensorPlace& place, const Tensor& tensor, std::string_view name);
// Several, to a format that is named.
void write_tensors(const std::string& path, const Weights& tensors);

}  // namespace weir
