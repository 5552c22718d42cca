// .safetensors files: what is read is written as a file that reads back as the same tensors.

#include "compiler/frontend/safetensors.h"

#include "tests/fuzz/framed.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/scratch.h"

namespace {

using namespace weir;

void check(const Weights& weights) {
  static const fuzz::ScratchFolder folder;
  std::string path = folder.path("written.safetensors");
  write_safetensors(path, weights);
  fuzz::require_same(read_safetensors(path), weights);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr fuzz::Bound kBound{16, 64 << 10};
  FileBytes file = fuzz::file_of(data, size, "input.safetensors");
  auto weights = fuzz::accepted(size, kBound, [&] { return read_safetensors(file); });
  if (weights) check(*weights);
  return 0;
}

// Most changes leave a header's length that is wrong; half of them have it put right.
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t largest, unsigned seed) {
  constexpr fuzz::Frame kHeader{.length_at = 0, .length_bytes = 8, .last = '}'};
  return fuzz::mutate_framed(data, size, largest, seed, kHeader);
}
