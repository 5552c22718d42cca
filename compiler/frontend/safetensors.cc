#include "compiler/frontend/safetensors.h"

#include <algorithm>
#include <array>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "ir/text.h"

namespace weir {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kLengthBytes = 8;
constexpr std::uint64_t kLargestHeader = 100'000'000;  // the format's own limit
constexpr std::size_t kAlignment = 64;
constexpr std::string_view kMetadata = "__metadata__";

struct TypeName {
  std::string_view name;
  DType dtype;
};
constexpr std::array<TypeName, 9> kTypes{{{"F32", DType::f32},
                                          {"F64", DType::f64},
                                          {"F16", DType::f16},
                                          {"BF16", DType::bf16},
                                          {"I8", DType::i8},
                                          {"U8", DType::u8},
                                          {"I32", DType::i32},
                                          {"I64", DType::i64},
                                          {"BOOL", DType::boolean}}};

// What the header says of one tensor.
struct Entry {
  std::optional<DType> dtype;
  std::optional<Tensor::Sizes> sizes;
  std::optional<std::array<std::uint64_t, 2>> offsets;
};
using Entries = std::map<std::string, Entry, std::less<>>;

// Takes the header's JSON as events. Every handler returns false when the header is not as it
// should be, which ends the parse, with the reason in `fault`.
class HeaderReader : public nlohmann::json_sax<Json> {
 public:
  Entries entries;
  std::string fault;

  bool start_object(std::size_t) override {
    switch (state_) {
      case State::before:
        state_ = State::tensors;
        return true;
      case State::tensor_value:
        state_ = metadata_ ? State::metadata : State::fields;
        return true;
      default:
        return unexpected("an object");
    }
  }

  bool key(string_t& name) override {
    if (state_ == State::tensors) {
      metadata_ = name == kMetadata;
      state_ = State::tensor_value;
      if (metadata_) {
        bool first = !metadata_seen_;
        metadata_seen_ = true;
        return first || fail("the key '__metadata__' stands twice");
      }
      auto [position, inserted] = entries.try_emplace(name);
      entry_ = &*position;
      return inserted || fail(fmt::format("the tensor {} stands twice", shown(name)));
    }
    if (state_ == State::metadata) return true;
    if (name == "dtype") return field(State::dtype, entry_->second.dtype.has_value(), name);
    if (name == "shape") return field(State::shape, entry_->second.sizes.has_value(), name);
    if (name == "data_offsets")
      return field(State::offsets, entry_->second.offsets.has_value(), name);
    return fail(
        fmt::format("the tensor {} has an unknown key {}", shown(entry_->first), shown(name)));
  }

  bool end_object() override {
    if (state_ == State::fields) {
      const Entry& entry = entry_->second;
      for (auto [present, name] : {std::pair{entry.dtype.has_value(), "dtype"},
                                   std::pair{entry.sizes.has_value(), "shape"},
                                   std::pair{entry.offsets.has_value(), "data_offsets"}})
        if (!present)
          return fail(fmt::format("the tensor {} has no {}", shown(entry_->first), name));
    }
    state_ = state_ == State::tensors ? State::after : State::tensors;
    return true;
  }

  bool start_array(std::size_t) override {
    if (state_ == State::shape) {
      entry_->second.sizes.emplace();
      state_ = State::sizes;
      return true;
    }
    if (state_ == State::offsets) {
      entry_->second.offsets.emplace();
      offset_count_ = 0;
      state_ = State::offset_values;
      return true;
    }
    return unexpected("a list");
  }

  bool end_array() override {
    if (state_ == State::offset_values && offset_count_ != 2)
      return fail(fmt::format("the data_offsets of {} are not two numbers", shown(entry_->first)));
    state_ = State::fields;
    return true;
  }

  bool string(string_t& value) override {
    if (state_ == State::metadata) return true;
    if (state_ != State::dtype) return unexpected("a string");
    for (const TypeName& type : kTypes)
      if (type.name == value) entry_->second.dtype = type.dtype;
    state_ = State::fields;
    return entry_->second.dtype.has_value() ||
           fail(fmt::format(
               "the tensor {} has dtype {}, which is not supported; supported are F32 F64 F16 "
               "BF16 I8 U8 I32 I64 BOOL",
               shown(entry_->first), shown(value)));
  }

  bool number_unsigned(number_unsigned_t value) override {
    if (state_ == State::sizes) {
      Tensor::Sizes& sizes = *entry_->second.sizes;
      if (value > INT64_MAX)
        return fail(fmt::format("a size of {} does not fit in 64 bits", shown(entry_->first)));
      if (sizes.size() == kMaximumRank)
        return fail(fmt::format("the tensor {} has more than {} dimensions", shown(entry_->first),
                                kMaximumRank));
      sizes.push_back(static_cast<std::int64_t>(value));
      return true;
    }
    if (state_ == State::offset_values) {
      if (offset_count_ == 2)
        return fail(
            fmt::format("the data_offsets of {} are not two numbers", shown(entry_->first)));
      (*entry_->second.offsets)[offset_count_++] = value;
      return true;
    }
    return unexpected("a number");
  }

  bool number_integer(number_integer_t) override { return unexpected("a negative number"); }
  bool number_float(number_float_t, const string_t&) override {
    return unexpected("a number that is fractional or beyond 64 bits");
  }
  bool null() override { return unexpected("null"); }
  bool boolean(bool) override { return unexpected("true or false"); }
  bool binary(binary_t&) override { return unexpected("binary data"); }
  bool parse_error(std::size_t position, const std::string&, const Json::exception&) override {
    return fail(fmt::format("it is not JSON at byte {} of the file",
                            position == 0 ? kLengthBytes : kLengthBytes + position - 1));
  }

 private:
  enum class State : std::uint8_t {
    before,        // the header's own brace
    tensors,       // among the names
    tensor_value,  // the value of a name
    fields,        // within a tensor, among its keys
    metadata,      // within the metadata
    dtype,
    shape,
    offsets,  // the value of that key
    sizes,
    offset_values,  // within that list
    after,
  };

  bool fail(std::string what) {
    if (fault.empty()) fault = std::move(what);
    return false;
  }
  bool unexpected(std::string_view what) {
    if (state_ == State::before) return fail(fmt::format("it is {}, not an object", what));
    if (metadata_)
      return fail(fmt::format("the metadata holds {}; it may only hold strings", what));
    return fail(
        fmt::format("the tensor {} has {} where it does not belong", shown(entry_->first), what));
  }
  bool field(State next, bool present, const std::string& name) {
    state_ = next;
    return !present ||
           fail(fmt::format("the tensor {} has the key {} twice", shown(entry_->first), name));
  }

  State state_ = State::before;
  bool metadata_ = false;  // the name last seen is that of the metadata
  bool metadata_seen_ = false;
  Entries::value_type* entry_ = nullptr;
  std::size_t offset_count_ = 0;
};

// Each tensor's range fits its type and lies within the data, and together they cover the data
// once.
void check_ranges(const FileBytes& file, const Entries& entries, std::uint64_t data_size) {
  std::vector<const Entries::value_type*> ordered;
  ordered.reserve(entries.size());
  for (const auto& item : entries) {
    const auto& [name, entry] = item;
    auto [begin, end] = *entry.offsets;
    if (begin > end || end > data_size)
      file.refuse(fmt::format("the tensor {} lies at bytes {} to {} of {}", shown(name), begin, end,
                              data_size));
    std::uint64_t bytes = 0;
    try {
      bytes = static_cast<std::uint64_t>(checked_element_count(*entry.dtype, *entry.sizes)) *
              static_cast<std::uint64_t>(byte_size(*entry.dtype));
    } catch (const Error& error) {
      file.refuse(fmt::format("the tensor {}: {}", shown(name), error.diagnostic().message));
    }
    if (bytes != end - begin)
      file.refuse(fmt::format("the tensor {} is {}, which takes {} bytes, and has {}", shown(name),
                              to_string(*entry.dtype, *entry.sizes), bytes, end - begin));
    ordered.push_back(&item);
  }
  std::sort(ordered.begin(), ordered.end(),
            [](const auto* a, const auto* b) { return *a->second.offsets < *b->second.offsets; });
  std::uint64_t covered = 0;
  for (const auto* item : ordered) {
    auto [begin, end] = *item->second.offsets;
    if (begin < covered)
      file.refuse(fmt::format("the tensor {} overlaps another one at byte {} of the data",
                              shown(item->first), begin));
    if (begin > covered)
      file.refuse(fmt::format("bytes {} to {} of the data belong to no tensor", covered, begin));
    covered = end;
  }
  if (covered != data_size)
    file.refuse(fmt::format("bytes {} to {} of the data belong to no tensor", covered, data_size));
}

std::string_view type_name(DType dtype) {
  for (const TypeName& type : kTypes)
    if (type.dtype == dtype) return type.name;
  WEIR_CHECK(false, std::string(name(dtype)));
  return {};
}

}  // namespace

Weights read_safetensors(const FileBytes& file) {
  if (file.bytes.size() < kLengthBytes)
    file.refuse(fmt::format("this is not a .safetensors file: it has only {} byte{}",
                            file.bytes.size(), file.bytes.size() == 1 ? "" : "s"));
  std::uint64_t length = 0;
  for (std::size_t i = 0; i < kLengthBytes; ++i) length |= std::uint64_t{file.bytes[i]} << (8 * i);
  std::uint64_t rest = file.bytes.size() - kLengthBytes;
  if (length > rest)
    file.refuse(
        fmt::format("the .safetensors header claims {} bytes, and only {} follow", length, rest));
  if (length > kLargestHeader)
    file.refuse(fmt::format("the .safetensors header claims {} bytes; at most {} are allowed",
                            length, kLargestHeader));
  std::string_view header = file.text().substr(kLengthBytes, static_cast<std::size_t>(length));
  if (header.empty() || header.front() != '{')
    file.refuse("this is not a .safetensors file: its header does not begin with '{'");

  HeaderReader reader;
  if (!Json::sax_parse(header.begin(), header.end(), &reader))
    file.refuse(fmt::format("the .safetensors header is wrong: {}", reader.fault));
  check_ranges(file, reader.entries, rest - length);

  Weights weights;
  while (!reader.entries.empty()) {
    auto item = reader.entries.extract(reader.entries.begin());
    Entry& entry = item.mapped();
    std::size_t offset = kLengthBytes + static_cast<std::size_t>(length + (*entry.offsets)[0]);
    weights.emplace(std::move(item.key()),
                    tensor_in_file(file, offset, *entry.dtype, std::move(*entry.sizes)));
  }
  return weights;
}

Weights read_safetensors(const std::string& path) { return read_safetensors(map_file(path)); }

SafetensorsContent::SafetensorsContent(const Weights& weights) {
  std::vector<const Weights::value_type*> ordered;
  for (const auto& item : weights) ordered.push_back(&item);
  std::sort(ordered.begin(), ordered.end(), [](const auto* a, const auto* b) {
    int a_size = byte_size(a->second.dtype()), b_size = byte_size(b->second.dtype());
    return a_size != b_size ? a_size > b_size : a->first < b->first;
  });
  std::string header = "{";
  parts_.resize(1);
  std::size_t offset = 0;
  for (const auto* item : ordered) {
    const auto& [name, tensor] = *item;
    if (name == kMetadata) throw Error(fmt::format("a param must not be named {}", kMetadata));
    std::string quoted;
    try {
      quoted = Json(name).dump();
    } catch (const Json::exception&) {
      throw Error(
          fmt::format("the name {} is not UTF-8, which .safetensors requires", shown(name)));
    }
    std::size_t end = offset + tensor.byte_count();
    header += fmt::format(R"({}{}:{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})",
                          header.size() > 1 ? "," : "", quoted, type_name(tensor.dtype()),
                          fmt::join(tensor.sizes(), ","), offset, end);
    parts_.push_back(bytes_of(tensor));
    offset = end;
  }
  header += "}";
  header.append((kAlignment - (kLengthBytes + header.size()) % kAlignment) % kAlignment, ' ');
  head_.resize(kLengthBytes);
  for (std::size_t i = 0; i < kLengthBytes; ++i)
    head_[i] = static_cast<char>((std::uint64_t{header.size()} >> (8 * i)) & 0xFF);
  head_ += header;
  parts_[0] = head_;
}

void write_safetensors(const std::string& path, const Weights& weights) {
  write_file(path, SafetensorsContent(weights).parts());
}

}  // namespace weir
