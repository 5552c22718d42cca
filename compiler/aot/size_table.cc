#include "compiler/aot/size_table.h"

#include <algorithm>
#include <cstring>
#include <set>

#include <fmt/format.h>

#include "compiler/lowering/memory_plan.h"
#include "ir/diagnostic.h"
#include "ir/escape.h"
#include "runtime/abi.h"

namespace weir {
namespace {

// Rows of a part that are shown before the rest is summed up.
constexpr std::size_t kShown = 12;

// ELF of 32 and 64 bits, little-endian. Every read is checked against the end of the file.
class ElfReader {
 public:
  ElfReader(std::string_view bytes, const std::string& name) : bytes_(bytes), name_(name) {
    if (bytes.size() < 52 ||
        bytes.substr(0, 4) !=
            "\x7f"
            "ELF" ||
        bytes[5] != 1)
      refuse("this is no object file of the form ELF");
    wide_ = bytes[4] == 2;
  }

  void add_to(SizeTable& table) const {
    const std::uint64_t count = number(wide_ ? 0x3C : 0x30, 2);
    std::uint64_t counted = 0, constants = 0, code = 0, weights = 0;
    std::vector<bool> is_code(count);
    for (std::uint64_t i = 0; i < count; ++i) {
      Section section = section_at(i);
      constexpr std::uint64_t kNoBits = 8, kAlloc = 2, kExecutable = 4;
      if (section.type == kNoBits || (section.flags & kAlloc) == 0) continue;
      std::string_view own = text(section_at(number(wide_ ? 0x3E : 0x32, 2)).offset + section.name);
      counted += section.size;
      is_code[i] = (section.flags & kExecutable) != 0;
      (is_code[i] ? code : own == ".rodata.weir_weights" ? weights : constants) += section.size;
    }
    std::uint64_t named = 0;
    for (std::uint64_t i = 0; i < count; ++i) {
      Section section = section_at(i);
      if (section.type != 2) continue;
      std::uint64_t strings = section_at(section.link).offset;
      const std::uint64_t entry = wide_ ? 24 : 16;
      for (std::uint64_t at = 0; at + entry <= section.size; at += entry) {
        std::uint64_t symbol = section.offset + at;
        std::uint64_t kind = number(symbol + (wide_ ? 4 : 12), 1) & 15;
        std::uint64_t where = number(symbol + (wide_ ? 6 : 14), 2);
        std::uint64_t size = wide_ ? number(symbol + 16, 8) : number(symbol + 8, 4);
        std::string_view own = text(strings + number(symbol, 4));
        if (kind == 1 && own.ends_with("_weights") && weights == 0) {
          // A linker joins sections of read-only data.
          weights = std::min(size, constants);
          constants -= weights;
        }
        if (kind != 2 || where == 0 || where >= count || !is_code[where] || size == 0) continue;
        table.code.emplace_back(std::string(own), size);
        named += size;
      }
    }
    if (code > named) table.code.emplace_back("padding between functions", code - named);
    if (constants > 0) table.constants.emplace_back("tables, texts and numbers", constants);
    if (weights > 0) table.weights.emplace_back("weights", weights);
    table.other += bytes_.size() - std::min<std::uint64_t>(counted, bytes_.size());
  }

 private:
  struct Section {
    std::uint64_t name, type, flags, offset, size, link;
  };

  [[noreturn]] void refuse(const char* message) const {
    throw Error(Location(std::make_shared<const std::string>(name_), 0, 0), message);
  }

  std::uint64_t number(std::uint64_t offset, std::size_t bytes) const {
    if (offset > bytes_.size() || bytes > bytes_.size() - offset) refuse("the file ends early");
    std::uint64_t value = 0;
    for (std::size_t i = bytes; i-- > 0;)
      value = value << 8 | static_cast<unsigned char>(bytes_[offset + i]);
    return value;
  }

  Section section_at(std::uint64_t i) const {
    std::uint64_t at =
        number(wide_ ? 0x28 : 0x20, wide_ ? 8 : 4) + i * number(wide_ ? 0x3A : 0x2E, 2);
    if (wide_)
      return {number(at, 4),        number(at + 4, 4),    number(at + 8, 8),
              number(at + 0x18, 8), number(at + 0x20, 8), number(at + 0x28, 4)};
    return {number(at, 4),        number(at + 4, 4),    number(at + 8, 4),
            number(at + 0x10, 4), number(at + 0x14, 4), number(at + 0x18, 4)};
  }

  std::string_view text(std::uint64_t offset) const {
    if (offset >= bytes_.size()) refuse("the file ends early");
    std::string_view rest = bytes_.substr(offset);
    return rest.substr(0, rest.find('\0'));
  }

  std::string_view bytes_;
  std::string name_;
  bool wide_ = false;
};

void sort_rows(SizeTable::Rows& rows) {
  std::sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  });
}

void append_part(std::string& text, const char* title, const SizeTable::Rows& rows) {
  if (rows.empty()) return;
  text += fmt::format("{:<60} {:>15}\n", title, SizeTable::total(rows));
  std::uint64_t shown = 0;
  for (std::size_t i = 0; i < std::min(rows.size(), kShown); ++i) {
    text += fmt::format("  {:<58} {:>15}\n", shortened(rows[i].first, 54), rows[i].second);
    shown += rows[i].second;
  }
  if (rows.size() > kShown)
    text += fmt::format("  {:<58} {:>15}\n", fmt::format("{} more", rows.size() - kShown),
                        SizeTable::total(rows) - shown);
}

constexpr std::string_view kArchive = "!<arch>\n";

void check_symbols(const ModelObject& model, const Dim::Bindings& sizes) {
  std::set<std::string> symbols;
  for (const ModelObject::Entry& entry : model.programs)
    symbols.insert(entry.program.symbols.begin(), entry.program.symbols.end());
  for (const auto& [symbol, size] : sizes)
    if (!symbols.contains(symbol))
      throw Error(
          fmt::format("there is no symbol {} that a workspace could be counted with; {}", symbol,
                      symbols.empty() ? "all sizes of the model are numbers"
                                      : fmt::format("the model has {}", fmt::join(symbols, ", "))));
}

}  // namespace

std::uint64_t SizeTable::total(const Rows& rows) {
  std::uint64_t sum = 0;
  for (const auto& [name, bytes] : rows) sum += bytes;
  return sum;
}

std::string SizeTable::to_string() const {
  std::string text;
  append_part(text, "code", code);
  append_part(text, "constants", constants);
  append_part(text, "weights", weights);
  append_part(text, "state", state);
  append_part(text, "workspace", workspace);
  text += fmt::format("{:<60} {:>15}\n", "names, lines and headers", other);
  return text;
}

SizeTable sizes_of_file(std::string_view bytes, const std::string& name) {
  SizeTable table;
  if (!bytes.starts_with(kArchive)) {
    ElfReader(bytes, name).add_to(table);
  } else {
    // Members: 60 bytes of header, with the size in decimal at 48, then the content, padded to an
    // even length.
    table.other = kArchive.size();
    for (std::size_t at = kArchive.size(); at + 60 <= bytes.size();) {
      std::uint64_t size = 0;
      for (char c : bytes.substr(at + 48, 10))
        if (is_digit(c)) size = size * 10 + static_cast<std::uint64_t>(c - '0');
      std::string_view member = bytes.substr(at + 60).substr(0, size);
      table.other += 60;
      if (member.starts_with("\x7f"
                             "ELF"))
        ElfReader(member, name).add_to(table);
      else
        table.other += member.size();
      at += 60 + size + size % 2;
    }
  }
  sort_rows(table.code);
  return table;
}

void add_model_sizes(SizeTable& table, const ModelObject& model, const WeightLayout& layout,
                     const Dim::Bindings& sizes) {
  check_symbols(model, sizes);
  table.weights.clear();
  for (std::size_t i = 0; i < layout.entries.size(); ++i) {
    const WeightEntry& entry = layout.entries[i];
    std::uint64_t end =
        i + 1 < layout.entries.size() ? *layout.entries[i + 1].offset : layout.bytes;
    std::string name = entry.param.empty() ? "a constant" : value_name(entry.param);
    table.weights.emplace_back(name + " " + weir::to_string(type_in_block(entry)),
                               end - *entry.offset);
  }
  if (model.state.first_bytes > 0)
    table.weights.emplace_back("first values of the state", model.state.first_bytes);
  sort_rows(table.weights);
  for (const StateEntry& entry : model.state.entries)
    table.state.emplace_back(value_name(entry.param) + " " + weir::to_string(entry.type),
                             aligned(entry.bytes));
  sort_rows(table.state);
  for (const ModelObject::Entry& entry : model.programs) {
    Dim::Bindings bindings = sizes;
    std::string name = entry.name;
    for (const std::string& symbol : entry.program.symbols) {
      std::int64_t size = bindings.emplace(symbol, 1).first->second;
      name += fmt::format(", {} = {}", symbol, size);
    }
    std::optional<std::uint64_t> bytes = workspace_bytes(entry.program, bindings);
    const std::uint64_t more =
        model.variant_bytes() + model.bytes_per_worker(entry.program, bindings);
    table.workspace.emplace_back(name,
                                 bytes && *bytes <= UINT64_MAX - more ? *bytes + more : UINT64_MAX);
  }
  sort_rows(table.workspace);
}

void SizeLimits::check(const SizeTable& table) const {
  auto within = [&](const char* what, std::uint64_t bytes,
                    const std::optional<std::uint64_t>& limit) {
    if (limit && bytes > *limit)
      throw Error(fmt::format("the model takes {} bytes of {}, and {} are allowed\n{}", bytes, what,
                              *limit, table.to_string()));
  };
  within("code and constants", SizeTable::total(table.code) + SizeTable::total(table.constants),
         code);
  within("weights", SizeTable::total(table.weights), weights);
  within("state", SizeTable::total(table.state), state);
  // Programs run one at a time in a workspace; it has to be large enough for each.
  within("workspace", table.workspace.empty() ? 0 : table.workspace[0].second, workspace);
}

}  // namespace weir
