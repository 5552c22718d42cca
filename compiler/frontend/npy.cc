#include "compiler/frontend/npy.h"

#include <array>
#include <charconv>
#include <optional>

#include <fmt/format.h>

#include "ir/text.h"

namespace weir {
namespace {

constexpr std::string_view kMagic("\x93NUMPY", 6);
// Real headers are 128 bytes or little more; NumPy itself refuses more than 10,000.
constexpr std::size_t kLargestHeader = kMostOfNpyHeader - 12;
constexpr std::size_t kAlignment = 64;

struct TypeName {
  std::string_view npy;  // without the byte order
  DType dtype;
};
constexpr std::array<TypeName, 8> kTypeNames{{{"f4", DType::f32},
                                              {"f8", DType::f64},
                                              {"f2", DType::f16},
                                              {"i1", DType::i8},
                                              {"u1", DType::u8},
                                              {"i4", DType::i32},
                                              {"i8", DType::i64},
                                              {"b1", DType::boolean}}};

std::string_view npy_name(DType dtype) {
  for (const TypeName& name : kTypeNames)
    if (name.dtype == dtype) return name.npy;
  return {};
}

struct Dictionary {
  std::optional<DType> dtype;
  std::optional<bool> fortran_order;
  std::optional<Tensor::Sizes> sizes;
};

// Reads the dictionary: the part of Python's syntax that NumPy writes.
class HeaderParser {
 public:
  HeaderParser(const FileBytes& file, std::string_view text) : file_(file), text_(text) {}

  Dictionary parse() {
    expect('{');
    while (!accept('}')) {
      std::string_view key = string();
      expect(':');
      bool first = false;
      if (key == "descr") {
        first = !dictionary_.dtype;
        dictionary_.dtype = dtype();
      } else if (key == "fortran_order") {
        first = !dictionary_.fortran_order;
        dictionary_.fortran_order = boolean();
      } else if (key == "shape") {
        first = !dictionary_.sizes;
        dictionary_.sizes = shape();
      } else {
        refuse(fmt::format("has an unknown key {}", shown(key)));
      }
      if (!first) refuse(fmt::format("has the key {} twice", shown(key)));
      if (accept(',')) continue;
      expect('}');
      break;
    }
    skip_space();
    if (position_ != text_.size()) refuse("goes on after the closing brace");
    for (auto [present, key] : {std::pair{dictionary_.dtype.has_value(), "descr"},
                                std::pair{dictionary_.fortran_order.has_value(), "fortran_order"},
                                std::pair{dictionary_.sizes.has_value(), "shape"}})
      if (!present) refuse(fmt::format("lacks the key '{}'", key));
    return dictionary_;
  }

 private:
  [[noreturn]] void refuse(std::string_view what) const {
    file_.refuse(fmt::format("the .npy header {}: {}", what, shown(text_)));
  }
  void skip_space() {
    while (position_ < text_.size() &&
           std::string_view(" \t\n\r").find(text_[position_]) != std::string_view::npos)
      ++position_;
  }
  bool accept(char c) {
    skip_space();
    if (position_ == text_.size() || text_[position_] != c) return false;
    ++position_;
    return true;
  }
  void expect(char c) {
    if (!accept(c)) refuse(fmt::format("has no '{}' at character {}", c, position_));
  }
  bool accept_word(std::string_view word) {
    skip_space();
    if (text_.substr(position_, word.size()) != word) return false;
    position_ += word.size();
    return true;
  }

  std::string_view string() {
    skip_space();
    char quote = position_ < text_.size() ? text_[position_] : '\0';
    if (quote != '\'' && quote != '"')
      refuse(fmt::format("has no string at character {}", position_));
    std::size_t end = text_.find(quote, position_ + 1);
    if (end == std::string_view::npos) refuse("has a string without an end");
    std::string_view result = text_.substr(position_ + 1, end - position_ - 1);
    position_ = end + 1;
    return result;
  }

  bool boolean() {
    if (accept_word("True")) return true;
    if (accept_word("False")) return false;
    refuse("has a 'fortran_order' that is neither True nor False");
  }

  DType dtype() {
    constexpr std::string_view kSupported = "supported are f2 f4 f8 i1 i4 i8 u1 b1, little-endian";
    skip_space();
    if (position_ < text_.size() && text_[position_] == '[')
      file_.refuse(
          fmt::format("the array has a structured dtype, which is not supported; {}", kSupported));
    std::string_view descr = string();
    if (descr.find('O') != std::string_view::npos)
      file_.refuse(
          "the array holds Python objects (dtype 'O'), which are never loaded; save it with a "
          "numeric dtype");
    std::string_view type = descr;
    bool big_endian = false;
    if (!type.empty() && std::string_view("<>|=").find(type.front()) != std::string_view::npos) {
      big_endian = type.front() == '>';
      type.remove_prefix(1);
    }
    for (const TypeName& name : kTypeNames) {
      if (name.npy != type) continue;
      if (big_endian && byte_size(name.dtype) > 1)
        file_.refuse(
            fmt::format("the array is big-endian (dtype {}); save it as little-endian, in NumPy "
                        "by array.astype('<{}')",
                        shown(descr), type));
      return name.dtype;
    }
    file_.refuse(fmt::format("the array has dtype {}, which is not supported; {}", shown(descr),
                             kSupported));
  }

  Tensor::Sizes shape() {
    Tensor::Sizes sizes;
    expect('(');
    while (!accept(')')) {
      skip_space();
      std::int64_t size = 0;
      const char* end = text_.data() + text_.size();
      auto [after, fault] = std::from_chars(text_.data() + position_, end, size);
      if (fault == std::errc::result_out_of_range)
        refuse("has a size that does not fit in 64 bits");
      if (fault != std::errc()) refuse(fmt::format("has no size at character {}", position_));
      if (size < 0) refuse("has a negative size");
      position_ = static_cast<std::size_t>(after - text_.data());
      sizes.push_back(size);
      if (sizes.size() > kMaximumRank)
        refuse(fmt::format("has more than {} dimensions", kMaximumRank));
      if (accept(',')) continue;
      expect(')');
      break;
    }
    return sizes;
  }

  const FileBytes& file_;
  std::string_view text_;
  std::size_t position_ = 0;
  Dictionary dictionary_;
};

// The same tensor with its elements put from column-major into row-major order.
Tensor transposed(const Tensor& columns, const Tensor::Sizes& sizes) {
  Tensor result(columns.dtype(), sizes);
  std::vector<std::int64_t> strides(sizes.size(), 1), index(sizes.size(), 0);
  for (std::size_t i = 1; i < sizes.size(); ++i) strides[i] = strides[i - 1] * sizes[i - 1];
  std::int64_t source = 0;
  for (std::int64_t target = 0; target < result.element_count(); ++target) {
    result.set_bits(target, columns.bits(source));
    for (std::size_t i = sizes.size(); i-- > 0;) {
      source += strides[i];
      if (++index[i] < sizes[i]) break;
      source -= strides[i] * sizes[i];
      index[i] = 0;
    }
  }
  return result;
}

struct Header {
  DType dtype;
  Tensor::Sizes sizes;
  bool in_columns;   // its elements are to be put into another order
  std::size_t data;  // where they begin
};

// Of a file that has `size` bytes and begins like this.
Header parse_header(const FileBytes& file, std::uint64_t size) {
  std::string_view text = file.text();
  if (text.substr(0, kMagic.size()) != kMagic.substr(0, text.size()) || text.empty())
    file.refuse("this is not a .npy file: it does not begin with \\x93NUMPY");
  constexpr std::size_t kVersionEnd = 8;
  if (text.size() < kVersionEnd) file.refuse("the .npy file ends within its first 8 bytes");
  unsigned char major = file.bytes[6], minor = file.bytes[7];
  if (major < 1 || major > 3 || minor != 0)
    file.refuse(
        fmt::format(".npy version {}.{} is not supported; 1.0, 2.0 and 3.0 are", major, minor));
  std::size_t length_bytes = major == 1 ? 2 : 4;
  if (text.size() < kVersionEnd + length_bytes)
    file.refuse("the .npy file ends within its header's length");
  std::size_t length = 0;
  for (std::size_t i = 0; i < length_bytes; ++i)
    length |= static_cast<std::size_t>(file.bytes[kVersionEnd + i]) << (8 * i);
  std::size_t begin = kVersionEnd + length_bytes;
  if (length > kLargestHeader)
    file.refuse(fmt::format("the .npy header claims {} bytes; at most {} are read", length,
                            kLargestHeader));
  if (length > text.size() - begin)
    file.refuse(fmt::format("the .npy header claims {} bytes; only {} follow", length,
                            text.size() - begin));

  Dictionary dictionary = HeaderParser(file, text.substr(begin, length)).parse();
  Header header{*dictionary.dtype, std::move(*dictionary.sizes), *dictionary.fortran_order,
                begin + length};
  header.in_columns = header.in_columns && header.sizes.size() > 1;
  std::size_t bytes = 0;
  try {
    bytes = static_cast<std::size_t>(checked_element_count(header.dtype, header.sizes)) *
            static_cast<std::size_t>(byte_size(header.dtype));
  } catch (const Error& error) {
    file.refuse(error.diagnostic().message);
  }
  if (bytes != size - header.data)
    file.refuse(fmt::format("{} needs {} bytes, and the file holds {} after its header",
                            to_string(header.dtype, header.sizes), bytes, size - header.data));
  return header;
}

TensorHeader summary_of(const Header& header, std::uint64_t size) {
  TensorHeader summary{{}, {header.dtype, {header.sizes.begin(), header.sizes.end()}}};
  if (header.in_columns) summary.memory = static_cast<std::int64_t>(size - header.data);
  return summary;
}

}  // namespace

TensorHeader read_npy_header(const FileBytes& begin, std::uint64_t size) {
  return summary_of(parse_header(begin, size), size);
}

Tensor read_npy(const FileBytes& file, const TensorCheck& check) {
  Header header = parse_header(file, file.bytes.size());
  if (check) check(summary_of(header, file.bytes.size()));
  Tensor tensor = tensor_in_file(file, header.data, header.dtype, header.sizes);
  return header.in_columns ? transposed(tensor, tensor.sizes()) : tensor;
}

Tensor read_npy(const std::string& path) { return read_npy(map_file(path)); }

void check_npy_type(DType type) {
  if (npy_name(type).empty())
    throw Error(fmt::format(".npy and .npz files have no {}; cast to f32 first", name(type)));
}

std::string npy_header(const Tensor& tensor) {
  check_npy_type(tensor.dtype());
  std::string text =
      fmt::format("{{'descr': '{}{}', 'fortran_order': False, 'shape': ({}{}), }}",
                  byte_size(tensor.dtype()) > 1 ? '<' : '|', npy_name(tensor.dtype()),
                  fmt::join(tensor.sizes(), ", "), tensor.rank() == 1 ? "," : "");
  std::size_t begin = kMagic.size() + 4;
  std::size_t padding = kAlignment - (begin + text.size() + 1) % kAlignment;
  text.append(padding % kAlignment, ' ');
  text += '\n';
  if (tensor.sizes().size() > kMaximumRank)
    throw Error(fmt::format("a tensor of rank {} cannot be written as .npy; at most {} dimensions",
                            tensor.rank(), kMaximumRank));
  std::string header(kMagic);
  header +=
      {'\1', '\0', static_cast<char>(text.size() & 0xFF), static_cast<char>(text.size() >> 8)};
  return header + text;
}

void write_npy(const std::string& path, const Tensor& tensor) {
  write_file(path, {npy_header(tensor), bytes_of(tensor)});
}

}  // namespace weir
