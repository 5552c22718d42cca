// What the tests of the frontend share: a folder of their own, messages of errors, memory taken.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>

#include "ir/tensor.h"

namespace weir::test {

// What the files in tests/data/tensors hold, by the formulas in make.py there.
inline const std::string made_by_numpy = WEIR_SOURCE_DIR "/tests/data/tensors/";
Tensor by_formula(DType dtype, Tensor::Sizes sizes);

// A folder that is empty at first and gone at the end.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  std::string path(const std::string& name) const { return (path_ / name).string(); }
  std::size_t file_count() const;

 private:
  std::filesystem::path path_;
};

// The message of the Error that the action throws; "no error" if it throws none.
std::string error_of(const std::function<void()>& action);

// The most memory from operator new that is live at one time during the action, beyond what was
// before.
std::size_t peak_memory_of(const std::function<void()>& action);

}  // namespace weir::test
