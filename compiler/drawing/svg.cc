#include "compiler/drawing/svg.h"

#include <memory>
#include <mutex>
#include <string_view>

#include <fmt/format.h>

#include "compiler/drawing/graphviz.h"
#include "ir/diagnostic.h"

namespace weir {
namespace {

// 4000 nodes take a second or two, three times as many a minute, and nobody can read them.
constexpr int kMostNodes = 5000;

// What Graphviz has to say about the last call; it knows no other way.
std::string complaint;

int note_complaint(char* text) {
  complaint += text;
  return 0;
}

// Every fixed-width font has the same widths, so a picture with one fits whatever font shows it.
// Graphviz's tables know them under the name of Courier.
constexpr std::string_view kFont = "monospace", kFontInTables = "Courier";

std::string with_font(std::string text, std::string_view attribute, std::string_view from,
                      std::string_view to) {
  std::string old_name = fmt::format("{}=\"{}\"", attribute, from);
  std::string new_name = fmt::format("{}=\"{}\"", attribute, to);
  for (std::size_t at = 0; (at = text.find(old_name, at)) != std::string::npos;
       at += new_name.size())
    text.replace(at, old_name.size(), new_name);
  return text;
}

// Comments hold the version of Graphviz and say what the names of the elements say.
std::string without_comments(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    std::size_t begin = text.find("<!--");
    result += text.substr(0, begin);
    if (begin == std::string_view::npos) break;
    std::size_t end = text.find("-->\n", begin);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 4);
  }
  return result;
}

// Edges run through titles of boxes and through each other's labels. Such texts are moved to the
// end, with a rim of the ground around their letters.
std::string labels_on_top(const std::string& svg) {
  constexpr std::string_view kText = "<text ", kEndOfText = "</text>\n";
  std::string result, labels;
  std::size_t done = 0;
  for (std::size_t group = svg.find("<g "); group != std::string::npos;
       group = svg.find("<g ", group + 1)) {
    std::string_view head = std::string_view(svg).substr(group, svg.find('>', group) - group);
    bool is_box = head.ends_with("class=\"cluster\""), is_edge = head.ends_with("class=\"edge\"");
    if (!is_box && !is_edge) continue;
    std::size_t end = svg.find("\n</g>\n", group);
    for (std::size_t text = svg.find(kText, group); text < end; text = svg.find(kText, text + 1)) {
      std::size_t end_of_text = svg.find(kEndOfText, text);
      if (end_of_text == std::string::npos) break;
      end_of_text += kEndOfText.size();
      labels += fmt::format("<text style=\"paint-order:stroke;stroke:{};stroke-width:3px\" ",
                            is_box ? "#F9F9F9" : "white");
      labels += svg.substr(text + kText.size(), end_of_text - text - kText.size());
      result += svg.substr(done, text - done);
      done = end_of_text;
    }
  }
  result += svg.substr(done);
  std::size_t end_of_picture = result.rfind("</g>\n</svg>");
  return end_of_picture == std::string::npos ? result : result.insert(end_of_picture, labels);
}

std::string render(const std::string& dot) {
  const Graphviz& library = graphviz();
  complaint.clear();
  library.set_error_function(note_complaint);
  std::unique_ptr<GVC_t, decltype(library.free_context)> context(
      library.new_context(library.plugins.data(), 0), library.free_context);
  GraphvizGraph graph = read_graph(dot);
  if (!graph) throw Error("Graphviz cannot read the picture: " + complaint);
  int nodes = library.node_count(graph.get());
  if (nodes > kMostNodes)
    throw Error(fmt::format(
        "a picture of {} nodes is too large to be laid out, which takes at most {}; DOT text can "
        "be of any size",
        nodes, kMostNodes));
  bool is_laid_out = library.layout(context.get(), graph.get(), "dot") == 0;
  std::string text;
  if (is_laid_out) {
    char* data = nullptr;
    unsigned length = 0;
    if (library.render(context.get(), graph.get(), "svg", &data, &length) == 0)
      text.assign(data, length);
    library.free_render(data);
    library.free_layout(context.get(), graph.get());
  }
  if (text.empty() || complaint.find("Error") != std::string::npos)
    throw Error("Graphviz cannot draw the picture: " + complaint);
  return text;
}

}  // namespace

std::string svg(const std::string& dot) {
  static std::mutex mutex;
  std::lock_guard lock(mutex);
  std::string text = render(with_font(dot, "fontname", kFont, kFontInTables));
  for (std::string_view font : {"Courier", "Courier,monospace"})
    text = with_font(std::move(text), "font-family", font, kFont);
  return labels_on_top(without_comments(text));
}

}  // namespace weir
