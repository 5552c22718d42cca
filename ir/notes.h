// The words that passes put before the notes of locations; see Location in ir/diagnostic.h.
//
// They mark what a node belongs to: the forward pass, or what autodiff and optimizers add to it.
// Files keep the marks: the text form in sections, "gradient:" or "gradient of gradient:", and ONNX
// in the documentation of the node.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

namespace weir {

// Of what autodiff makes: the location is that of the node it differentiates.
inline constexpr std::string_view kGradientOf = "gradient of";

// Of what an optimizer does: the location is that of the param.
inline constexpr std::string_view kUpdateOf = "update of";

// Of what is computed again for the backward pass: the location is that of the node that computed
// it.
inline constexpr std::string_view kRecomputationOf = "recomputation of";

inline constexpr std::array kMarks = {kGradientOf, kUpdateOf, kRecomputationOf};
// How many of them files keep of one note.
inline constexpr int kMostMarks = 4;
// Ends a mark; what is before it names a section of the text form.
inline constexpr std::string_view kMarkEnd = " of";
// The section of what has no mark.
inline constexpr std::string_view kForward = "forward";

// The marks at the beginning of a note: "gradient of gradient of" of "gradient of gradient of h
// in".
inline std::string_view marks_of(std::string_view note) {
  std::size_t end = 0;
  for (int count = 0; count < kMostMarks; ++count) {
    std::size_t start = end == 0 ? 0 : end + 1;
    std::size_t before = end;
    for (std::string_view mark : kMarks) {
      if (start > note.size() || !note.substr(start).starts_with(mark)) continue;
      std::size_t behind = start + mark.size();
      if (behind == note.size() || note[behind] == ' ') end = behind;
    }
    if (end == before || end == note.size()) break;
  }
  return note.substr(0, end);
}

// The note of a node's name with these marks before it.
inline std::string marked(std::string_view marks, std::string_view note) {
  if (marks.empty()) return std::string(note);
  return std::string(marks).append(" ").append(note);
}

}  // namespace weir
