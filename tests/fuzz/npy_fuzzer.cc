// NumPy's .npy files: what is read is written as a file that reads back as the same tensor.

#include "compiler/frontend/npy.h"
#include "tests/fuzz/framed.h"
#include "tests/fuzz/fuzz.h"

using namespace weir;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // The tensor once, where it is not aligned or in Fortran order: then twice.
  constexpr fuzz::Bound kBound{2, 64 << 10};
  FileBytes file = fuzz::file_of(data, size, "input.npy");
  auto tensor = fuzz::accepted(size, kBound, [&] { return read_npy(file); });
  if (!tensor) return 0;
  std::string content = npy_header(*tensor);
  content += bytes_of(*tensor);
  Tensor again = read_npy(memory_file(std::move(content), "written.npy"));
  fuzz::require(again.dtype() == tensor->dtype(), "the element type changed");
  fuzz::require(again.sizes() == tensor->sizes(), "the sizes changed");
  fuzz::require(bytes_of(again) == bytes_of(*tensor), "the elements changed");
  return 0;
}

// Most changes leave a header's length that is wrong; half of them have it put right.
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t largest, unsigned seed) {
  return fuzz::mutate_framed(data, size, largest, seed, fuzz::kNpyFrame);
}
