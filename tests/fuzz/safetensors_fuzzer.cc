// .safetensors files: what is read is written as a file that reads back as the same tensors.

#include "compiler/frontend/safetensors.h"

#include <unistd.h>

#include <filesystem>

#include "tests/fuzz/framed.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace weir;

// In memory where the system has a folder for that: a file is flushed each time it is written.
std::string scratch_file() {
  std::filesystem::path folder = "/dev/shm";
  if (!std::filesystem::is_directory(folder)) folder = std::filesystem::temp_directory_path();
  return (folder / ("weir-fuzz-" + std::to_string(::getpid()) + ".safetensors")).string();
}

void check(const Weights& weights) {
  static const std::string path = scratch_file();
  write_safetensors(path, weights);
  Weights again = read_safetensors(path);
  std::filesystem::remove(path);
  fuzz::require(again.size() == weights.size(), "the number of tensors changed");
  for (const auto& [name, tensor] : weights) {
    auto found = again.find(name);
    fuzz::require(found != again.end(), "a name changed");
    fuzz::require(found->second.dtype() == tensor.dtype(), "an element type changed");
    fuzz::require(found->second.sizes() == tensor.sizes(), "sizes changed");
    fuzz::require(bytes_of(found->second) == bytes_of(tensor), "elements changed");
  }
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
