// .safetensors files: the values of params, by name.
//
// Format: the header's length (8 bytes, little-endian), the header - a JSON object of dtype, shape
// and data_offsets by tensor name, and an optional "__metadata__" of strings - and the data, which
// the offsets cover without holes or overlaps. Nothing in the file is believed before it is
// checked; the JSON is read as a stream and without recursion.
//
// Tensors refer to the mapped file. Beside the mapping, reading takes at most 16 times the header's
// size and 64 KiB.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/frontend/file.h"
#include "ir/builder.h"

namespace weir {

// Error, naming the file and where there is one the tensor, for everything that is not as above,
// and for element types that Weir does not have.
Weights read_safetensors(const FileBytes& file);
Weights read_safetensors(const std::string& path);

// The bytes of a file for some weights, which have to stay where they are: widest elements first,
// then by name; the data begins at a multiple of 64 bytes. Error for a name that the format cannot
// have.
class SafetensorsContent {
 public:
  explicit SafetensorsContent(const Weights& weights);
  SafetensorsContent(const SafetensorsContent&) = delete;
  SafetensorsContent& operator=(const SafetensorsContent&) = delete;
  std::span<const std::string_view> parts() const { return parts_; }

 private:
  std::string head_;
  std::vector<std::string_view> parts_;
};
void write_safetensors(const std::string& path, const Weights& weights);

}  // namespace weir
