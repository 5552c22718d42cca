#include "compiler/frontend/tensor_file.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "compiler/frontend/csv.h"
#include "compiler/frontend/idx.h"
#include "compiler/frontend/npy.h"
#include "compiler/frontend/npz.h"
#include "compiler/frontend/onnx/pb_file.h"
#include "compiler/frontend/safetensors.h"

namespace weir {
namespace {

constexpr std::size_t kShownNames = 20;

const Tensor& only(const Weights& tensors) {
  WEIR_CHECK(tensors.size() == 1);
  return tensors.begin()->second;
}

// The functions of the table, from those of the formats.
template <Tensor (*Read)(const FileBytes&, const TensorCheck&)>
Tensor read_single(const FileBytes& file, std::string_view, const TensorType*,
                   const TensorCheck& check) {
  return Read(file, check);
}
// Of a file whose tensors are parts of its own bytes.
template <Weights (*Read)(const FileBytes&)>
std::vector<TensorHeader> headers_in(const FileBytes& file) {
  std::vector<TensorHeader> headers;
  for (const auto& [name, tensor] : Read(file)) headers.push_back({name, tensor.type()});
  return headers;
}
template <Weights (*Read)(const FileBytes&)>
std::vector<std::string> names_in(const FileBytes& file) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : Read(file)) names.push_back(name);
  return names;
}
template <Weights (*Read)(const FileBytes&)>
Tensor read_named(const FileBytes& file, std::string_view name, const TensorType*,
                  const TensorCheck& check) {
  Weights tensors = Read(file);
  auto found = tensors.find(name);
  WEIR_CHECK(found != tensors.end(), std::string(name));
  if (check) check({found->first, found->second.type()});
  return found->second;
}
template <Weights (*Read)(const FileBytes&)>
Weights read_wanted(const FileBytes& file, const WantedTensor& wanted) {
  Weights tensors = Read(file);
  if (wanted) std::erase_if(tensors, [&](const auto& each) { return !wanted(each.first); });
  return tensors;
}
template <void (*Write)(const std::string&, const Tensor&)>
void write_single(const std::string& path, const Weights& tensors) {
  Write(path, only(tensors));
}

Tensor read_npz_one(const FileBytes& file, std::string_view name, const TensorType*,
                    const TensorCheck& check) {
  return read_npz(file, name, check);
}
Tensor read_pb_as(const FileBytes& file, const TensorCheck& check) {
  Tensor tensor = read_pb(file);
  if (check) check({{}, tensor.type()});
  return tensor;
}
void write_pb_one(const std::string& path, const Weights& tensors) {
  write_pb(path, only(tensors), tensors.begin()->first);
}
Tensor read_csv_as(const FileBytes& file, std::string_view, const TensorType* expected,
                   const TensorCheck& check) {
  return read_csv(file, expected, check);
}

constexpr std::array kFormats{
    TensorFormat{".npy", "a NumPy array", read_single<read_npy>, write_single<write_npy>,
                 check_npy_type},
    TensorFormat{".npz", "NumPy arrays by name", read_npz_one, write_npz, check_npy_type, npz_names,
                 npz_headers, read_npz},
    TensorFormat{".safetensors", "tensors by name", read_named<read_safetensors>, write_safetensors,
                 nullptr, names_in<read_safetensors>, headers_in<read_safetensors>,
                 read_wanted<read_safetensors>},
    TensorFormat{".pb", "an ONNX tensor", read_single<read_pb_as>, write_pb_one},
    TensorFormat{".csv", "rows of numbers, with a header or without", read_csv_as,
                 write_single<write_csv>},
    TensorFormat{".idx", "an IDX array, as of MNIST", read_single<read_idx>,
                 write_single<write_idx>, check_idx_type},
    TensorFormat{"-ubyte", "the same under MNIST's names", read_single<read_idx>,
                 write_single<write_idx>, check_idx_type},
    TensorFormat{".gz", "an IDX array, compressed by gzip", read_single<read_idx>,
                 write_single<write_idx>, check_idx_type},
};

std::string listed(const std::vector<std::string>& names) {
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < std::min(names.size(), kShownNames); ++i)
    texts.push_back(shown(names[i]));
  std::string rest = names.size() > kShownNames
                         ? fmt::format(" and {} more", names.size() - kShownNames)
                         : std::string();
  return names.empty() ? "nothing" : fmt::format("{}{}", fmt::join(texts, ", "), rest);
}

// Which of the tensors in the file is meant.
std::string chosen_name(const TensorPlace& place, const FileBytes& file, std::string_view name) {
  std::vector<std::string> names = place.format->names(file);
  auto has = [&](std::string_view wanted) {
    return std::find(names.begin(), names.end(), wanted) != names.end();
  };
  if (!place.name.empty()) {
    if (!has(place.name))
      file.refuse(
          fmt::format("the file has no tensor {}; it has {}", shown(place.name), listed(names)));
    return place.name;
  }
  if (!name.empty() && has(name)) return std::string(name);
  if (names.size() == 1) return names.front();
  file.refuse(fmt::format("the file holds {}; say which one by {}:NAME", listed(names), file.name));
}

TensorPlace checked_place(std::string_view text) {
  std::optional<TensorPlace> place = parse_tensor_place(text);
  if (!place)
    throw Error(fmt::format("{} is not a file of tensors: it ends in none of {}", shown(text),
                            tensor_endings()));
  return std::move(*place);
}

TensorPlace named_place(const std::string& path) {
  TensorPlace place = checked_place(path);
  if (!place.format->is_named() || !place.name.empty())
    throw Error(fmt::format("{} is not a file of tensors by name: those end in {}", shown(path),
                            tensor_endings(true)));
  return place;
}

}  // namespace

std::span<const TensorFormat> tensor_formats() { return kFormats; }

std::string tensor_endings(bool named_only) {
  std::vector<std::string_view> endings;
  for (const TensorFormat& format : kFormats)
    if (format.is_named() || !named_only) endings.push_back(format.ending);
  std::string_view last = endings.back();
  endings.pop_back();
  return fmt::format("{} and {}", fmt::join(endings, ", "), last);
}

std::optional<TensorPlace> parse_tensor_place(std::string_view text) {
  // The first "ENDING:" ends the file: colons are common in names, and rare in folders.
  std::size_t colon = std::string_view::npos;
  const TensorFormat* found = nullptr;
  for (const TensorFormat& format : kFormats) {
    std::size_t at = text.find(fmt::format("{}:", format.ending));
    if (at == std::string_view::npos || at + format.ending.size() >= colon) continue;
    colon = at + format.ending.size();
    found = &format;
  }
  if (found == nullptr) {
    for (const TensorFormat& format : kFormats)
      if (text.ends_with(format.ending)) return TensorPlace{std::string(text), {}, &format};
    return std::nullopt;
  }
  TensorPlace place{std::string(text.substr(0, colon)), std::string(text.substr(colon + 1)), found};
  if (place.name.empty())
    throw Error(fmt::format("the name of a tensor is missing behind {}", shown(text)));
  if (!found->is_named())
    throw Error(fmt::format("{} names a tensor, and a {} file has one without a name; leave {} out",
                            shown(text), found->ending, shown(text.substr(colon))));
  return place;
}

Tensor read_tensor(const TensorPlace& place, std::string_view name, const TensorType* expected,
                   const TensorCheck& check) {
  FileBytes file = map_file(place.file);
  std::string chosen = place.format->is_named() ? chosen_name(place, file, name) : std::string();
  return place.format->read(file, chosen, expected, check);
}

Tensor read_tensor(std::string_view place) { return read_tensor(checked_place(place)); }

Weights read_tensors(const std::string& path) {
  named_place(path);
  return read_tensors(map_file(path));
}

Weights read_tensors(const FileBytes& file, const WantedTensor& wanted) {
  return named_place(file.name).format->read_all(file, wanted);
}

std::vector<TensorHeader> tensor_headers(const FileBytes& file) {
  return named_place(file.name).format->headers(file);
}

void write_tensor(const TensorPlace& place, const Tensor& tensor, std::string_view name) {
  std::string chosen = place.name.empty() ? std::string(name) : place.name;
  place.format->write(place.file, {{std::move(chosen), tensor}});
}

void write_tensors(const std::string& path, const Weights& tensors) {
  named_place(path).format->write(path, tensors);
}

}  // namespace weir
