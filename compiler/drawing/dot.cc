#include "compiler/drawing/dot.h"

#include <algorithm>
#include <array>
#include <string_view>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "ir/escape.h"

namespace weir {
namespace {

using Flow = Picture::Flow;
using Role = Picture::Role;

struct Style {
  std::string_view meaning;  // in the legend
  std::string_view shape, fill, line, text;
};

constexpr Style kInput{"input", "ellipse", "#DDF3E0", "#2E7D32", "#1A1A1A"};
constexpr Style kParam{"param", "box", "#F1ECF9", "#6A4FA3", "#1A1A1A"};
constexpr Style kConstant{"constant", "box", "#FFFFFF", "#8A8A8A", "#1A1A1A"};
constexpr Style kForward{"forward", "box", "#DCEBFA", "#1E5FA8", "#1A1A1A"};
constexpr Style kBackward{"backward", "box", "#FDE6D0", "#B65300", "#1A1A1A"};
constexpr Style kCopy{"copy", "box", "#ECECEC", "#5F5F5F", "#1A1A1A"};
constexpr Style kOutput{"output", "ellipse", "#2F3B45", "#2F3B45", "#FFFFFF"};
constexpr std::array<const Style*, 7> kLegend{&kInput,    &kParam, &kConstant, &kForward,
                                              &kBackward, &kCopy,  &kOutput};

constexpr std::string_view kBoxGround = "#F9F9F9";

const Style& style_of(const Picture::Node& node) {
  switch (node.role) {
    case Role::input:
      return kInput;
    case Role::param:
      return kParam;
    case Role::constant:
      return kConstant;
    case Role::output:
      return kOutput;
    case Role::copy:
      return kCopy;
    case Role::operation:
      break;
  }
  return node.flow == Flow::forward ? kForward : kBackward;
}

// Text in a label between < and >, which is read like HTML.
std::string label_text(std::string_view text) {
  std::string result;
  for (char c : printable(text)) switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      default:
        result += c;
    }
  return result;
}

// A string in quotes in which Graphviz replaces nothing; lines stay lines.
std::string quoted_text(std::string_view text) {
  std::string result = "\"";
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    for (char c : printable(line)) {
      if (c == '"' || c == '\\') result += '\\';
      result += c;
    }
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (!text.empty()) result += "\\n";
  }
  return result + "\"";
}

std::string small(std::string_view text) {
  return fmt::format("<FONT POINT-SIZE=\"9\">{}</FONT>", text);
}

class DotWriter {
 public:
  explicit DotWriter(const Picture& picture) : picture_(picture) {}

  std::string write() {
    text_ = R"(digraph {
  graph [bgcolor=white, fontname="monospace", fontsize=12, nodesep=0.2, ranksep=0.35, labelloc=t, labeljust=l];
  node [fontname="monospace", fontsize=11, height=0.3, margin="0.11,0.05", penwidth=1.2];
  edge [fontname="monospace", fontsize=8, color="#555555", fontcolor="#444444", arrowsize=0.6, labeldistance=1.7, labelangle=30];
)";
    text_ += fmt::format("  label=<{}>;\n", legend());
    for (std::uint32_t i = 0; i < picture_.nodes.size(); ++i)
      if (!picture_.nodes[i].box) write_node(i, "  ");
    for (std::uint32_t i = 0; i < picture_.boxes.size(); ++i) write_box(i);
    for (const Picture::Edge& edge : picture_.edges) write_edge(edge);
    return text_ + "}\n";
  }

 private:
  std::string legend() const {
    std::string cells;
    for (const Style* style : kLegend) {
      bool is_used =
          std::any_of(picture_.nodes.begin(), picture_.nodes.end(),
                      [&](const Picture::Node& node) { return &style_of(node) == style; });
      if (is_used)
        cells += fmt::format(
            "<TD BGCOLOR=\"{}\" COLOR=\"{}\" BORDER=\"1\"><FONT POINT-SIZE=\"9\" "
            "COLOR=\"{}\">{}</FONT></TD>",
            style->fill, style->line, style->text, style->meaning);
    }
    if (std::any_of(picture_.edges.begin(), picture_.edges.end(),
                    [this](const Picture::Edge& edge) { return changes_flow(edge); }))
      cells += fmt::format(
          "<TD BORDER=\"0\"><FONT POINT-SIZE=\"9\" COLOR=\"{}\">- -&gt; kept for "
          "backward</FONT></TD>",
          kBackward.line);
    if (!picture_.boxes.empty())
      cells +=
          "<TD BORDER=\"1\" STYLE=\"DASHED\" COLOR=\"#5F5F5F\">" + small("one kernel") + "</TD>";
    return fmt::format(
        "<TABLE BORDER=\"0\" CELLSPACING=\"4\" CELLPADDING=\"3\"><TR><TD "
        "BORDER=\"0\"><B>{}</B></TD>{}</TR></TABLE>",
        label_text(picture_.title), cells);
  }

  void write_node(std::uint32_t number, std::string_view indent) {
    const Picture::Node& node = picture_.nodes[number];
    const Style& style = style_of(node);
    std::string label = fmt::format("<B>{}</B>", label_text(node.title));
    for (const std::string& line : node.lines) label += "<BR/>" + small(label_text(line));
    text_ += fmt::format(
        "{}n{} [label=<{}>, shape={}, style=\"filled,rounded\", fillcolor=\"{}\", color=\"{}\", "
        "fontcolor=\"{}\", "
        "tooltip={}];\n",
        indent, number, label, style.shape, style.fill, style.line, style.text,
        quoted_text(node.tooltip));
  }

  bool changes_flow(const Picture::Edge& edge) const {
    return picture_.nodes[edge.from].flow != picture_.nodes[edge.to].flow;
  }

  // A box whose nodes are all of one flow has its colour.
  std::string_view box_color(std::uint32_t number) const {
    bool forward = false, backward = false;
    for (const Picture::Node& node : picture_.nodes)
      if (node.box == number) (node.flow == Flow::forward ? forward : backward) = true;
    return forward && backward ? kCopy.line : backward ? kBackward.line : kForward.line;
  }

  void write_box(std::uint32_t number) {
    const Picture::Box& box = picture_.boxes[number];
    constexpr std::string_view kLineEnd = "<BR ALIGN=\"LEFT\"/>";
    std::string label = fmt::format("<B>{}</B>{}", label_text(box.title), kLineEnd);
    if (!box.line.empty()) label += small(label_text(box.line)).append(kLineEnd);
    text_ += fmt::format("  subgraph cluster_{} {{\n", number);
    text_ += fmt::format("    label=<{}>; tooltip={};\n", label, quoted_text(box.title));
    text_ += fmt::format(
        "    style=\"rounded,dashed,filled\"; fillcolor=\"{}\"; color=\"{}\"; fontsize=10;\n",
        kBoxGround, box_color(number));
    for (std::uint32_t i = 0; i < picture_.nodes.size(); ++i)
      if (picture_.nodes[i].box == number) write_node(i, "    ");
    text_ += "  }\n";
  }

  // Backwards is upwards: for the layout such an edge points from its end to its beginning, and an
  // edge from one flow to the other asks only that its end is not above its beginning. Labels stand
  // at the ends of edges: Graphviz 2.42 frees memory twice when an edge between nodes of one row
  // has a label in its middle.
  void write_edge(const Picture::Edge& edge) {
    bool crosses = changes_flow(edge);
    bool upwards = !crosses && picture_.nodes[edge.from].flow == Flow::backward;
    std::vector<std::string> attributes;
    if (!edge.label.empty())
      attributes.push_back(
          fmt::format("{}=<{}>", upwards ? "taillabel" : "headlabel", label_text(edge.label)));
    if (upwards) attributes.emplace_back("dir=back");
    if (crosses)
      attributes.push_back(fmt::format("style=dashed, color=\"{}\", minlen=0", kBackward.line));
    text_ +=
        fmt::format("  n{} -> n{}", upwards ? edge.to : edge.from, upwards ? edge.from : edge.to);
    if (!attributes.empty()) text_ += fmt::format(" [{}]", fmt::join(attributes, ", "));
    text_ += ";\n";
  }

  const Picture& picture_;
  std::string text_;
};

}  // namespace

std::string dot(const Picture& picture) { return DotWriter(picture).write(); }

}  // namespace weir
