// RNN, GRU and LSTM, unrolled: a number of steps, each in ops that there are. What the ops of these
// names have as their bodies, and what ONNX's nodes beyond them become.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "ir/builder.h"
#include "ir/op.h"

namespace weir::ops {

// As many steps are written out, at most.
inline constexpr std::int64_t kMostSteps = 4096;

// Gates lie one after the other, in ONNX's order: of a GRU z, r, h, of an LSTM i, o, f, c.
struct Cell {
  std::string_view name;
  std::int64_t gates;
  // In the order in which a cell takes them: that of the gates, of the candidate, and of the cell
  // as it is given out.
  std::vector<std::string_view> activations;
  bool has_cell;  // its state has two parts
};
const Cell& rnn_cell();
const Cell& gru_cell();
const Cell& lstm_cell();

using Activation = std::function<Var(Var)>;

// The operands of a layer; Vars that are not valid are left out. `hidden` elements of a state.
struct RecurrentOperands {
  Var x;                     // [steps, batch, width]
  Var w;                     // [directions, gates * hidden, width]
  Var r;                     // [directions, gates * hidden, hidden]
  Var b;                     // [directions, 2 * gates * hidden]: those beside w, and those beside r
  Var lengths;               // [batch], of integers: the steps of each example
  Var initial_h, initial_c;  // [directions, batch, hidden]; zeros where left out
  Var peepholes;             // [directions, 3 * hidden]: those of i, o and f
};

struct RecurrentForm {
  // Those of a cell for each direction, one direction after the other.
  std::vector<Activation> activations;
  bool begins_at_end = false;  // the first direction goes from the last step to the first
  double clip = 0;             // what gates' activations take lies within -clip ... clip; 0: all
  bool input_forget = false;   // of an LSTM: the forget gate is 1 - the input gate
  bool linear_before_reset = false;  // of a GRU: the reset gate comes behind the product
};

// Error unless the operands' shapes belong together, and their number of steps is known and no
// larger than kMostSteps.
void check_recurrent(const Cell& cell, std::int64_t directions, const RecurrentOperands& operands);

// y, the hidden state behind each step, [steps, directions, batch, hidden]; h, the last one,
// [directions, batch, hidden]; and of a cell that has one c, its last state.
std::vector<Var> unroll(const Cell& cell, const RecurrentOperands& operands,
                        const RecurrentForm& form);

}  // namespace weir::ops
