// A picture before it is written down: nodes, boxes around them, and edges. Texts are any bytes;
// whoever writes the picture escapes them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace weir {

struct Picture {
  enum class Role : std::uint8_t { input, param, constant, output, operation, copy };
  // Gradients flow backwards, and are drawn that way: upwards.
  enum class Flow : std::uint8_t { forward, backward };

  struct Node {
    Role role;
    Flow flow;
    std::string title;
    std::vector<std::string> lines;  // below the title, small
    std::string tooltip;             // the whole story
    std::optional<std::uint32_t> box;
  };
  struct Box {
    std::string title;
    std::string line;
  };
  struct Edge {
    std::uint32_t from, to;  // nodes, in the direction of the data
    std::string label;
  };

  std::string title;
  std::vector<Node> nodes;
  std::vector<Box> boxes;
  std::vector<Edge> edges;
};

}  // namespace weir
