// Recurrent layers: composites, whose bodies are their steps written out.

#include <fmt/format.h>

#include "ir/ops/helpers.h"
#include "ir/ops/ops.h"
#include "ir/ops/recurrence.h"

namespace weir {
namespace {

using namespace ops;

enum class Direction : std::uint8_t { forward, reverse, bidirectional };

Direction direction_of(const Attributes& attributes) {
  const std::string& direction = attributes.text("direction");
  if (direction == "forward") return Direction::forward;
  if (direction == "reverse") return Direction::reverse;
  if (direction == "bidirectional") return Direction::bidirectional;
  throw Error(
      fmt::format("the direction is \"{}\"; it must be \"forward\", \"reverse\" or "
                  "\"bidirectional\"",
                  direction));
}

std::int64_t count(Direction direction) { return direction == Direction::bidirectional ? 2 : 1; }

RecurrentOperands operands_of(const Cell& cell, std::span<const Var> operands) {
  auto at = [&](std::size_t i) { return i < operands.size() ? operands[i] : Var(); };
  return {.x = at(0),
          .w = at(1),
          .r = at(2),
          .b = at(3),
          .lengths = {},
          .initial_h = at(4),
          .initial_c = cell.has_cell ? at(5) : Var(),
          .peepholes = {}};
}

std::vector<Var> body(const Cell& cell, std::span<const Var> given, const Attributes& attributes) {
  const Direction direction = direction_of(attributes);
  const RecurrentOperands operands = operands_of(cell, given);
  check_recurrent(cell, count(direction), operands);
  RecurrentForm form;
  for (std::int64_t d = 0; d < count(direction); ++d)
    for (std::string_view name : cell.activations)
      form.activations.emplace_back([name](Var x) { return x.builder().apply(name, {x}); });
  form.begins_at_end = direction == Direction::reverse;
  if (cell.gates == 3) form.linear_before_reset = attributes.boolean("linear_before_reset");
  return unroll(cell, operands, form);
}

std::vector<OnnxValue> to_onnx(OnnxNodes& nodes, const OpInstance& instance,
                               std::span<const OnnxValue> operands) {
  const Dim& hidden = instance.operand(2).shape[2];
  if (!hidden.is_constant()) return {};
  std::vector<OnnxValue> inputs(operands.begin(), operands.end());
  // Between the biases and the states ONNX has the steps of each example.
  if (inputs.size() > 4) inputs.insert(inputs.begin() + 4, OnnxValue());
  Attributes attributes{{"hidden_size", hidden.value()},
                        {"direction", instance.attributes.text("direction")}};
  if (instance.attributes.find("linear_before_reset") != nullptr)
    attributes.set("linear_before_reset", instance.attributes.boolean("linear_before_reset"));
  return nodes.add_all(instance.op->onnx.name, std::move(inputs), attributes,
                       instance.op->result_names.size());
}

OpDef recurrent(const Cell& cell, Text text) {
  OpDef op = declare("recurrent", std::move(text));
  using Presence = OperandSpec::Presence;
  op.operands = {{"x", TypeSet::floats},
                 {"w", TypeSet::floats},
                 {"r", TypeSet::floats},
                 {"b", TypeSet::floats, Presence::optional},
                 {"initial_h", TypeSet::floats, Presence::optional}};
  op.result_names = {"y", "h"};
  if (cell.has_cell) {
    op.operands.push_back({"initial_c", TypeSet::floats, Presence::optional});
    op.result_names.emplace_back("c");
  }
  op = with_attribute(std::move(op), "direction", std::string("forward"),
                      "\"forward\", \"reverse\", or \"bidirectional\" for both.");
  op.check = [](const OpInstance& instance) { direction_of(instance.attributes); };
  op.composite = [&cell](GraphBuilder&, std::span<const Var> operands,
                         const Attributes& attributes) { return body(cell, operands, attributes); };
  op.to_onnx = to_onnx;
  return op;
}

// What all three say of their operands and results.
std::string layer_text(const Cell& cell, const std::string& formulas) {
  auto sizes = [](std::int64_t gates) {
    return gates == 1 ? std::string("H") : fmt::format("{} H", gates);
  };
  return fmt::format(
      "{} x is [steps, batch, width], and H the size of a state; w is [directions, {}, width], "
      "r [directions, {}, H], b, those beside w and behind them those beside r, "
      "[directions, {}]; initial states are [directions, batch, H], and zeros if left out. y has "
      "the hidden state behind each step, [steps, directions, batch, H], h the last one. The "
      "second of two directions goes from the last step to the first. The steps are written out "
      "one by one: their number is known, and {} at most.",
      formulas, sizes(cell.gates), sizes(cell.gates), sizes(2 * cell.gates), kMostSteps);
}

OpDef rnn_op() {
  return recurrent(rnn_cell(), {"rnn",
                                "A layer of plain recurrent cells.",
                                layer_text(rnn_cell(), "h' = tanh(w x + r h + b)."),
                                {"RNN"}});
}

OpDef gru_op() {
  OpDef op = recurrent(
      gru_cell(),
      {"gru",
       "A layer of gated recurrent units.",
       layer_text(gru_cell(),
                  "h' = (1 - z) n + z h, with the gates z and q as sigmoids of w x + r h + b, and "
                  "n = tanh(w x + r (q h) + b). Gates lie in the order z, q, n."),
       {"GRU"}});
  return with_attribute(std::move(op), "linear_before_reset", false,
                        "n = tanh(w x + q (r h + b)) instead, as PyTorch has it.");
}

OpDef lstm_op() {
  return recurrent(
      lstm_cell(),
      {"lstm",
       "A layer of long short-term memory cells.",
       layer_text(lstm_cell(),
                  "c' = f c + i g and h' = o tanh(c'), with the gates i, o and f as sigmoids of "
                  "w x + r h + b, and g its tanh. Gates lie in the order i, o, f, g.") +
           " c is the last state of the cells.",
       {"LSTM"}});
}

}  // namespace

void add_recurrent_ops(OpTable& table) {
  table.add(rnn_op());
  table.add(gru_op());
  table.add(lstm_op());
}

}  // namespace weir
