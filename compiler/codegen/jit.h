// Object code in memory, ready to run.
#pragma once

#include <memory>
#include <string>

#include "compiler/codegen/object.h"
#include "runtime/abi.h"

namespace weir {

// Owns the memory of one loaded program; everything is freed with it.
class LoadedCode {
 public:
  // The code must be for this machine.
  explicit LoadedCode(const LoadableCode& code);
  ~LoadedCode();
  LoadedCode(LoadedCode&&) noexcept;
  LoadedCode& operator=(LoadedCode&&) noexcept;

  weir_program program() const { return program_; }
  weir_workspace_size workspace_size() const { return workspace_size_; }

 private:
  struct Session;
  std::unique_ptr<Session> session_;
  weir_program program_ = nullptr;
  weir_workspace_size workspace_size_ = nullptr;
};

}  // namespace weir
