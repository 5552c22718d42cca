// Rewrite rules as data.
//
// A pattern and its replacement are expressions over ops: `mul(x, 1.0)` becomes `x`. In a pattern
//   x, y, c     stand for any value, for the same one everywhere
//   1.0, -inf   match a floating-point value all of whose elements are this number, sign of zero
//   included 1, -1       match an integer value likewise true        matches a boolean value
//   likewise op(...)     matches the only result of a node with exactly these operands
// In a replacement a literal is a constant of the replaced value's element type; a rule does not
// apply where its kind does not fit that type. A replacement of smaller shape is broadcast.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ir/graph.h"
#include "ir/op.h"

namespace weir {

// A place where a pattern matched.
struct RuleMatch {
  struct Use {
    const OpDef* op;
    std::vector<TensorType> operands;
    Attributes attributes;

    OpInstance instance() const { return {op, operands, attributes}; }
  };

  TensorType type;  // of the replaced value
  std::vector<Use>
      nodes;  // as they stand in the pattern, from left to right; the root is the first
  std::vector<ValueId> values;  // of the variables, in order of appearance
  std::vector<std::optional<scalar::Bits>>
      uniform;  // of each variable, the value of all its elements
};

struct RewriteRule {
  std::string_view name;
  std::string_view pattern;
  std::string_view replacement;
  // Whether the rule applies; absent means always.
  bool (*applies)(const RuleMatch&) = nullptr;
  // Attributes of the replacement's root. Absent, they are those of the leftmost node of the
  // pattern with the same op.
  Attributes (*attributes)(const RuleMatch&) = nullptr;
  // The number for which `K` stands in the replacement.
  double (*constant)(const RuleMatch&) = nullptr;
};

// One side of a rule, parsed.
struct Pattern {
  enum class Kind : std::uint8_t { variable, literal, computed, op } kind;
  std::size_t variable = 0;          // number, in order of appearance in the rule
  DType literal_class = DType::f32;  // f32, i32 or bool stand for all types of their kind
  double literal = 0;
  const OpDef* op = nullptr;
  std::vector<Pattern> operands;

  // The literal as an element of `type`, if it is of its kind.
  std::optional<scalar::Bits> bits(DType type) const;
};

// A rule, parsed. A fault in its text or an unknown op is a fault of ours.
struct ParsedRule {
  explicit ParsedRule(const RewriteRule& rule);

  const RewriteRule* rule;
  Pattern pattern;
  Pattern replacement;
};

}  // namespace weir
