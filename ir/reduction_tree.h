// The balanced tree in which the chunks of a reduction become one value (struct Reduction in
// ir/op.h).
//
//   tree(first, 1) = chunk `first`
//   tree(first, n) = merge(tree(first, m), tree(first + m, n - m)), m the largest power of two
//   below n
//
// It is built as chunks arrive, like a binary counter: the stack holds complete subtrees of falling
// sizes, two of one size are merged at once, and the end merges what is left from the top
// downwards. So at most one subtree a bit of the number of chunks is kept.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace weir {

template <class T, class Merge>
class ReductionTree {
 public:
  // `merge(T lower, T higher)` gives the value of two neighbours, the one of lower chunks first.
  explicit ReductionTree(Merge merge) : merge_(std::move(merge)) {}

  // Adds the next chunk.
  void add(T value) {
    std::int64_t chunks = 1;
    while (!subtrees_.empty() && subtrees_.back().chunks == chunks) {
      value = merge_(std::move(subtrees_.back().value), std::move(value));
      subtrees_.pop_back();
      chunks *= 2;
    }
    subtrees_.push_back({chunks, std::move(value)});
  }

  // The value of all chunks; nothing if there were none. The tree is empty afterwards.
  std::optional<T> finish() {
    if (subtrees_.empty()) return std::nullopt;
    T value = std::move(subtrees_.back().value);
    subtrees_.pop_back();
    while (!subtrees_.empty()) {
      value = merge_(std::move(subtrees_.back().value), std::move(value));
      subtrees_.pop_back();
    }
    return value;
  }

 private:
  struct Subtree {
    std::int64_t chunks;
    T value;
  };
  Merge merge_;
  std::vector<Subtree> subtrees_;
};

}  // namespace weir
