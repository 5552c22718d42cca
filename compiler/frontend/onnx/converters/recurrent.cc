// RNN, GRU and LSTM: the op of that name where it says all that the node does, and otherwise its
// steps written out (ir/ops/recurrence.h).
#include <algorithm>
#include <array>
#include <string>

#include <fmt/format.h>

#include "compiler/frontend/onnx/converters.h"
#include "ir/ops/recurrence.h"

namespace weir::onnx_format {
namespace {

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

bool same_letters(std::string_view a, std::string_view b) {
  auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return lower(x) == lower(y); });
}

// Those of all directions, one direction after the other. A number of the lists is that of the next
// activation that takes one.
std::vector<ops::Activation> activations_of(Node& node, const std::vector<std::string>& names,
                                            std::size_t count) {
  std::vector<double> alphas = node.reals("activation_alpha").value_or(std::vector<double>{});
  std::vector<double> betas = node.reals("activation_beta").value_or(std::vector<double>{});
  if (names.size() != count)
    throw Error(fmt::format("it has {} activations; {} are needed", names.size(), count));
  std::vector<ops::Activation> activations;
  std::size_t next_alpha = 0, next_beta = 0;
  auto take = [](const std::vector<double>& list, std::size_t& next, bool takes, double otherwise) {
    return takes && next < list.size() ? list[next++] : otherwise;
  };
  for (const std::string& name : names) {
    auto kind = std::find_if(kActivations.begin(), kActivations.end(),
                             [&](const ActivationKind& k) { return same_letters(k.name, name); });
    if (kind == kActivations.end()) throw Error(fmt::format("there is no activation \"{}\"", name));
    const double alpha = take(alphas, next_alpha, kind->has_alpha, kind->alpha);
    const double beta = take(betas, next_beta, kind->has_beta, kind->beta);
    activations.emplace_back(
        [&node, kind, alpha, beta](Var x) { return kind->of(node, x, alpha, beta); });
  }
  return activations;
}

// --- Layers ------------------------------------------------------------------

Var transposed(Node& node, Var x) {
  return node.apply("transpose", {x}, {{"permutation", std::vector<std::int64_t>{1, 0, 2}}});
}

ops::RecurrentOperands operands_of(Node& node, const ops::Cell& cell, bool batch_first) {
  node.check_inputs(3, cell.has_cell ? 8 : 6);
  auto given = [&](std::size_t i) { return node.has_input(i) ? node.input(i) : Var(); };
  ops::RecurrentOperands operands{given(0), given(1), given(2), given(3),
                                  given(4), given(5), given(6), given(7)};
  if (operands.x.type().rank() != 3)
    throw Error(fmt::format("X is {}; it must have three axes", to_string(operands.x.type())));
  if (batch_first)
    for (Var* value : {&operands.x, &operands.initial_h, &operands.initial_c})
      if (value->valid()) *value = transposed(node, *value);
  const Dim& steps = operands.x.shape()[0];
  if (!steps.is_constant() || steps.value() > ops::kMostSteps || steps == Dim(0))
    throw Unsupported(fmt::format(
        "it has {} steps, which are written out one by one: declare their number, 1 to {}",
        steps.to_string(), ops::kMostSteps));
  return operands;
}

// What the op of that name has as its results, if it says all that the node does.
std::vector<Var> as_op(Node& node, const ops::Cell& cell, const ops::RecurrentOperands& given,
                       const ops::RecurrentForm& form, const std::string& direction) {
  if (given.lengths.valid() || given.peepholes.valid() || form.clip != 0 || form.input_forget)
    return {};
  std::vector<Var> operands{given.x, given.w, given.r, given.b, given.initial_h};
  if (cell.has_cell) operands.push_back(given.initial_c);
  while (!operands.back().valid()) operands.pop_back();
  if (!std::ranges::all_of(operands, &Var::valid)) return {};
  Attributes attributes{{"direction", direction}};
  if (cell.gates == 3) attributes.set("linear_before_reset", form.linear_before_reset);
  return node.builder().apply_all(cell.name, std::move(operands), std::move(attributes));
}

template <const ops::Cell& (*cell_of)()>
void convert_recurrent(Node& node) {
  const ops::Cell& cell = cell_of();
  const bool batch_first = node.opset() >= 14 && node.flag("layout", false);
  const ops::RecurrentOperands operands = operands_of(node, cell, batch_first);
  const std::string direction = node.text("direction", "forward");
  if (direction != "forward" && direction != "reverse" && direction != "bidirectional")
    throw Error(
        fmt::format("direction is {}; it must be forward, reverse or bidirectional", direction));
  const std::int64_t directions = direction == "bidirectional" ? 2 : 1;
  ops::check_recurrent(cell, directions, operands);
  const Dim& hidden = operands.r.shape()[2];
  if (node.has("hidden_size") && hidden != Dim(node.integer("hidden_size")))
    throw Error(fmt::format("hidden_size is {} and R is {}", node.integer("hidden_size"),
                            to_string(operands.r.type())));
  std::vector<std::string> usual;
  for (std::int64_t d = 0; d < directions; ++d)
    usual.insert(usual.end(), cell.activations.begin(), cell.activations.end());
  const std::vector<std::string> names = node.texts("activations").value_or(usual);
  ops::RecurrentForm form;
  form.activations = activations_of(node, names.empty() ? usual : names, usual.size());
  form.begins_at_end = direction == "reverse";
  form.clip = node.real("clip", 0.0);
  form.input_forget = cell.has_cell && node.flag("input_forget", false);
  form.linear_before_reset = cell.gates == 3 && node.flag("linear_before_reset", false);
  if (node.opset() < 7) node.ignore("output_sequence");

  const bool are_usual = names.empty() || std::ranges::equal(names, usual, same_letters);
  std::vector<Var> results;
  if (are_usual) results = as_op(node, cell, operands, form, direction);
  if (results.empty()) results = ops::unroll(cell, operands, form);
  auto set = [&](std::size_t i, std::vector<std::int64_t> batch_before) {
    if (!node.wants(i)) return;
    if (batch_first)
      results[i] =
          node.apply("transpose", {results[i]}, {{"permutation", std::move(batch_before)}});
    node.set(i, results[i]);
  };
  set(0, {2, 0, 1, 3});
  set(1, {1, 0, 2});
  if (cell.has_cell) set(2, {1, 0, 2});
}

}  // namespace

void add_recurrent_converters(ConverterTable& table) {
  table.add("RNN", 1, convert_recurrent<ops::rnn_cell>);
  table.add("GRU", 3, convert_recurrent<ops::gru_cell>);
  table.add("LSTM", 1, convert_recurrent<ops::lstm_cell>);
}

}  // namespace weir::onnx_format
