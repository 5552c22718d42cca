#include "compiler/frontend/zip_archive.h"

#include <zip.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include <fmt/format.h>

namespace weir {
namespace {

constexpr std::size_t kContentAlignment = 64;
// Deflate writes at least two bits for 258 bytes.
constexpr std::uint64_t kLargestRatio = 258 * 4;
constexpr std::size_t kChunk = 65536;
constexpr const char* kTooShort = "it is shorter than the directory says";

// An archive's bytes as libzip reads them, and as it writes them.
struct Medium {
  std::span<const unsigned char> bytes;
  std::string written;
  std::size_t position = 0;
  std::optional<std::size_t> first_read;  // where reading began since this was emptied
  zip_error_t error{};
};

zip_int64_t read_some(Medium& medium, void* target, std::size_t size) {
  if (!medium.first_read) medium.first_read = medium.position;
  std::size_t count = std::min(size, medium.bytes.size() - medium.position);
  if (count > 0) std::memcpy(target, medium.bytes.data() + medium.position, count);
  medium.position += count;
  return static_cast<zip_int64_t>(count);
}

zip_int64_t write_some(Medium& medium, const void* source, std::size_t size) try {
  if (medium.written.size() < medium.position + size) medium.written.resize(medium.position + size);
  if (size > 0) std::memcpy(medium.written.data() + medium.position, source, size);
  medium.position += size;
  return static_cast<zip_int64_t>(size);
} catch (const std::exception&) {
  zip_error_set(&medium.error, ZIP_ER_MEMORY, 0);
  return -1;
}

zip_int64_t seek(Medium& medium, void* arguments, std::size_t length, std::size_t size) {
  zip_int64_t position =
      zip_source_seek_compute_offset(medium.position, size, arguments, length, &medium.error);
  if (position < 0) return -1;
  medium.position = static_cast<std::size_t>(position);
  return 0;
}

// libzip's interface of a file. Called from C: nothing is thrown.
zip_int64_t serve(void* state, void* data, zip_uint64_t length, zip_source_cmd_t command) {
  Medium& medium = *static_cast<Medium*>(state);
  switch (command) {
    case ZIP_SOURCE_OPEN:
    case ZIP_SOURCE_BEGIN_WRITE:
      medium.position = 0;
      return 0;
    case ZIP_SOURCE_READ:
      return read_some(medium, data, length);
    case ZIP_SOURCE_WRITE:
      return write_some(medium, data, length);
    case ZIP_SOURCE_SEEK:
      return seek(medium, data, length, medium.bytes.size());
    case ZIP_SOURCE_SEEK_WRITE:
      return seek(medium, data, length, medium.written.size());
    case ZIP_SOURCE_TELL:
    case ZIP_SOURCE_TELL_WRITE:
      return static_cast<zip_int64_t>(medium.position);
    case ZIP_SOURCE_STAT: {
      auto* status = static_cast<zip_stat_t*>(data);
      zip_stat_init(status);
      status->size = medium.bytes.size();
      status->valid |= ZIP_STAT_SIZE;
      return sizeof(zip_stat_t);
    }
    case ZIP_SOURCE_ERROR:
      return zip_error_to_data(&medium.error, data, length);
    case ZIP_SOURCE_SUPPORTS:
      return ZIP_SOURCE_SUPPORTS_WRITABLE;
    default:
      return 0;
  }
}

// An open archive over a medium.
class Handle {
 public:
  Handle(Medium& medium, int flags, zip_error_t& error) {
    zip_source_t* source = zip_source_function_create(serve, &medium, &error);
    if (source == nullptr) return;
    archive_ = zip_open_from_source(source, flags, &error);
    if (archive_ == nullptr) zip_source_free(source);
  }
  ~Handle() {
    if (archive_ != nullptr) zip_discard(archive_);
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;

  zip_t* get() const { return archive_; }
  // Writes what was added.
  bool close() {
    if (zip_close(archive_) != 0) return false;
    archive_ = nullptr;
    return true;
  }

 private:
  zip_t* archive_ = nullptr;
};

struct Closer {
  void operator()(zip_file_t* member) const { zip_fclose(member); }
};
using OpenMember = std::unique_ptr<zip_file_t, Closer>;

ZipMember checked_member(const FileBytes& file, const zip_stat_t& status) {
  constexpr zip_uint64_t kNeeded = ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE |
                                   ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
  if ((status.valid & kNeeded) != kNeeded || status.name == nullptr)
    file.refuse("the directory of the zip archive is incomplete");
  ZipMember member{status.name, status.size, status.comp_size,
                   status.comp_method == ZIP_CM_DEFLATE};
  if (status.encryption_method != ZIP_EM_NONE)
    file.refuse(
        fmt::format("the member {} is encrypted; store it without a password", shown(member.name)));
  if (!member.is_deflated && status.comp_method != ZIP_CM_STORE)
    file.refuse(fmt::format(
        "the member {} is compressed by method {}; supported are stored (0) and deflated (8)",
        shown(member.name), status.comp_method));
  if (member.stored_size > file.bytes.size())
    file.refuse(fmt::format("the member {} claims {} bytes of an archive of {}", shown(member.name),
                            member.stored_size, file.bytes.size()));
  std::uint64_t most = member.is_deflated ? member.stored_size * kLargestRatio : member.stored_size;
  if (member.size > most || (!member.is_deflated && member.size != member.stored_size))
    file.refuse(fmt::format("the member {} claims {} bytes from {} {}; they make {} {}",
                            shown(member.name), member.size, member.stored_size,
                            member.is_deflated ? "deflated" : "stored",
                            member.is_deflated ? "at most" : "exactly", most));
  return member;
}

}  // namespace

struct ZipReader::Archive {
  explicit Archive(FileBytes bytes) : file(std::move(bytes)) { medium.bytes = file.bytes; }

  FileBytes file;
  Medium medium;
  std::optional<Handle> handle;
};

ZipReader::ZipReader(FileBytes file) : archive_(std::make_unique<Archive>(std::move(file))) {
  const FileBytes& bytes = archive_->file;
  zip_error_t error;
  zip_error_init(&error);
  archive_->handle.emplace(archive_->medium, ZIP_RDONLY | ZIP_CHECKCONS, error);
  zip_t* archive = archive_->handle->get();
  int code = zip_error_code_zip(&error);
  std::string reason = zip_error_strerror(&error);
  zip_error_fini(&error);
  // To libzip a file without a byte is an archive without a member.
  if (bytes.bytes.empty() || (archive == nullptr && code == ZIP_ER_NOZIP))
    bytes.refuse("this is not a zip archive, or its end is missing");
  if (archive == nullptr && code == ZIP_ER_EXISTS)
    bytes.refuse("two members of the zip archive have the same name");
  if (archive == nullptr) bytes.refuse(fmt::format("the zip archive is damaged: {}", reason));

  auto count = static_cast<std::size_t>(zip_get_num_entries(archive, 0));
  members_.reserve(count);
  std::uint64_t stored = 0;
  for (std::size_t i = 0; i < count; ++i) {
    zip_stat_t status;
    zip_stat_init(&status);
    if (zip_stat_index(archive, i, 0, &status) != 0)
      bytes.refuse(
          fmt::format("member {} of the zip archive is damaged: {}", i, zip_strerror(archive)));
    members_.push_back(checked_member(bytes, status));
    // Members that share bytes would make of a few kilobytes as much as one likes.
    stored += members_.back().stored_size;
    if (stored > bytes.bytes.size())
      bytes.refuse(fmt::format("the members up to {} claim {} bytes of an archive of {}",
                               shown(members_.back().name), stored, bytes.bytes.size()));
  }
}

ZipReader::~ZipReader() = default;

const FileBytes& ZipReader::file() const { return archive_->file; }

// A member while it is read.
class ZipReader::Member {
 public:
  Member(ZipReader& reader, std::size_t index)
      : file_(reader.file()), member_(reader.members_.at(index)) {
    zip_t* archive = reader.archive_->handle->get();
    open_.reset(zip_fopen_index(archive, index, 0));
    if (!open_) refuse(zip_strerror(archive));
  }

  std::string name() const { return fmt::format("{}:{}", file_.name, member_.name); }
  [[noreturn]] void refuse(const char* reason) const {
    file_.refuse(fmt::format("the member {} is damaged: {}", shown(member_.name), reason));
  }
  // How many bytes were read: `size` at most, and 0 at the end.
  std::size_t read(void* target, std::size_t size) {
    zip_int64_t got = zip_fread(open_.get(), target, size);
    if (got < 0) refuse(zip_file_strerror(open_.get()));
    return static_cast<std::size_t>(got);
  }

 private:
  const FileBytes& file_;
  const ZipMember& member_;
  OpenMember open_;
};

FileBytes ZipReader::read_begin(std::size_t index, std::size_t count) {
  Member open(*this, index);
  std::string content(std::min<std::uint64_t>(count, members_[index].size), '\0');
  for (std::size_t used = 0; used < content.size();) {
    std::size_t got = open.read(content.data() + used, content.size() - used);
    if (got == 0) open.refuse(kTooShort);
    used += got;
  }
  return memory_file(std::move(content), open.name());
}

FileBytes ZipReader::read(std::size_t index) {
  const ZipMember& member = members_.at(index);
  const FileBytes& file = archive_->file;
  if (member.is_deflated) {
    if (member.size > kMostInflated - inflated_)
      file.refuse(
          fmt::format("with the member {} the archive inflates to more than {} bytes; "
                      "store its members uncompressed, in NumPy by savez",
                      shown(member.name), kMostInflated));
    inflated_ += member.size;
  }
  Member open(*this, index);
  // Pages of new memory are touched as the content arrives, and not before.
  std::unique_ptr<unsigned char[]> memory(
      new unsigned char[member.is_deflated ? member.size : kChunk]);
  archive_->medium.first_read.reset();
  std::size_t used = 0;
  for (;;) {
    // One byte more than there should be makes libzip see the end, and verify the checksum.
    unsigned char beyond;
    bool is_full = used == member.size;
    unsigned char* target = is_full              ? &beyond
                            : member.is_deflated ? memory.get() + used
                                                 : memory.get();
    std::size_t room = is_full ? 1 : std::min<std::size_t>(kChunk, member.size - used);
    std::size_t got = open.read(target, room);
    if (got == 0) break;
    if (is_full) open.refuse("it is longer than the directory says");
    used += got;
  }
  if (used != member.size) open.refuse(kTooShort);

  if (member.is_deflated) {
    std::shared_ptr<const unsigned char[]> owner(std::move(memory));
    std::span<const unsigned char> content(owner.get(), used);
    return {open.name(), std::move(owner), content};
  }
  std::size_t begin = archive_->medium.first_read.value_or(0);
  WEIR_CHECK(used <= file.bytes.size() && begin <= file.bytes.size() - used, open.name());
  return {open.name(), file.owner, file.bytes.subspan(begin, used)};
}

namespace {

// The part of a local header that moves the content to a multiple of kContentAlignment, as the
// tools of Android write it: the alignment and zeros.
std::vector<unsigned char> padding(std::size_t header) {
  constexpr std::size_t kFieldHeader = 4, kLeast = 2;
  std::size_t end = header + kFieldHeader + kLeast;
  std::vector<unsigned char> field(kLeast + (kContentAlignment - end % kContentAlignment) %
                                                kContentAlignment);
  field[0] = kContentAlignment;
  return field;
}

void add_member(zip_t* archive, const ZipContent& member, std::size_t header) {
  constexpr zip_uint16_t kAlignmentField = 0xD935, kFirstOf1980 = 1 << 5 | 1;
  std::vector<zip_buffer_fragment_t> fragments;
  for (std::string_view part : member.parts) {
    const void* bytes = part.data();
    fragments.push_back({static_cast<zip_uint8_t*>(const_cast<void*>(bytes)), part.size()});
  }
  zip_source_t* source = zip_source_buffer_fragment(archive, fragments.data(), fragments.size(), 0);
  zip_int64_t added =
      source == nullptr ? -1 : zip_file_add(archive, member.name.c_str(), source, ZIP_FL_ENC_UTF_8);
  if (added < 0) {
    std::string reason = zip_strerror(archive);
    zip_source_free(source);
    throw Error(fmt::format("the member {} cannot be written: {}", shown(member.name), reason));
  }
  auto index = static_cast<zip_uint64_t>(added);
  std::vector<unsigned char> field = padding(header);
  bool is_set =
      zip_set_file_compression(archive, index, ZIP_CM_STORE, 0) == 0 &&
      zip_file_set_dostime(archive, index, 0, kFirstOf1980, 0) == 0 &&
      zip_file_extra_field_set(archive, index, kAlignmentField, ZIP_EXTRA_FIELD_NEW, field.data(),
                               static_cast<zip_uint16_t>(field.size()), ZIP_FL_LOCAL) == 0;
  WEIR_CHECK(is_set, zip_strerror(archive));
}

}  // namespace

std::string zip_archive(std::span<const ZipContent> members) {
  WEIR_CHECK(!members.empty());
  constexpr std::size_t kLocalHeader = 30, kMostOfDirectory = 256;
  Medium medium;
  zip_error_t error;
  zip_error_init(&error);
  Handle handle(medium, ZIP_CREATE | ZIP_TRUNCATE, error);
  zip_error_fini(&error);
  WEIR_CHECK(handle.get() != nullptr);
  std::size_t offset = 0, directory = kMostOfDirectory;
  for (const ZipContent& member : members) {
    std::size_t header = offset + kLocalHeader + member.name.size();
    add_member(handle.get(), member, header);
    offset = header + 4 + padding(header).size();
    for (std::string_view part : member.parts) offset += part.size();
    directory += member.name.size() + kMostOfDirectory;
  }
  medium.written.reserve(offset + directory);
  if (!handle.close())
    throw Error(fmt::format("the archive cannot be written: {}", zip_strerror(handle.get())));
  return std::move(medium.written);
}

}  // namespace weir
