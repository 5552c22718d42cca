// What LLVM returns where it cannot fail unless Weir is wrong.
#pragma once

#include <string>
#include <utility>

#include <llvm/Support/Error.h>

#include "ir/diagnostic.h"

namespace weir {

/// The value; a failure is an InternalError that says what was being done.
template <class T>
T take(llvm::Expected<T> expected, const char* what) {
  if (!expected) WEIR_CHECK(false, std::string(what) + ": " + llvm::toString(expected.takeError()));
  return std::move(*expected);
}

}  // namespace weir
