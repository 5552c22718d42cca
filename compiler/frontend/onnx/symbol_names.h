// Names of the dynamic dimensions of an ONNX model.
//
// A named dimension is the same symbol wherever the name occurs; its name is made an identifier,
// and different names stay different. A dimension without a name - no text, or what exporters write
// for none - is a symbol of its own, called after the input and the axis.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "ir/dim.h"

namespace weir::onnx_format {

class SymbolNames {
 public:
  // The dimension called `name` at one axis of an input.
  Dim symbol(const std::string& name, const std::string& input, int axis);

 private:
  std::string unique(const std::string& wanted);

  std::map<std::string, std::string> identifiers_;  // by name in the file
  std::set<std::string> taken_;
  std::map<std::string, std::int64_t> next_suffix_;  // to try, by the name that is taken
};

}  // namespace weir::onnx_format
