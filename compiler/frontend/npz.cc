#include "compiler/frontend/npz.h"

#include <algorithm>

#include <fmt/format.h>

#include "compiler/frontend/npy.h"
#include "compiler/frontend/zip_archive.h"
#include "ir/escape.h"

namespace weir {
namespace {

constexpr std::string_view kEnding = ".npy";

bool leads_out(std::string_view name) {
  if (name.starts_with('/')) return true;
  while (!name.empty()) {
    std::string_view part = name.substr(0, name.find('/'));
    if (part == "..") return true;
    name.remove_prefix(std::min(name.size(), part.size() + 1));
  }
  return false;
}

// What is wrong with the name of a tensor; "" if nothing is.
std::string_view fault_of(std::string_view name) {
  if (name.empty()) return "is empty";
  if (printable(name) != name) return "has control characters or is not UTF-8";
  if (leads_out(name)) return "is a path that leads out of the archive";
  return {};
}

std::string tensor_name(const FileBytes& file, const ZipMember& member) {
  if (!member.name.ends_with(kEnding))
    file.refuse(fmt::format("the member {} is not a .npy file; a .npz file holds nothing else",
                            shown(member.name)));
  std::string name = member.name.substr(0, member.name.size() - kEnding.size());
  if (std::string_view fault = fault_of(name); !fault.empty())
    file.refuse(fmt::format("the name of the member {} {}", shown(member.name), fault));
  return name;
}

std::vector<std::string> names_of(const ZipReader& archive) {
  std::vector<std::string> names;
  for (const ZipMember& member : archive.members())
    names.push_back(tensor_name(archive.file(), member));
  return names;
}

TensorHeader header_of(ZipReader& archive, std::size_t index, std::string name) {
  const ZipMember& member = archive.members()[index];
  TensorHeader header = read_npy_header(archive.read_begin(index, kMostOfNpyHeader), member.size);
  if (member.is_deflated) header.memory += static_cast<std::int64_t>(member.size);
  header.name = std::move(name);
  return header;
}

}  // namespace

std::vector<std::string> npz_names(const FileBytes& file) { return names_of(ZipReader(file)); }

std::vector<TensorHeader> npz_headers(const FileBytes& file) {
  ZipReader archive(file);
  std::vector<std::string> names = names_of(archive);
  std::vector<TensorHeader> headers;
  for (std::size_t i = 0; i < names.size(); ++i)
    headers.push_back(header_of(archive, i, std::move(names[i])));
  return headers;
}

Tensor read_npz(const FileBytes& file, std::string_view name, const TensorCheck& check) {
  ZipReader archive(file);
  std::vector<std::string> names = names_of(archive);
  auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) file.refuse(fmt::format("there is no tensor {}", shown(name)));
  auto index = static_cast<std::size_t>(found - names.begin());
  if (check) check(header_of(archive, index, *found));
  return read_npy(archive.read(index));
}

Weights read_npz(const FileBytes& file, const WantedTensor& wanted) {
  ZipReader archive(file);
  std::vector<std::string> names = names_of(archive);
  Weights tensors;
  for (std::size_t i = 0; i < names.size(); ++i)
    if (!wanted || wanted(names[i]))
      tensors.emplace(std::move(names[i]), read_npy(archive.read(i)));
  return tensors;
}

void write_npz(const std::string& path, const Weights& tensors) {
  if (tensors.empty()) throw Error(fmt::format("there is no tensor to write to {}", path));
  std::vector<std::string> headers;
  headers.reserve(tensors.size());
  std::vector<ZipContent> members;
  for (const auto& [name, tensor] : tensors) {
    if (std::string_view fault = fault_of(name); !fault.empty())
      throw Error(fmt::format("the name {} {}; a .npz file cannot hold it", shown(name), fault));
    headers.push_back(npy_header(tensor));
    members.push_back({name + std::string(kEnding), {headers.back(), bytes_of(tensor)}});
  }
  write_file(path, {zip_archive(members)});
}

}  // namespace weir
