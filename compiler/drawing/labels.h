// The words in a picture of a graph: names, numbers and attributes, cut where they are long.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "compiler/drawing/picture.h"
#include "compiler/lowering/program.h"
#include "ir/graph.h"

namespace weir {

class Labels {
 public:
  explicit Labels(const Graph& graph);

  // The value's name, or the number that the text form gives it.
  std::string name(ValueId id) const;
  std::string full_name(ValueId id) const;
  // The element of a constant that has one, or equal ones; empty otherwise.
  std::string number(ValueId id) const;
  // The node's attributes that are not the defaults, one a line: "axes = [0]".
  std::vector<std::string> attributes(const Node& node) const;
  // The node in the text form, and where it comes from.
  std::string statement(NodeId id) const;

 private:
  const Graph& graph_;
  std::vector<std::uint32_t> numbers_;  // of values without a name
};

// At most 32 characters of a text, without its middle where it is longer.
std::string shortened(std::string_view text);

Picture::Flow flow_of(const Location& location);

// What the operand is to the op, where a reader of the picture has to know: "" for an only operand.
std::string operand_role(const Node& node, std::size_t operand);

// The loops over a kernel's rows: "for N, 64".
std::string loops_text(const Kernel& kernel, const KernelCall& call);

}  // namespace weir
