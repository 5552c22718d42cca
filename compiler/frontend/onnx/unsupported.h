// The difference between a model that is wrong and one that asks for what Weir does not have.
#pragma once

#include "ir/diagnostic.h"

namespace weir {

// The input is well-formed, and Weir lacks something that it needs.
class Unsupported : public Error {
 public:
  using Error::Error;
};

}  // namespace weir
