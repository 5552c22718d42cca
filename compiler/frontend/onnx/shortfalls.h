// What a model needs and Weir does not have, collected over the whole model and said at once.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <utility>

#include "compiler/frontend/onnx/unsupported.h"

namespace weir::onnx_format {

class Shortfalls {
 public:
  // What it is about, as in "Conv of opset 13"; the name of the node or value; and what is lacking.
  void add(std::string what, std::string name, std::string reason);
  bool empty() const { return rows_.empty(); }
  // A line for each subject and reason: the first name, and how many more there are.
  Unsupported error(const Location& model) const;

 private:
  struct Row {
    std::size_t order;  // of appearance
    std::string name;
    std::size_t count;
  };
  // By what it is about and the reason.
  std::map<std::pair<std::string, std::string>, Row> rows_;
};

}  // namespace weir::onnx_format
