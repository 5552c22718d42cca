#include "tensor_text.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "ir/escape.h"
#include "terminal.h"

namespace weir::tool {
namespace {

constexpr std::int64_t kLimit = 1000;
constexpr std::int64_t kEdge = 3;
constexpr std::string_view kElision = "...";

// Characters before the decimal point or the exponent; all of "true", "inf" and integers.
std::size_t whole_part(std::string_view number) {
  std::size_t end = number.find_first_of(".e");
  return number.find_first_of("0123456789") > end ? number.size() : std::min(end, number.size());
}

// Lays a tensor of at least one element and one dimension out in lines.
class Layout {
 public:
  explicit Layout(const Tensor& tensor)
      : tensor_(tensor), is_elided_(tensor.element_count() > kLimit) {
    for_each_shown(0, 0, [this](std::int64_t position) {
      std::string number = element(position);
      std::size_t whole = whole_part(number);
      whole_ = std::max(whole_, whole);
      rest_ = std::max(rest_, number.size() - whole);
    });
  }

  // The width of a row on one line, with the brackets around it.
  std::size_t row_width() const {
    std::size_t cells = shown(last()).size();
    return 2 * tensor_.sizes().size() + cells * (whole_ + rest_ + 2);
  }

  // The first line is not indented.
  std::string text(std::size_t indent) const {
    std::string result;
    append(result, 0, 0, indent);
    return result;
  }

 private:
  std::size_t last() const { return tensor_.sizes().size() - 1; }
  std::string element(std::int64_t position) const {
    return scalar::to_string(tensor_.dtype(), tensor_.bits(position));
  }

  // The indices of a dimension that are shown; -1 stands for those left out.
  std::vector<std::int64_t> shown(std::size_t dimension) const {
    std::int64_t size = tensor_.sizes()[dimension];
    std::vector<std::int64_t> result;
    for (std::int64_t i = 0; i < size; ++i) {
      if (is_elided_ && size > 2 * kEdge && i == kEdge) {
        result.push_back(-1);
        i = size - kEdge;
      }
      result.push_back(i);
    }
    return result;
  }

  template <class Action>
  void for_each_shown(std::size_t dimension, std::int64_t position, const Action& action) const {
    if (dimension == tensor_.sizes().size()) return action(position);
    for (std::int64_t i : shown(dimension))
      if (i >= 0) for_each_shown(dimension + 1, position * tensor_.sizes()[dimension] + i, action);
  }

  // The part of the tensor at `position` in the dimensions before `dimension`.
  void append(std::string& text, std::size_t dimension, std::int64_t position,
              std::size_t indent) const {
    text += '[';
    if (dimension == last()) {
      append_row(text, position, indent + 1);
    } else {
      bool is_first = true;
      for (std::int64_t i : shown(dimension)) {
        if (!is_first) text += ",\n" + std::string(indent + 1, ' ');
        is_first = false;
        if (i < 0) {
          text += kElision;
        } else {
          append(text, dimension + 1, position * tensor_.sizes()[dimension] + i, indent + 1);
        }
      }
    }
    text += ']';
  }

  // Cells have one width; what follows a number stands at once behind it.
  void append_row(std::string& text, std::int64_t position, std::size_t indent) const {
    std::size_t column = indent;
    std::vector<std::int64_t> indices = shown(last());
    for (std::size_t c = 0; c < indices.size(); ++c) {
      bool is_last = c + 1 == indices.size();
      std::string number = indices[c] < 0 ? std::string(kElision)
                                          : element(position * tensor_.sizes().back() + indices[c]);
      std::size_t whole = indices[c] < 0 ? std::min(whole_, number.size()) : whole_part(number);
      std::size_t width = whole_ + rest_;
      if (column > indent && column + width + 1 > kTerminalColumns - tensor_.sizes().size()) {
        while (text.back() == ' ') text.pop_back();
        text += "\n" + std::string(indent, ' ');
        column = indent;
      }
      std::string cell = std::string(whole_ - whole, ' ') + number;
      if (!is_last) cell += ',';
      std::size_t padding = is_last ? 0 : width + 2 - std::min(width + 2, cell.size());
      text += cell + std::string(padding, ' ');
      column += width + 2;
    }
  }

  const Tensor& tensor_;
  bool is_elided_;
  std::size_t whole_ = 0, rest_ = 0;  // characters before and after the decimal point, at most
};

}  // namespace

std::string output_text(std::string_view name, const Tensor& tensor) {
  std::string head =
      fmt::format("{}: {} = ", value_name(name), to_string(tensor.dtype(), tensor.sizes()));
  if (tensor.element_count() == 0) return head + "[]\n";
  std::int64_t columns = tensor.rank() == 0 ? 1 : tensor.sizes().back();
  if (tensor.element_count() == columns && columns <= static_cast<std::int64_t>(kTerminalColumns)) {
    std::string line = head + tensor.to_string(kLimit, kEdge);
    if (line.size() <= kTerminalColumns || tensor.rank() == 0) return line + "\n";
  }
  Layout layout(tensor);
  if (head.size() + layout.row_width() <= kTerminalColumns)
    return head + layout.text(head.size()) + "\n";
  head.back() = '\n';
  return head + "  " + layout.text(2) + "\n";
}

std::string index_text(const Tensor& tensor, std::int64_t position) {
  std::vector<std::int64_t> index(tensor.sizes().size());
  for (std::size_t i = index.size(); i-- > 0;) {
    index[i] = position % tensor.sizes()[i];
    position /= tensor.sizes()[i];
  }
  return fmt::format("[{}]", fmt::join(index, ", "));
}

}  // namespace weir::tool
