// One recurrence serves all three cells. What the inputs bring to the gates is one product over all
// steps,
//     z = x * W' + Wb
// and a cell makes the next state of a step's slice of z and the state before, by R, Rb and its
// activations. Behind the end of an example the state stays as it is, and what is given out is 0;
// from the last step to the first that is the same as beginning at the end of the example.
#include "ir/ops/recurrence.h"

#include <array>
#include <span>

#include <fmt/format.h>

#include "ir/ops/helpers.h"

namespace weir::ops {
namespace {

Var op(std::string_view name, Var a, Var b) { return a.builder().apply(name, {a, b}); }
// A number of the element type of `x`.
Var like(Var x, double value) { return x.builder().scalar(x.dtype(), value); }
Var one_minus(Var x) { return op("sub", like(x, 1), x); }
Var plus(Var a, Var b) { return b.valid() ? op("add", a, b) : a; }
Var times(Var x, Var rows) {
  return x.builder().apply("matmul", {x, rows}, {{"transpose_b", true}});
}

Var slice(Var x, std::size_t axis, const Dim& start, const Dim& limit) {
  if (start == Dim(0) && limit == x.shape()[axis]) return x;
  Shape starts(x.shape().size(), Dim(0)), limits = x.shape();
  starts[axis] = start;
  limits[axis] = limit;
  return x.builder().apply("slice", {x}, {{"starts", starts}, {"limits", limits}});
}

// Element `k` of the first axis, which goes away.
Var element_of(Var x, std::int64_t k) {
  if (!x.valid()) return x;
  const Shape rest(x.shape().begin() + 1, x.shape().end());
  return reshape_to(x.builder(), slice(x, 0, k, k + 1), rest);
}

// The state between two steps, [batch, hidden] each.
struct State {
  Var h, c;
};

// What a cell sees: the weights of one direction.
struct Recurrence {
  Dim hidden;
  Var recurrent;       // R, [gates * hidden, hidden]; of a GRU, that of its first two gates
  Var recurrent_bias;  // Rb, [gates * hidden]; likewise
  Var candidate = {}, candidate_bias = {};  // of a GRU: those of its last gate
  std::array<Var, 3> peepholes = {};        // P, of one gate each
  std::span<const Activation> activations;
  const RecurrentForm& form;

  // Of gate `k`: columns of a matrix, elements of a list, or rows of R.
  Var gate(Var x, std::int64_t k, std::size_t axis, std::int64_t count = 1) const {
    return x.valid() ? slice(x, axis, hidden * Dim(k), hidden * Dim(k + count)) : x;
  }
  Var activate(std::size_t f, Var x) const {
    if (form.clip > 0)
      x = x.builder().apply("clip", {x}, {{"min", -form.clip}, {"max", form.clip}});
    return activations[f](x);
  }
};

State rnn_step(const Recurrence& r, Var z, const State& before) {
  return {r.activate(0, plus(op("add", z, times(before.h, r.recurrent)), r.recurrent_bias)), {}};
}

State gru_step(const Recurrence& r, Var z, const State& before) {
  Var h = before.h;
  Var both = times(h, r.recurrent);
  both = plus(op("add", r.gate(z, 0, 1, 2), both), r.recurrent_bias);
  Var update = r.activate(0, r.gate(both, 0, 1)), reset = r.activate(0, r.gate(both, 1, 1));
  Var recurrent = r.form.linear_before_reset
                      ? op("mul", reset, plus(times(h, r.candidate), r.candidate_bias))
                      : plus(times(op("mul", reset, h), r.candidate), r.candidate_bias);
  Var candidate = r.activate(1, op("add", r.gate(z, 2, 1), recurrent));
  return {op("add", op("mul", one_minus(update), candidate), op("mul", update, h)), {}};
}

State lstm_step(const Recurrence& r, Var z, const State& before) {
  z = plus(op("add", z, times(before.h, r.recurrent)), r.recurrent_bias);
  auto gate = [&](std::int64_t k, Var cell) {
    Var x = r.gate(z, k, 1);
    const Var peephole = r.peepholes[static_cast<std::size_t>(k)];
    return peephole.valid() ? op("add", x, op("mul", peephole, cell)) : x;
  };
  Var input = r.activate(0, gate(0, before.c));
  Var forget = r.form.input_forget ? one_minus(input) : r.activate(0, gate(2, before.c));
  Var candidate = r.activate(1, r.gate(z, 3, 1));
  Var cell = op("add", op("mul", forget, before.c), op("mul", input, candidate));
  Var output = r.activate(0, gate(1, cell));
  // The cell's own activation is not clipped.
  return {op("mul", output, r.activations[2](cell)), cell};
}

State step_of(const Cell& cell, const Recurrence& r, Var z, const State& before) {
  if (cell.has_cell) return lstm_step(r, z, before);
  return cell.gates == 3 ? gru_step(r, z, before) : rnn_step(r, z, before);
}

// Values of one shape side by side along a new first axis.
Var stacked(const std::vector<Var>& values) {
  GraphBuilder& builder = values.front().builder();
  std::vector<Var> parts;
  for (Var value : values) {
    Shape shape = value.shape();
    shape.insert(shape.begin(), Dim(1));
    parts.push_back(reshape_to(builder, value, shape));
  }
  if (parts.size() == 1) return parts[0];
  return builder.apply("concat", parts, {{"axis", std::int64_t{0}}});
}

void check_shape(Var value, const Shape& wanted, std::string_view what) {
  if (value.valid() && value.shape() != wanted)
    throw Error(fmt::format("its {} is {}; it must be {}", what, to_string(value.type()),
                            to_string(wanted)));
}

}  // namespace

const Cell& rnn_cell() {
  static const Cell cell{"rnn", 1, {"tanh"}, false};
  return cell;
}
const Cell& gru_cell() {
  static const Cell cell{"gru", 3, {"sigmoid", "tanh"}, false};
  return cell;
}
const Cell& lstm_cell() {
  static const Cell cell{"lstm", 4, {"sigmoid", "tanh", "tanh"}, true};
  return cell;
}

void check_recurrent(const Cell& cell, std::int64_t directions, const RecurrentOperands& operands) {
  for (Var value : {operands.x, operands.w, operands.r})
    if (value.type().rank() != 3)
      throw Error(
          fmt::format("x, w and r must have three axes; one is {}", to_string(value.type())));
  const Shape& x = operands.x.shape();
  if (!x[0].is_constant() || x[0].value() < 1 || x[0].value() > kMostSteps)
    throw Error(
        fmt::format("it has {} steps, which are written out one by one: their number must be "
                    "known, and 1 to {}",
                    x[0].to_string(), kMostSteps));
  const Dim batch = x[1], hidden = operands.r.shape()[2], gates = hidden * Dim(cell.gates);
  check_shape(operands.w, {directions, gates, x[2]}, "w");
  check_shape(operands.r, {directions, gates, hidden}, "r");
  check_shape(operands.b, {directions, gates * Dim(2)}, "b");
  check_shape(operands.lengths, {batch}, "sequence_lens");
  check_shape(operands.initial_h, {directions, batch, hidden}, "initial_h");
  check_shape(operands.initial_c, {directions, batch, hidden}, "initial_c");
  check_shape(operands.peepholes, {directions, hidden * Dim(3)}, "P");
}

std::vector<Var> unroll(const Cell& cell, const RecurrentOperands& operands,
                        const RecurrentForm& form) {
  const auto& [x, w, r, b, lengths, initial_h, initial_c, peepholes] = operands;
  GraphBuilder& builder = x.builder();
  const std::int64_t steps = x.shape()[0].value(), directions = w.shape()[0].value();
  const Shape state{x.shape()[1], r.shape()[2]};
  const Var nothing = broadcast_to(builder, like(x, 0), state);
  const std::size_t each = cell.activations.size();
  std::vector<std::vector<Var>> outputs(static_cast<std::size_t>(steps));  // [step][direction]
  std::vector<Var> last_h, last_c;
  for (std::int64_t d = 0; d < directions; ++d) {
    Recurrence recurrence{
        .hidden = state[1],
        .recurrent = element_of(r, d),
        .recurrent_bias = {},
        .activations =
            std::span(form.activations).subspan(each * static_cast<std::size_t>(d), each),
        .form = form};
    // One product of as many rows as there are steps and examples, whose gradient is one, too.
    Var rows = reshape_to(builder, x, {x.shape()[0] * x.shape()[1], x.shape()[2]});
    Var z = times(rows, element_of(w, d));
    z = reshape_to(builder, z, {x.shape()[0], x.shape()[1], z.shape()[1]});
    if (Var bias = element_of(b, d); bias.valid()) {
      z = op("add", z, recurrence.gate(bias, 0, 0, cell.gates));
      recurrence.recurrent_bias = recurrence.gate(bias, cell.gates, 0, cell.gates);
    }
    // What all steps read of these is taken once, so that its gradient is one, too.
    auto part = [&](Var& all, Var& last) {
      last = recurrence.gate(all, 2, 0);
      all = recurrence.gate(all, 0, 0, 2);
    };
    if (cell.gates == 3) {
      part(recurrence.recurrent, recurrence.candidate);
      part(recurrence.recurrent_bias, recurrence.candidate_bias);
    }
    const Var of_peepholes = element_of(peepholes, d);
    for (std::int64_t k = 0; k < 3; ++k)
      recurrence.peepholes[static_cast<std::size_t>(k)] = recurrence.gate(of_peepholes, k, 0);
    State now{initial_h.valid() ? element_of(initial_h, d) : nothing, {}};
    if (cell.has_cell) now.c = initial_c.valid() ? element_of(initial_c, d) : nothing;
    const bool backwards = form.begins_at_end || d == 1;
    for (std::int64_t i = 0; i < steps; ++i) {
      const std::int64_t t = backwards ? steps - 1 - i : i;
      State next = step_of(cell, recurrence, element_of(z, t), now);
      Var output = next.h;
      if (lengths.valid()) {
        Var runs = op("greater", lengths, like(lengths, static_cast<double>(t)));
        runs = reshape_to(builder, runs, {state[0], Dim(1)});
        auto held = [&](Var value, Var before) {
          return builder.apply("select", {runs, value, before});
        };
        output = held(next.h, like(next.h, 0));
        next.h = held(next.h, now.h);
        if (cell.has_cell) next.c = held(next.c, now.c);
      }
      outputs[static_cast<std::size_t>(t)].push_back(output);
      now = next;
    }
    last_h.push_back(now.h);
    if (cell.has_cell) last_c.push_back(now.c);
  }
  std::vector<Var> y;
  for (const std::vector<Var>& step : outputs) y.push_back(stacked(step));
  std::vector<Var> results{stacked(y), stacked(last_h)};
  if (cell.has_cell) results.push_back(stacked(last_c));
  return results;
}

}  // namespace weir::ops
