// IDX files, plain and compressed: what is read is written as a file that reads back as the same
// tensor.

#include "compiler/frontend/idx.h"
#include "tests/fuzz/fuzz.h"

using namespace weir;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // One byte of a compressed file becomes 1032, and 16-bit integers twice as many; zlib keeps a
  // window beside that.
  constexpr fuzz::Bound kBound{3 * 1032, 256 << 10};
  FileBytes file = fuzz::file_of(data, size, "input.idx");
  auto tensor = fuzz::accepted(size, kBound, [&] { return read_idx(file); });
  if (!tensor) return 0;
  Tensor again = read_idx(memory_file(idx_content(*tensor), "written.idx"));
  fuzz::require(again.dtype() == tensor->dtype(), "the element type changed");
  fuzz::require(again.sizes() == tensor->sizes(), "the sizes changed");
  fuzz::require(bytes_of(again) == bytes_of(*tensor), "the elements changed");
  return 0;
}
