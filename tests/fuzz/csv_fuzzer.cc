// CSV files: what is read is written as text that reads back as the same tensor. The first byte
// chooses the type that is expected.

#include <array>

#include "compiler/frontend/csv.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace weir;

// An element takes at least two characters and becomes 8 bytes. A message holds a line of at most
// 64 KiB, some copies of it for a moment.
constexpr fuzz::Bound kBound{8, 1 << 20};

const TensorType* expected_type(std::uint8_t choice) {
  const Dim rows = Dim::symbol("N");
  static const std::array<TensorType, 7> types{TensorType{DType::f32, {rows, Dim::symbol("M")}},
                                               TensorType{DType::f64, {rows}},
                                               TensorType{DType::i32, {rows, 2, 2}},
                                               TensorType{DType::i64, {2, 2}},
                                               TensorType{DType::boolean, {rows, 2}},
                                               TensorType{DType::f32, {}},
                                               TensorType{DType::u8, {rows, 2}}};
  return choice % 8 == 0 ? nullptr : &types[choice % 8 - 1];
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const TensorType* expected = expected_type(data[0]);
  FileBytes file = fuzz::file_of(data + 1, size - 1, "input.csv");
  auto tensor = fuzz::accepted(size, kBound, [&] { return read_csv(file, expected); });
  if (tensor && expected == nullptr) {
    CsvTable table = read_csv_table(file);
    fuzz::require(compare(table.cells, *tensor).identical, "the table has other cells");
    auto columns = static_cast<std::size_t>(tensor->sizes()[1]);
    fuzz::require(table.names.empty() || table.names.size() == columns, "a name for each column");
  }
  if (!tensor || tensor->element_count() == 0) return 0;
  TensorType type = tensor->type();
  Tensor again = read_csv(memory_file(csv_text(*tensor), "written.csv"), &type);
  fuzz::require(again.type() == type, "the type changed");
  fuzz::require(compare(again, *tensor).identical, "the elements changed");
  return 0;
}
