#include "compiler/frontend/idx.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <new>

#include <fmt/format.h>

namespace weir {
namespace {

constexpr std::size_t kHead = 4;         // before the sizes
constexpr std::size_t kBytesOfSize = 4;  // of one dimension
// Deflate makes at most so many bytes of one.
constexpr std::size_t kLargestRatio = 1032;

constexpr int kGzip = 16 + MAX_WBITS;  // the format, for zlib

struct ElementType {
  unsigned char code;
  std::size_t bytes;
  DType dtype;
};
constexpr std::array kElementTypes{ElementType{8, 1, DType::u8},   ElementType{9, 1, DType::i8},
                                   ElementType{11, 2, DType::i32}, ElementType{12, 4, DType::i32},
                                   ElementType{13, 4, DType::f32}, ElementType{14, 8, DType::f64}};

bool is_gzip(const FileBytes& file) {
  return file.bytes.size() >= 2 && file.bytes[0] == 0x1F && file.bytes[1] == 0x8B;
}

// The content of the file from the start on, whether it is compressed or not.
class Content {
 public:
  explicit Content(const FileBytes& file) : file_(file), is_compressed_(is_gzip(file)) {
    if (!is_compressed_) return;
    if (::inflateInit2(&stream_, kGzip) != Z_OK)
      file_.refuse("there is not enough memory for this file");
  }
  ~Content() {
    if (is_compressed_) ::inflateEnd(&stream_);
  }
  Content(const Content&) = delete;
  Content& operator=(const Content&) = delete;

  // How many bytes may follow at most.
  std::size_t most_left() const {
    std::size_t left = file_.bytes.size() - position_;
    if (!is_compressed_) return left;
    return left > std::numeric_limits<std::size_t>::max() / kLargestRatio
               ? std::numeric_limits<std::size_t>::max()
               : (left + 1) * kLargestRatio;
  }

  // As many bytes as `into` has, or fewer at the end.
  std::size_t read(std::span<unsigned char> into) {
    if (is_compressed_) return inflate(into);
    std::size_t count = std::min(into.size(), file_.bytes.size() - position_);
    std::copy_n(file_.bytes.begin() + static_cast<std::ptrdiff_t>(position_), count, into.begin());
    position_ += count;
    return count;
  }

  bool at_end() {
    unsigned char more = 0;
    return read({&more, 1}) == 0;
  }

 private:
  std::size_t inflate(std::span<unsigned char> into) {
    constexpr std::size_t kMost = std::numeric_limits<uInt>::max();
    std::size_t done = 0;
    while (done < into.size() && !ended_) {
      std::size_t room = std::min(into.size() - done, kMost);
      std::size_t given = std::min(file_.bytes.size() - position_, kMost);
      stream_.next_out = into.data() + done;
      stream_.avail_out = static_cast<uInt>(room);
      stream_.next_in = const_cast<unsigned char*>(file_.bytes.data()) + position_;
      stream_.avail_in = static_cast<uInt>(given);
      int result = ::inflate(&stream_, Z_NO_FLUSH);
      position_ += given - stream_.avail_in;
      done += room - stream_.avail_out;
      ended_ = result == Z_STREAM_END;
      if (result != Z_OK && !ended_)
        file_.refuse(result == Z_BUF_ERROR ? "the compressed file ends too early"
                                           : "the compressed file is damaged");
    }
    if (ended_ && position_ != file_.bytes.size())
      file_.refuse("something follows the compressed data");
    return done;
  }

  const FileBytes& file_;
  bool is_compressed_, ended_ = false;
  std::size_t position_ = 0;
  z_stream stream_{};
};

const ElementType& element_type(const FileBytes& file, unsigned char code) {
  for (const ElementType& type : kElementTypes)
    if (type.code == code) return type;
  file.refuse(fmt::format("the element type {} is none of IDX; 8, 9 and 11 to 14 are", code));
}

// Elements of so many bytes each from big-endian to this machine's order, which is little-endian.
void reverse_bytes(std::span<unsigned char> data, std::size_t size) {
  for (std::size_t i = 0; size > 1 && i < data.size(); i += size)
    std::reverse(data.begin() + static_cast<std::ptrdiff_t>(i),
                 data.begin() + static_cast<std::ptrdiff_t>(i + size));
}

std::span<unsigned char> bytes_in(Tensor& tensor) {
  return {static_cast<unsigned char*>(tensor.mutable_data()), tensor.byte_count()};
}

// From 16-bit integers in the first half of the memory.
void widen(Tensor& tensor) {
  auto* data = static_cast<unsigned char*>(tensor.mutable_data());
  for (std::int64_t i = tensor.element_count(); i-- > 0;) {
    std::int16_t narrow = 0;
    std::memcpy(&narrow, data + 2 * i, sizeof narrow);
    std::int32_t wide = narrow;
    std::memcpy(data + 4 * i, &wide, sizeof wide);
  }
}

std::string compressed(std::string_view content) {
  constexpr int kMemory = 8;  // zlib's usual one
  z_stream stream{};
  if (::deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kGzip, kMemory,
                     Z_DEFAULT_STRATEGY) != Z_OK)
    throw std::bad_alloc();
  std::string result;
  std::array<unsigned char, 65536> piece;
  int state = Z_OK;
  while (state == Z_OK) {
    // Whole, and in pieces only where zlib cannot count that far.
    std::size_t given = std::min<std::size_t>(content.size(), std::numeric_limits<uInt>::max());
    stream.next_in = reinterpret_cast<unsigned char*>(const_cast<char*>(content.data()));
    stream.avail_in = static_cast<uInt>(given);
    stream.next_out = piece.data();
    stream.avail_out = static_cast<uInt>(piece.size());
    state = ::deflate(&stream, given == content.size() ? Z_FINISH : Z_NO_FLUSH);
    content.remove_prefix(given - stream.avail_in);
    result.append(piece.begin(), piece.end() - stream.avail_out);
  }
  ::deflateEnd(&stream);
  WEIR_CHECK(state == Z_STREAM_END);
  return result;
}

}  // namespace

Tensor read_idx(const FileBytes& file, const TensorCheck& check) {
  Content content(file);
  std::array<unsigned char, kHead> head{};
  if (content.read(head) < head.size()) file.refuse("the IDX file ends within its first 4 bytes");
  if (head[0] != 0 || head[1] != 0)
    file.refuse(
        is_gzip(file)
            ? "what this file holds is not IDX, the format that is read compressed: it does "
              "not begin with two bytes of 0; decompress other files first"
            : "this is not an IDX file: it does not begin with two bytes of 0");
  const ElementType& type = element_type(file, head[2]);
  Tensor::Sizes sizes;
  std::size_t stored = type.bytes;
  for (int i = 0; i < head[3]; ++i) {
    std::array<unsigned char, kBytesOfSize> size{};
    if (content.read(size) < size.size())
      file.refuse(fmt::format("the IDX file ends within its {} sizes", head[3]));
    std::int64_t number = 0;
    for (unsigned char byte : size) number = number << 8 | byte;
    sizes.push_back(number);
    if (__builtin_mul_overflow(stored, static_cast<std::size_t>(number), &stored))
      file.refuse(fmt::format("{} has too many elements", to_string(type.dtype, sizes)));
  }
  if (stored > content.most_left())
    file.refuse(fmt::format("{} needs {} bytes, and the file can hold {} at most",
                            to_string(type.dtype, sizes), stored, content.most_left()));
  if (check) check(header_in_memory(type.dtype, sizes));
  Tensor tensor(type.dtype, sizes);
  std::span<unsigned char> elements = bytes_in(tensor).first(stored);
  std::size_t got = content.read(elements);
  if (got < stored)
    file.refuse(fmt::format("{} needs {} bytes, and the file holds {}",
                            to_string(type.dtype, sizes), stored, got));
  if (!content.at_end())
    file.refuse(
        fmt::format("something follows the {} bytes of {}", stored, to_string(type.dtype, sizes)));
  reverse_bytes(elements, type.bytes);
  if (stored < tensor.byte_count()) widen(tensor);
  return tensor;
}

namespace {

const ElementType& written_type(DType dtype) {
  auto fits = [&](const ElementType& type) {
    return type.dtype == dtype && type.bytes == static_cast<std::size_t>(byte_size(type.dtype));
  };
  const auto* type = std::find_if(kElementTypes.begin(), kElementTypes.end(), fits);
  if (type == kElementTypes.end())
    throw Error(fmt::format("IDX files have no {}; cast to i32, f32 or f64 first", name(dtype)));
  return *type;
}

}  // namespace

void check_idx_type(DType type) { written_type(type); }

std::string idx_content(const Tensor& tensor) {
  const ElementType& type = written_type(tensor.dtype());
  if (tensor.rank() > std::numeric_limits<unsigned char>::max())
    throw Error(fmt::format("a tensor of rank {} cannot be written as IDX", tensor.rank()));
  std::string content{'\0', '\0', static_cast<char>(type.code), static_cast<char>(tensor.rank())};
  for (std::int64_t size : tensor.sizes()) {
    if (size > std::numeric_limits<std::uint32_t>::max())
      throw Error(fmt::format("{} cannot be written as IDX: its sizes have 32 bits",
                              to_string(tensor.dtype(), tensor.sizes())));
    for (int shift = 24; shift >= 0; shift -= 8) content += static_cast<char>(size >> shift & 0xFF);
  }
  std::size_t begin = content.size();
  content += bytes_of(tensor);
  for (std::size_t i = begin; i < content.size(); i += type.bytes)
    std::reverse(content.begin() + static_cast<std::ptrdiff_t>(i),
                 content.begin() + static_cast<std::ptrdiff_t>(i + type.bytes));
  return content;
}

void write_idx(const std::string& path, const Tensor& tensor) {
  std::string content = idx_content(tensor);
  write_file(path, {path.ends_with(".gz") ? compressed(content) : content});
}

}  // namespace weir
