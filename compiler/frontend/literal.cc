// Reads the text once from left to right, without recursion. The first list to close at a depth
// decides the size there, with which all others must agree; the first number decides how deep
// numbers stand.

#include "compiler/frontend/literal.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "compiler/frontend/element_text.h"
#include "ir/text.h"

namespace weir {
namespace {

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

class LiteralParser {
 public:
  LiteralParser(std::string_view text, DType dtype, const Shape* expected)
      : text_(text), dtype_(dtype), expected_(expected) {}

  Tensor parse() {
    do {
      open_lists();
      if (open_.empty() || !closes_next()) element();
      close_lists();
    } while (!open_.empty());
    skip_space();
    if (position_ != text_.size()) refuse(position_, "the tensor ends here, and more text follows");

    Tensor result(dtype_, final_sizes());
    for (std::size_t i = 0; i < elements_.size(); ++i)
      result.set_bits(static_cast<std::int64_t>(i), elements_[i]);
    return result;
  }

 private:
  struct OpenList {
    std::size_t position;
    std::int64_t count = 0;
  };

  [[noreturn]] void refuse(std::size_t position, std::string message) const {
    // Positions count within the line.
    std::size_t line_begin = position == 0 ? 0 : text_.rfind('\n', position - 1) + 1;
    std::size_t line_end = std::min(text_.find('\n', position), text_.size());
    int line =
        1 + static_cast<int>(std::count(
                text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(line_begin), '\n'));
    static const auto file = std::make_shared<const std::string>("literal");
    Location location(file, line, static_cast<int>(position - line_begin) + 1);
    throw Error(Diagnostic{std::move(location), std::move(message),
                           std::string(text_.substr(line_begin, line_end - line_begin))});
  }

  void skip_space() {
    while (position_ < text_.size() && is_space(text_[position_])) ++position_;
  }

  // Skips to the next character, which must be there.
  char next() {
    skip_space();
    if (position_ == text_.size())
      refuse(position_, open_.empty() ? "a number or a list is missing" : "']' is missing");
    return text_[position_];
  }
  bool closes_next() { return next() == ']'; }

  void open_lists() {
    while (next() == '[') {
      if (open_.size() == kMaximumRank)
        refuse(position_, fmt::format("lists are nested more than {} deep", kMaximumRank));
      if (leaf_depth_ && open_.size() >= *leaf_depth_)
        refuse(position_, "a list stands where its neighbours are numbers");
      open_.push_back({position_++});
    }
  }

  void element() {
    std::size_t begin = position_;
    while (position_ < text_.size() && !is_space(text_[position_]) &&
           std::string_view("[],").find(text_[position_]) == std::string_view::npos)
      ++position_;
    std::string_view token = text_.substr(begin, position_ - begin);
    if (token.empty()) refuse(begin, fmt::format("a number is missing before '{}'", text_[begin]));
    if (!leaf_depth_) leaf_depth_ = open_.size();
    if (*leaf_depth_ != open_.size())
      refuse(begin, "a number stands where its neighbours are lists");
    elements_.push_back(value(token, begin));
    if (!open_.empty()) ++open_.back().count;
  }

  // Takes separators and closing brackets, up to the next value or the end of the outermost list.
  void close_lists() {
    while (!open_.empty()) {
      char c = next();
      if (c == ',' && open_.back().count > 0) {
        ++position_;
        if (!closes_next()) return;
      } else if (c != ']') {
        refuse(position_, "',' or ']' is missing here");
      }
      close_list();
    }
  }

  void close_list() {
    std::size_t depth = open_.size() - 1;
    OpenList list = open_.back();
    if (sizes_.size() <= depth) sizes_.resize(depth + 1);
    std::optional<std::int64_t>& size = sizes_[depth];
    if (!size) {
      size = list.count;
    } else if (*size != list.count) {
      refuse(
          list.position,
          fmt::format("the lists are ragged: this one has {} element{}, the ones before it have {}",
                      list.count, list.count == 1 ? "" : "s", *size));
    }
    // An empty list is an innermost one.
    if (list.count == 0) leaf_depth_ = open_.size();
    open_.pop_back();
    ++position_;
    if (!open_.empty()) ++open_.back().count;
  }

  scalar::Bits value(std::string_view token, std::size_t begin) const {
    ElementText element = parse_element(token, dtype_);
    if (!element.fault.empty()) refuse(begin, std::move(element.fault));
    return element.bits;
  }

  Tensor::Sizes final_sizes() const {
    Tensor::Sizes sizes;
    for (const std::optional<std::int64_t>& size : sizes_) sizes.push_back(*size);
    if (!expected_) return sizes;
    if (!sizes.empty() && sizes.back() == 0)
      for (std::size_t i = sizes.size(); i < expected_->size() && (*expected_)[i].is_constant();
           ++i)
        sizes.push_back((*expected_)[i].value());
    bool fits = sizes.size() == expected_->size();
    for (std::size_t i = 0; fits && i < sizes.size(); ++i)
      fits = !(*expected_)[i].is_constant() || (*expected_)[i].value() == sizes[i];
    if (!fits)
      refuse(0, fmt::format("this is {}, and {} is expected", to_string(dtype_, sizes),
                            to_string(TensorType{dtype_, *expected_})));
    return sizes;
  }

  std::string_view text_;
  DType dtype_;
  const Shape* expected_;
  std::size_t position_ = 0;
  std::vector<OpenList> open_;
  std::vector<std::optional<std::int64_t>> sizes_;  // by depth
  std::optional<std::size_t> leaf_depth_;           // lists around each element
  std::vector<scalar::Bits> elements_;
};

}  // namespace

Tensor parse_literal(std::string_view text, DType dtype, const Shape* expected) {
  return LiteralParser(text, dtype, expected).parse();
}

}  // namespace weir
