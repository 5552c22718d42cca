// Files in and out: whole files as bytes, with errors that name the file and what is wrong with it.
//
// Reading maps regular files, so weights are not copied; pipes are read. A mapped file must not be
// truncated in place while it is in use. Writing is atomic: the bytes go to a temporary file in the
// same folder, reach the disk, and take the name in one step, so nobody ever sees half a file and
// whoever has the old one mapped keeps it.
#pragma once

#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "ir/tensor.h"

namespace weir {

// The bytes of a file, or of a piece of memory that stands for one.
struct FileBytes {
  std::string name;  // as in messages
  std::shared_ptr<const void> owner;
  std::span<const unsigned char> bytes;

  std::string_view text() const {
    return {static_cast<const char*>(static_cast<const void*>(bytes.data())), bytes.size()};
  }
  // Throws Error that names the file.
  [[noreturn]] void refuse(std::string message) const;
};

// Error if the file is missing, is a folder or a device, or may not be read, and for a pipe that
// ends without content or that nobody writes to for two seconds.
FileBytes map_file(const std::string& path);
// The same for a file that is open, which stays open; `name` is for messages.
FileBytes map_open_file(int descriptor, const std::string& name);
FileBytes memory_file(std::string content, std::string name);
std::string read_file(const std::string& path);

// Replaces the file by the parts, one after the other. A device or a pipe is written directly.
// Error if that fails; a file that was there is then untouched.
void write_file(const std::string& path, std::initializer_list<std::string_view> parts);
void write_file(const std::string& path, std::span<const std::string_view> parts);

// Error if the file could not be written now, which is tried: a new one is made beside it, and
// removed; to a device nothing is written. For whoever works long before he writes.
void check_writable(const std::string& path);

// Several regular files that belong together: each is written whole before the first one takes its
// name, and if one cannot take its name, those before it are taken back.
struct FileToWrite {
  std::string path;
  std::span<const std::string_view> parts;
};
void write_files(std::span<const FileToWrite> files);

// For a process that ends by a signal: what is half written is removed, and what is just taking its
// names has all of them when this returns. No file is written afterwards: who tries waits for the
// end of the process. To be called once, by an ordinary thread, not in a handler of a signal.
void abandon_writing();

// Removes from a folder what processes that are no more have left half written.
void remove_abandoned(const std::string& folder);

// The tensor stored row-major and little-endian from byte `offset` on: in place, or copied where it
// is not aligned. Error if it does not lie within the file or a bool is neither 0 nor 1.
Tensor tensor_in_file(const FileBytes& file, std::size_t offset, DType dtype, Tensor::Sizes sizes);
// The bytes of a tensor, to be written.
std::string_view bytes_of(const Tensor& tensor);

// Text from a file as it may stand in a message: in quotes, cut when long, with control characters
// and malformed UTF-8 escaped.
std::string shown(std::string_view text);

}  // namespace weir
