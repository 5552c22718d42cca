// Whether the sign of a value is all that a node needs of it, and whether its result tells that
// sign.
//
// A sign is the answer to x > 0 and x <= 0; for NaN both are false. No op is named: both questions
// are asked of the node's scalar expression. Types that are computed in another one (f16, bf16) are
// left alone, for a rounded result may have lost its sign.
#pragma once

#include <cstddef>

#include "ir/graph.h"

namespace weir {

// What a node asks of an operand's sign.
struct SignQuestions {
  bool above = false;      // x > 0
  bool not_above = false;  // x <= 0
};

// What the node asks, if that is all that it needs of this operand.
SignQuestions sign_questions(const Graph& graph, const Node& node, std::size_t operand);

// Whether the node asks of this operand nothing but x > 0 and x <= 0.
bool reads_sign_alone(const Graph& graph, const Node& node, std::size_t operand);

// Whether the node's result has the same bits whatever the sign of that operand is, where another
// operand is +0. It must ask the sign alone, and have no operands but these two.
bool ignores_sign_at_zero(const Graph& graph, const Node& node, std::size_t operand,
                          std::size_t zero);

// Whether y = node(x) is above 0, not above 0, or NaN exactly where x is.
bool keeps_sign(const Graph& graph, const Node& node);

}  // namespace weir
