// What an action that must fail says.
#pragma once

#include <string>

#include "ir/diagnostic.h"

namespace weir::test {

// The message of the Error that an action ends with, or "no error".
template <class Action>
std::string error_of(Action&& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace weir::test
