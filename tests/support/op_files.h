// tests/ops/NAME.weir: the graphs that every op has, for tests that walk the registry.
#pragma once

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "ir/diagnostic.h"
#include "ir/op.h"
#include "ir/registry.h"
#include "ir/text.h"

namespace weir::test {

inline std::string op_file(const std::string& op) {
  return std::string(WEIR_SOURCE_DIR) + "/tests/ops/" + op + ".weir";
}

inline std::vector<Graph> graphs_of(const std::string& op) {
  std::ifstream file(op_file(op));
  if (!file) throw Error("there is no " + op_file(op) + ": every op needs a file of graphs");
  std::stringstream text;
  text << file.rdbuf();
  return parse_graphs(text.str(), op_file(op));
}

inline std::vector<std::string> op_names() {
  std::vector<std::string> names;
  for (const auto& op : all_ops()) names.push_back(op->name);
  return names;
}

}  // namespace weir::test
