#include "compiler/frontend/onnx/wire_scan.h"

#include <array>
#include <optional>
#include <span>

#include <fmt/format.h>

namespace weir::onnx_format {
namespace {

using Bytes = std::span<const unsigned char>;

// The parser's own limit is 100; a graph within a graph is three levels.
constexpr int kDeepest = 90;
// What a parsed message, or another element of a repeated field, takes beside its content.
constexpr std::int64_t kMessageBytes = 240;
// An element of a packed list takes a byte of the file at least, and eight in memory at most.
constexpr std::int64_t kGrowth = 8;

enum class Kind : std::uint8_t { model, graph, node, attribute, function, tensor, other };

struct MessageField {
  Kind in;
  std::uint64_t number;
  Kind kind;
};

// The fields that hold messages with messages in them, and tensors.
constexpr std::array<MessageField, 16> kMessageFields{{
    {Kind::model, 7, Kind::graph},
    {Kind::model, 25, Kind::function},
    {Kind::model, 8, Kind::other},
    {Kind::model, 14, Kind::other},
    {Kind::graph, 1, Kind::node},
    {Kind::graph, 5, Kind::tensor},
    {Kind::graph, 11, Kind::other},
    {Kind::graph, 12, Kind::other},
    {Kind::graph, 13, Kind::other},
    {Kind::function, 7, Kind::node},
    {Kind::function, 11, Kind::attribute},
    {Kind::node, 5, Kind::attribute},
    {Kind::attribute, 5, Kind::tensor},
    {Kind::attribute, 6, Kind::graph},
    {Kind::attribute, 10, Kind::tensor},
    {Kind::attribute, 11, Kind::graph},
}};

std::optional<Kind> message_in(Kind kind, std::uint64_t field) {
  for (const MessageField& entry : kMessageFields)
    if (entry.in == kind && entry.number == field) return entry.kind;
  return std::nullopt;
}

class Scanner {
 public:
  explicit Scanner(const FileBytes& file) : file_(file) {}

  WireScan scan() {
    message(file_.bytes, Kind::model, 0);
    return result_;
  }

 private:
  [[noreturn]] void cut_off() const {
    file_.refuse("this is no ONNX model, or one that is cut off");
  }

  std::uint64_t varint(Bytes& bytes) const {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && !bytes.empty(); shift += 7) {
      unsigned char byte = bytes.front();
      bytes = bytes.subspan(1);
      value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    cut_off();
  }

  Bytes take(Bytes& bytes, std::uint64_t size) const {
    if (size > bytes.size()) cut_off();
    Bytes taken = bytes.first(static_cast<std::size_t>(size));
    bytes = bytes.subspan(static_cast<std::size_t>(size));
    return taken;
  }

  void message(Bytes bytes, Kind kind, int depth) {
    if (depth > kDeepest) file_.refuse("the graphs of the model are nested too deeply");
    result_.memory += kMessageBytes;
    if (kind == Kind::node) ++result_.nodes;
    while (!bytes.empty()) {
      std::uint64_t tag = varint(bytes);
      std::uint64_t field = tag >> 3;
      switch (tag & 7) {
        case 0:
          varint(bytes);
          result_.memory += kGrowth;
          break;
        case 1:
          take(bytes, 8);
          result_.memory += kGrowth;
          break;
        case 5:
          take(bytes, 4);
          result_.memory += kGrowth;
          break;
        case 2:
          delimited(take(bytes, varint(bytes)), kind, field, depth);
          break;
        default:
          cut_off();
      }
    }
  }

  void delimited(Bytes content, Kind kind, std::uint64_t field, int depth) {
    if (std::optional<Kind> inner = message_in(kind, field)) {
      if (*inner != Kind::other) return message(content, *inner, depth + 1);
      result_.memory += kMessageBytes + kGrowth * static_cast<std::int64_t>(content.size());
      return;
    }
    // Of a tensor, the raw bytes are as long in memory as in the file.
    constexpr std::uint64_t kRawData = 9;
    bool is_raw = kind == Kind::tensor && field == kRawData;
    bool may_be_packed = kind == Kind::tensor || kind == Kind::attribute;
    result_.memory +=
        static_cast<std::int64_t>(content.size()) * (may_be_packed && !is_raw ? kGrowth : 1);
    // A string or a message that is not followed.
    if (!is_raw) result_.memory += kMessageBytes / 4;
  }

  const FileBytes& file_;
  WireScan result_;
};

}  // namespace

WireScan scan_model(const FileBytes& file) { return Scanner(file).scan(); }

}  // namespace weir::onnx_format
