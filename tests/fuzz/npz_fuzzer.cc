// NumPy's .npz files: what is read is written as an archive that reads back as the same tensors.

#include "compiler/frontend/npz.h"

#include <fmt/format.h>

#include "compiler/frontend/npy.h"
#include "compiler/frontend/zip_archive.h"
#include "tests/fuzz/framed.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/scratch.h"

namespace {

using namespace weir;

// A deflated byte makes at most 1032, and a tensor in Fortran order is there twice. libzip takes 2
// MiB for a directory of more members than its end says.
constexpr fuzz::Bound kBound{2 * 1032 + 100, 4 << 20};

void check(const Weights& tensors) {
  static const fuzz::ScratchFolder folder;
  std::string path = folder.path("written.npz");
  write_npz(path, tensors);
  fuzz::require_same(read_npz(map_file(path)), tensors);
}

// Another archive that holds the same members but for a change in one of them; nothing if the bytes
// are no archive.
std::string with_changed_member(std::string_view bytes, std::size_t largest, unsigned seed) try {
  ZipReader archive(memory_file(std::string(bytes), "seed.npz"));
  std::vector<std::string> contents;
  for (std::size_t i = 0; i < archive.members().size(); ++i)
    contents.emplace_back(archive.read(i).text());
  if (contents.empty()) return {};
  std::string& changed = contents[seed / 2 % contents.size()];
  std::vector<std::uint8_t> buffer(changed.begin(), changed.end());
  std::size_t size = buffer.size();
  buffer.resize(std::max(size, largest / 2));
  buffer.resize(fuzz::mutate_framed(buffer.data(), size, buffer.size(), seed / 4, fuzz::kNpyFrame));
  changed.assign(buffer.begin(), buffer.end());

  std::vector<ZipContent> members;
  for (std::size_t i = 0; i < contents.size(); ++i)
    members.push_back({archive.members()[i].name, {contents[i]}});
  return zip_archive(members);
} catch (const Error&) {
  return {};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  FileBytes file = fuzz::file_of(data, size, "input.npz");
  auto tensors = fuzz::accepted(size, kBound, [&] { return read_npz(file); });
  if (!tensors) return 0;
  fuzz::require(npz_names(file).size() == tensors->size(),
                "the names are not those of the tensors");
  if (!tensors->empty()) check(*tensors);
  return 0;
}

// A checksum guards each member, so half of the changes are made inside of one, and the archive
// written anew.
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t largest, unsigned seed) {
  if (seed % 2 == 1) {
    std::string changed = with_changed_member(fuzz::text_of(data, size), largest, seed);
    if (!changed.empty() && changed.size() <= largest) {
      std::copy(changed.begin(), changed.end(), data);
      return changed.size();
    }
  }
  return fuzz::mutate(data, size, largest);
}
