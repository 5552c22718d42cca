// What takes the space of a compiled model, and limits to it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "compiler/aot/shared_weights.h"
#include "compiler/codegen/model_object.h"

namespace weir {

struct SizeTable {
  using Rows = std::vector<std::pair<std::string, std::uint64_t>>;  // name and bytes
  Rows code;                                                        // functions, the largest first
  Rows constants;           // read-only data beside the weights, one row
  Rows weights;             // params and constants of the model
  Rows state;               // what programs update in place
  Rows workspace;           // of each program, with one worker
  std::uint64_t other = 0;  // names for linkers and debuggers, headers

  static std::uint64_t total(const Rows& rows);
  // As a table in 80 columns: totals, and the largest rows of each part.
  std::string to_string() const;
};

// Code, constants and weights of a file of code: an ELF object, an archive of them, or a shared
// object. Error if it is none.
SizeTable sizes_of_file(std::string_view bytes, const std::string& name);

// Adds what the file does not tell: each weight by its name, and the workspaces, for symbolic
// dimensions of these sizes, or of 1. Error if a size is that of no symbol.
void add_model_sizes(SizeTable& table, const ModelObject& model, const WeightLayout& layout,
                     const Dim::Bindings& sizes);

// Limits in bytes.
struct SizeLimits {
  std::optional<std::uint64_t> code, weights, state, workspace;

  bool is_given() const { return code || weights || state || workspace; }
  // Error with the table if one of them is passed.
  void check(const SizeTable& table) const;
};

}  // namespace weir
