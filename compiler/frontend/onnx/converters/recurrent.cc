// RNN, GRU and LSTM, unrolled: a number of steps, each in ops that there are.
//
// One recurrence serves all three. What the inputs bring to the gates is one product over all
// steps,
//     z = x * W' + Wb
// and a cell makes the next state of a step's slice of z and the state before, by R, Rb and its
// activations. A direction is that from the first step to the last or from the last to the first.
// Behind the end of an example (sequence_lens) the state stays as it is, and what is given out is
// 0; from the last step to the first that is the same as beginning at the end of the example.
#include <algorithm>
#include <array>
#include <string>

#include <fmt/format.h>

#include "compiler/frontend/onnx/converters.h"

namespace weir::onnx_format {
namespace {

constexpr std::int64_t kMostSteps = 256;

// --- Activations -------------------------------------------------------------

Var scaled(Node& node, Var x, double factor) {
  return factor == 1 ? x : node.apply("mul", {x, node.like(x, factor)});
}

// How often it takes a number from the lists of alphas and betas, what they are else, and what it
// is of x with them.
struct ActivationKind {
  std::string_view name;
  bool has_alpha, has_beta;
  double alpha, beta;
  Var (*of)(Node& node, Var x, double alpha, double beta);
};

// An activation that is an op without attributes.
constexpr ActivationKind plain(std::string_view name, Var (*of)(Node&, Var, double, double)) {
  return {name, false, false, 0, 0, of};
}

constexpr std::array kActivations{
    plain("Relu", [](Node& node, Var x, double, double) { return node.apply("relu", {x}); }),
    plain("Tanh", [](Node& node, Var x, double, double) { return node.apply("tanh", {x}); }),
    plain("Sigmoid", [](Node& node, Var x, double, double) { return node.apply("sigmoid", {x}); }),
    plain("Softsign",
          [](Node& node, Var x, double, double) { return node.apply("softsign", {x}); }),
    plain("Softplus",
          [](Node& node, Var x, double, double) { return node.apply("softplus", {x}); }),
    ActivationKind{"Affine", true, true, 1, 0,
                   [](Node& node, Var x, double alpha, double beta) {
                     return node.apply("add", {scaled(node, x, alpha), node.like(x, beta)});
                   }},
    ActivationKind{"LeakyRelu", true, false, 0.01, 0,
                   [](Node& node, Var x, double alpha, double) {
                     return node.apply("leaky_relu", {x}, {{"negative_slope", alpha}});
                   }},
    ActivationKind{"ThresholdedRelu", true, false, 1, 0,
                   [](Node& node, Var x, double alpha, double) {
                     Var above = node.apply("greater", {x, node.like(x, alpha)});
                     return node.apply("select", {above, x, node.like(x, 0)});
                   }},
    ActivationKind{"ScaledTanh", true, true, 1, 1,
                   [](Node& node, Var x, double alpha, double beta) {
                     return scaled(node, node.apply("tanh", {scaled(node, x, beta)}), alpha);
                   }},
    ActivationKind{"HardSigmoid", true, true, 0.2, 0.5,
                   [](Node& node, Var x, double alpha, double beta) {
                     return node.apply("hard_sigmoid", {x}, {{"alpha", alpha}, {"beta", beta}});
                   }},
    ActivationKind{"Elu", true, false, 1, 0,
                   [](Node& node, Var x, double alpha, double) {
                     return node.apply("elu", {x}, {{"alpha", alpha}});
                   }},
};

struct Activation {
  const ActivationKind* kind;
  double alpha, beta;

  Var of(Node& node, Var x) const { return kind->of(node, x, alpha, beta); }
};

bool same_letters(std::string_view a, std::string_view b) {
  auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return lower(x) == lower(y); });
}

// Those of all directions, one direction after the other. A number of the lists is that of the next
// activation that takes one.
std::vector<Activation> activations_of(Node& node, std::span<const std::string_view> usual,
                                       std::size_t directions) {
  std::vector<std::string> names = node.texts("activations").value_or(std::vector<std::string>{});
  std::vector<double> alphas = node.reals("activation_alpha").value_or(std::vector<double>{});
  std::vector<double> betas = node.reals("activation_beta").value_or(std::vector<double>{});
  std::size_t count = usual.size() * directions;
  if (names.empty())
    for (std::size_t d = 0; d < directions; ++d)
      names.insert(names.end(), usual.begin(), usual.end());
  if (names.size() != count)
    throw Error(fmt::format("it has {} activations; {} are needed", names.size(), count));
  std::vector<Activation> activations;
  std::size_t next_alpha = 0, next_beta = 0;
  auto take = [](const std::vector<double>& list, std::size_t& next, bool takes, double otherwise) {
    return takes && next < list.size() ? list[next++] : otherwise;
  };
  for (const std::string& name : names) {
    auto kind = std::find_if(kActivations.begin(), kActivations.end(),
                             [&](const ActivationKind& k) { return same_letters(k.name, name); });
    if (kind == kActivations.end()) throw Error(fmt::format("there is no activation \"{}\"", name));
    activations.push_back({&*kind, take(alphas, next_alpha, kind->has_alpha, kind->alpha),
                           take(betas, next_beta, kind->has_beta, kind->beta)});
  }
  return activations;
}

// --- Cells -------------------------------------------------------------------

// The state between two steps, [batch, hidden] each; an LSTM has two parts.
struct State {
  Var hidden, cell;
};

// What a cell sees: the weights of one direction. Empty Vars for what is left out.
struct Recurrence {
  Node& node;
  Dim hidden;
  Var recurrent;       // R, [gates * hidden, hidden]
  Var recurrent_bias;  // Rb, [gates * hidden]
  Var peepholes;       // P, [3 * hidden]
  std::span<const Activation> activations;
  double clip;  // 0 for none
  bool input_forget, linear_before_reset;

  Var op(std::string_view name, Var a, Var b) const { return node.apply(name, {a, b}); }
  Var add(Var a, Var b) const { return b.valid() ? op("add", a, b) : a; }
  // Of gate `k`: columns of a matrix, elements of a list, or rows of R.
  Var gate(Var x, std::int64_t k, std::size_t axis, std::int64_t count = 1) const {
    if (!x.valid()) return x;
    Shape starts(x.shape().size(), Dim(0)), limits = x.shape();
    starts[axis] = hidden * Dim(k);
    limits[axis] = hidden * Dim(k + count);
    if (starts[axis] == Dim(0) && limits[axis] == x.shape()[axis]) return x;
    return node.apply("slice", {x}, {{"starts", starts}, {"limits", limits}});
  }
  Var times(Var x, Var rows) const {
    return node.apply("matmul", {x, rows}, {{"transpose_b", true}});
  }
  Var activate(std::size_t f, Var x) const {
    if (clip > 0) x = node.apply("clip", {x}, {{"min", -clip}, {"max", clip}});
    return activations[f].of(node, x);
  }
  Var one_minus(Var x) const { return op("sub", node.like(x, 1), x); }
};

State rnn_step(const Recurrence& r, Var z, const State& before) {
  z = r.add(r.add(z, r.times(before.hidden, r.recurrent)), r.recurrent_bias);
  return {r.activate(0, z), {}};
}

// Gates z, r, h.
State gru_step(const Recurrence& r, Var z, const State& before) {
  Var h = before.hidden;
  Var both = r.times(h, r.gate(r.recurrent, 0, 0, 2));
  both = r.add(r.add(r.gate(z, 0, 1, 2), both), r.gate(r.recurrent_bias, 0, 0, 2));
  Var update = r.activate(0, r.gate(both, 0, 1)), reset = r.activate(0, r.gate(both, 1, 1));
  Var rows = r.gate(r.recurrent, 2, 0), bias = r.gate(r.recurrent_bias, 2, 0);
  Var recurrent = r.linear_before_reset ? r.op("mul", reset, r.add(r.times(h, rows), bias))
                                        : r.add(r.times(r.op("mul", reset, h), rows), bias);
  Var candidate = r.activate(1, r.op("add", r.gate(z, 2, 1), recurrent));
  return {r.op("add", r.op("mul", r.one_minus(update), candidate), r.op("mul", update, h)), {}};
}

// Gates i, o, f, c; peepholes i, o, f.
State lstm_step(const Recurrence& r, Var z, const State& before) {
  z = r.add(r.add(z, r.times(before.hidden, r.recurrent)), r.recurrent_bias);
  auto gate = [&](std::int64_t k, Var cell) {
    Var x = r.gate(z, k, 1);
    return r.peepholes.valid() ? r.op("add", x, r.op("mul", r.gate(r.peepholes, k, 0), cell)) : x;
  };
  Var input = r.activate(0, gate(0, before.cell));
  Var forget = r.input_forget ? r.one_minus(input) : r.activate(0, gate(2, before.cell));
  Var candidate = r.activate(1, r.gate(z, 3, 1));
  Var cell = r.op("add", r.op("mul", forget, before.cell), r.op("mul", input, candidate));
  Var output = r.activate(0, gate(1, cell));
  // The cell's own activation is not clipped.
  return {r.op("mul", output, r.activations[2].of(r.node, cell)), cell};
}

struct CellKind {
  std::int64_t gates;
  std::vector<std::string_view> activations;
  bool has_cell;
  State (*step)(const Recurrence&, Var z, const State&);
};

// --- Layers ------------------------------------------------------------------

// Element `k` of the first axis, which goes away.
Var element_of(Node& node, Var x, std::int64_t k) {
  if (!x.valid()) return x;
  Shape starts(x.shape().size(), Dim(0)), limits = x.shape();
  starts[0] = k;
  limits[0] = k + 1;
  Shape rest(x.shape().begin() + 1, x.shape().end());
  if (x.shape()[0] != Dim(1))
    x = node.apply("slice", {x}, {{"starts", starts}, {"limits", limits}});
  return node.reshaped(x, std::move(rest));
}

// The values along a new axis.
Var stacked(Node& node, const std::vector<Var>& values, std::size_t axis) {
  std::vector<Var> parts;
  for (Var value : values) {
    Shape shape = value.shape();
    shape.insert(shape.begin() + static_cast<std::ptrdiff_t>(axis), Dim(1));
    parts.push_back(node.reshaped(value, std::move(shape)));
  }
  if (parts.size() == 1) return parts[0];
  return node.apply("concat", parts, {{"axis", static_cast<std::int64_t>(axis)}});
}

Var transposed(Node& node, Var x, std::vector<std::int64_t> permutation) {
  return node.apply("transpose", {x}, {{"permutation", std::move(permutation)}});
}

// The inputs in their places, checked; steps first.
struct Layer {
  Var x, w, r, b, lengths, hidden, cell, peepholes;
  std::int64_t steps, directions;
  Dim batch, size;
  bool batch_first;
};

void check_shape(Var x, const Shape& wanted, std::string_view what) {
  if (x.valid() && x.shape() != wanted)
    throw Error(
        fmt::format("its {} is {}; it must be {}", what, to_string(x.type()), to_string(wanted)));
}

Layer layer_of(Node& node, const CellKind& kind) {
  node.check_inputs(3, kind.has_cell ? 8 : 6);
  auto given = [&](std::size_t i) { return node.has_input(i) ? node.input(i) : Var(); };
  Layer l{given(0),
          given(1),
          given(2),
          given(3),
          given(4),
          given(5),
          given(6),
          given(7),
          0,
          0,
          0,
          0,
          node.opset() >= 14 && node.flag("layout", false)};
  for (Var value : {l.x, l.w, l.r})
    if (value.type().rank() != 3)
      throw Error(
          fmt::format("X, W and R must have three axes; one is {}", to_string(value.type())));
  if (l.batch_first) {
    l.x = transposed(node, l.x, {1, 0, 2});
    if (l.hidden.valid()) l.hidden = transposed(node, l.hidden, {1, 0, 2});
    if (l.cell.valid()) l.cell = transposed(node, l.cell, {1, 0, 2});
  }
  const Dim steps = l.x.shape()[0], width = l.x.shape()[2];
  if (!steps.is_constant() || steps.value() > kMostSteps)
    throw Unsupported(fmt::format(
        "it has {} steps, which are written out one by one: declare their number, {} at "
        "most",
        steps.to_string(), kMostSteps));
  l.steps = steps.value();
  l.batch = l.x.shape()[1];
  l.size = l.r.shape()[2];
  std::string direction = node.text("direction", "forward");
  if (direction != "forward" && direction != "reverse" && direction != "bidirectional")
    throw Error(
        fmt::format("direction is {}; it must be forward, reverse or bidirectional", direction));
  l.directions = direction == "bidirectional" ? 2 : 1;
  if (node.has("hidden_size") && l.size != Dim(node.integer("hidden_size")))
    throw Error(fmt::format("hidden_size is {} and R is {}", node.integer("hidden_size"),
                            to_string(l.r.type())));
  const Dim gates = l.size * Dim(kind.gates), directions = l.directions;
  check_shape(l.w, {directions, gates, width}, "W");
  check_shape(l.r, {directions, gates, l.size}, "R");
  check_shape(l.b, {directions, gates * Dim(2)}, "B");
  check_shape(l.lengths, {l.batch}, "sequence_lens");
  check_shape(l.hidden, {directions, l.batch, l.size}, "initial_h");
  check_shape(l.cell, {directions, l.batch, l.size}, "initial_c");
  check_shape(l.peepholes, {directions, l.size * Dim(3)}, "P");
  return l;
}

template <const CellKind& (*kind_of)()>
void convert_recurrent(Node& node) {
  const CellKind& kind = kind_of();
  Layer l = layer_of(node, kind);
  auto directions = static_cast<std::size_t>(l.directions);
  std::vector<Activation> activations = activations_of(node, kind.activations, directions);
  bool reverse_alone = node.text("direction", "forward") == "reverse";
  double clip = node.real("clip", 0.0);
  bool input_forget = kind.has_cell && node.flag("input_forget", false);
  bool linear = kind.gates == 3 && node.flag("linear_before_reset", false);
  if (node.opset() < 7) node.ignore("output_sequence");

  Var nothing = node.broadcast(node.like(l.x, 0), {l.batch, l.size});
  std::vector<std::vector<Var>> outputs(static_cast<std::size_t>(l.steps));
  std::vector<Var> last_hidden, last_cell;
  for (std::int64_t d = 0; d < l.directions; ++d) {
    auto of_direction = [&](Var x) { return element_of(node, x, d); };
    auto first = static_cast<std::ptrdiff_t>(kind.activations.size()) * d;
    Recurrence r{
        node,
        l.size,
        of_direction(l.r),
        {},
        of_direction(l.peepholes),
        std::span(activations).subspan(static_cast<std::size_t>(first), kind.activations.size()),
        clip,
        input_forget,
        linear};
    Var z = node.apply("matmul", {l.x, of_direction(l.w)}, {{"transpose_b", true}});
    if (Var bias = of_direction(l.b); bias.valid()) {
      z = node.apply("add", {z, r.gate(bias, 0, 0, kind.gates)});
      r.recurrent_bias = r.gate(bias, kind.gates, 0, kind.gates);
    }
    State state{l.hidden.valid() ? of_direction(l.hidden) : nothing, {}};
    if (kind.has_cell) state.cell = l.cell.valid() ? of_direction(l.cell) : nothing;
    bool backwards = reverse_alone || d == 1;
    for (std::int64_t i = 0; i < l.steps; ++i) {
      std::int64_t t = backwards ? l.steps - 1 - i : i;
      State next = kind.step(r, element_of(node, z, t), state);
      Var output = next.hidden;
      if (l.lengths.valid()) {
        Var runs = node.apply("greater", {l.lengths, node.like(l.lengths, static_cast<double>(t))});
        runs = node.reshaped(runs, {l.batch, Dim(1)});
        auto held = [&](Var now, Var before) { return node.apply("select", {runs, now, before}); };
        output = held(next.hidden, node.like(next.hidden, 0));
        next.hidden = held(next.hidden, state.hidden);
        if (kind.has_cell) next.cell = held(next.cell, state.cell);
      }
      outputs[static_cast<std::size_t>(t)].push_back(output);
      state = next;
    }
    last_hidden.push_back(state.hidden);
    last_cell.push_back(state.cell);
  }

  auto set_last = [&](std::size_t i, const std::vector<Var>& states) {
    if (node.wants(i)) node.set(i, stacked(node, states, l.batch_first ? 1 : 0));
  };
  if (node.wants(0)) {
    std::vector<Var>
        steps;  // [directions, batch, hidden], or with the first two the other way round
    for (const std::vector<Var>& step : outputs)
      steps.push_back(stacked(node, step, l.batch_first ? 1 : 0));
    if (steps.empty()) throw Unsupported("it has no steps");
    Var y = stacked(node, steps, l.batch_first ? 1 : 0);
    node.set(0, y);
  }
  set_last(1, last_hidden);
  if (kind.has_cell) set_last(2, last_cell);
}

const CellKind& rnn() {
  static const CellKind kind{1, {"Tanh"}, false, rnn_step};
  return kind;
}
const CellKind& gru() {
  static const CellKind kind{3, {"Sigmoid", "Tanh"}, false, gru_step};
  return kind;
}
const CellKind& lstm() {
  static const CellKind kind{4, {"Sigmoid", "Tanh", "Tanh"}, true, lstm_step};
  return kind;
}

}  // namespace

void add_recurrent_converters(ConverterTable& table) {
  table.add("RNN", 1, convert_recurrent<rnn>);
  table.add("GRU", 3, convert_recurrent<gru>);
  table.add("LSTM", 1, convert_recurrent<lstm>);
}

}  // namespace weir::onnx_format
