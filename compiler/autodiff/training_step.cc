#include "compiler/autodiff/training_step.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>
#include <unordered_set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "compiler/autodiff/gradient.h"
#include "compiler/autodiff/named_options.h"
#include "compiler/autodiff/training_form.h"
#include "compiler/passes/graph_rewriter.h"
#include "ir/escape.h"
#include "ir/notes.h"
#include "ir/op.h"
#include "ir/ops/helpers.h"
#include "ir/registry.h"

namespace weir {
namespace {

constexpr std::string_view kRate = "learning_rate";
constexpr std::string_view kSteps = "optimizer.step";

const Graph::Output& find_output(const Graph& graph, const std::string& name) {
  std::vector<std::string> known;
  for (const Graph::Output& output : graph.outputs()) {
    if (output.name == name) return output;
    known.push_back(value_name(output.name));
  }
  throw Error(fmt::format("{} has no output {}; it has {}", graph.name(), value_name(name),
                          known.empty() ? "none" : fmt::format("{}", fmt::join(known, ", "))));
}

void check_loss(const Graph& graph, const std::string& name) {
  ValueId value = find_output(graph, name).value;
  const TensorType& type = graph.type(value);
  if (!type.shape.empty() || !is_float(type.dtype))
    throw Error(graph.value(value).location,
                fmt::format("the loss {} is {}; it must be a floating-point scalar, such as the "
                            "mean over the batch",
                            value_name(name), to_string(type)));
}

// Names of the params that are trained, in the order of the graph. What the model updates by itself
// is not among them.
std::vector<std::string> trained_params(const TrainedModel& model, const TrainingOptions& options) {
  const Graph& graph = model.graph;
  std::vector<std::string> names;
  for (ValueId id : graph.params()) {
    const Value& value = graph.value(id);
    bool named = std::find(options.trained.begin(), options.trained.end(), value.name) !=
                 options.trained.end();
    bool updated = model.updated.contains(value.name);
    if (updated && named)
      throw Error(value.location,
                  fmt::format("the param {} is updated by the model itself, and cannot be trained",
                              value_name(value.name)));
    if (!is_float(value.type.dtype) && named)
      throw Error(value.location, fmt::format("the param {} is {}, which cannot be trained",
                                              value_name(value.name), to_string(value.type)));
    if (is_float(value.type.dtype) && !updated && (named || options.trained.empty()))
      names.push_back(value.name);
  }
  for (const std::string& name : options.trained)
    if (std::find(names.begin(), names.end(), name) == names.end())
      throw Error(fmt::format("{} is no param of {}, and cannot be trained", value_name(name),
                              graph.name()));
  if (names.empty())
    throw Error(fmt::format("{} has no params of floating point, so there is nothing to train",
                            graph.name()));
  return names;
}

// The graph with the outputs that are asked for, and next to it what it updates.
struct Pruned {
  Graph graph;
  std::vector<ValueId> gradients;                    // of the params that have one
  std::vector<std::pair<ValueId, ValueId>> updates;  // params and their next values
};

Pruned prune(const Gradients& gradients, std::span<const std::string> outputs) {
  GraphRewriter rewriter(gradients.graph);
  for (const Node& node : gradients.graph.nodes()) rewriter.copy(node);
  Pruned result{Graph(), rewriter.mapped(gradients.values), {}};
  for (const Graph::Output& output : gradients.graph.outputs())
    if (output.updates.valid())
      result.updates.emplace_back(rewriter.mapped(output.updates), rewriter.mapped(output.value));
  for (const std::string& name : outputs)
    rewriter.target().add_output(rewriter.mapped(find_output(gradients.graph, name).value), name);
  result.graph = std::move(rewriter.target());
  return result;
}

class StepBuilder {
 public:
  StepBuilder(Pruned step, const Optimizer& optimizer, const TrainingOptions& options,
              std::vector<std::string> trained, std::vector<std::string> unreached, Weights initial)
      : optimizer_(optimizer),
        definition_(checked(optimizer)),
        options_(options),
        trained_(std::move(trained)),
        unreached_(std::move(unreached)),
        gradients_(std::move(step.gradients)),
        builder_(std::move(step.graph)),
        initial_(std::move(initial)) {
    for (const auto& [param, value] : step.updates)
      set_next(Var(builder_, param), Var(builder_, value));
  }

  TrainingStep run() {
    std::vector<Var> gradients = prepare_gradients();
    DType rate_type = DType::f32;
    for (std::size_t i = 0; i < trained_.size(); ++i)
      if (param(i).dtype() == DType::f64) rate_type = DType::f64;
    pin(0);
    rate_ = options_.learning_rate
                ? builder_.scalar(rate_type, *options_.learning_rate)
                : Var(builder_, builder_.graph().add_input(std::string(kRate), {rate_type, {}},
                                                           builder_.pinned_location().value()));
    for (std::size_t i = 0; i < trained_.size(); ++i) {
      pin(i);
      Update update(*this, i, gradients[i]);
      set_next(param(i), in_type(definition_.next_value(update), param(i).dtype()));
    }
    if (step_.valid()) set_next(steps_, next_steps_);
    finish(gradients);
    builder_.pin_location(std::nullopt);
    return {std::move(builder_.graph()), std::move(initial_), std::move(unreached_)};
  }

 private:
  class Update : public ParamUpdate {
   public:
    Update(StepBuilder& step, std::size_t number, Var gradient_value)
        : step_(step), name_(step.trained_[number]) {
      DType type = compute_type(step.param(number).dtype());
      param = in_type(step.param(number), type);
      gradient = in_type(gradient_value, type);
      rate = in_type(step.rate_, type);
    }

    Var step() override { return step_.step(); }

    double value(std::string_view hyperparameter) const override {
      auto given = step_.optimizer_.values.find(hyperparameter);
      if (given != step_.optimizer_.values.end()) return given->second;
      for (const Hyperparameter& known : step_.definition_.hyperparameters)
        if (known.name == hyperparameter) return known.default_value;
      internal_error("a hyperparameter of the optimizer", std::source_location::current(),
                     std::string(hyperparameter));
    }

    Var remembered(const std::string& name, double initial) override {
      Tensor::Sizes sizes;
      for (const Dim& dim : param.shape()) sizes.push_back(dim.value());
      Tensor values(param.dtype(), std::move(sizes));
      if (initial != 0)
        for (std::int64_t i = 0; i < values.element_count(); ++i)
          values.set_bits(i, scalar::bits_of(param.dtype(), initial));
      Var result = step_.add_state(fmt::format("{}.{}", name_, name), std::move(values));
      memories_.emplace(name, result);
      return result;
    }

    void remember(const std::string& name, Var value) override {
      step_.set_next(memories_.at(name), value);
    }

   private:
    StepBuilder& step_;
    const std::string& name_;
    std::map<std::string, Var> memories_;
  };

  static Var in_type(Var value, DType type) {
    return value.dtype() == type ? value
                                 : value.builder().apply("cast", {value}, {{"dtype", type}});
  }

  Var param(std::size_t number) { return {builder_, builder_.graph().find(trained_[number])}; }

  void pin(std::size_t number) {
    builder_.pin_location(builder_.graph().value(param(number).id()).location.derived(kUpdateOf));
  }

  Var add_state(const std::string& name, Tensor initial) {
    Var state = {builder_, builder_.graph().add_param(name, initial.type(),
                                                      builder_.pinned_location().value())};
    initial_.emplace(name, std::move(initial));
    return state;
  }

  void set_next(Var state, Var value) { next_.emplace_back(state, value); }

  // The number of this step, which is counted for whoever asks.
  Var step() {
    if (step_.valid()) return step_;
    steps_ = add_state(std::string(kSteps), Tensor(DType::i64, {}));
    next_steps_ = builder_.apply("add", {steps_, builder_.scalar(DType::i64, 1)});
    step_ = builder_.apply("cast", {next_steps_}, {{"dtype", DType::f64}});
    return step_;
  }

  // Held within bounds, as the optimizer wants them.
  std::vector<Var> prepare_gradients() {
    std::vector<Var> gradients;
    for (std::size_t i = 0; i < trained_.size(); ++i) {
      pin(i);
      gradients.push_back(in_type(Var(builder_, gradients_[i]), compute_type(param(i).dtype())));
      if (optimizer_.clip_value > 0)
        gradients[i] =
            builder_.apply("clip", {gradients[i]},
                           {{"min", -optimizer_.clip_value}, {"max", optimizer_.clip_value}});
    }
    if (optimizer_.clip_norm > 0) scale_to_norm(gradients);
    return gradients;
  }

  void scale_to_norm(std::vector<Var>& gradients) {
    DType type = DType::f32;
    for (Var gradient : gradients)
      if (gradient.dtype() == DType::f64) type = DType::f64;
    Var total;
    for (Var gradient : gradients) {
      Var square = builder_.apply("mul", {gradient, gradient});
      Var sum = in_type(builder_.apply("reduce_sum", {square}), type);
      total = total.valid() ? total + sum : sum;
    }
    // The margin is that of PyTorch's clip_grad_norm_.
    Var ratio = optimizer_.clip_norm / (builder_.apply("sqrt", {total}) + 1e-6);
    Var factor = builder_.apply("minimum", {ratio, builder_.scalar(type, 1)});
    for (Var& gradient : gradients) gradient = gradient * in_type(factor, gradient.dtype());
  }

  Var is_finite(Var value) {
    Var size = builder_.apply("abs", {value});
    if (!value.shape().empty()) size = builder_.apply("reduce_max", {size});
    return size < std::numeric_limits<double>::infinity();
  }

  // The outputs: whether all is finite, and the updates.
  void finish(const std::vector<Var>& gradients) {
    Var finite;
    if (options_.check_finite) {
      pin(0);
      std::vector<Var> values{Var(builder_, find_output(builder_.graph(), options_.loss).value)};
      values.insert(values.end(), gradients.begin(), gradients.end());
      for (const auto& [state, next] : next_)
        if (is_float(next.dtype())) values.push_back(next);
      for (Var value : values) {
        Var fine = is_finite(value);
        finite = finite.valid() ? builder_.apply("logical_and", {finite, fine}) : fine;
      }
      builder_.output("finite", finite);
    }
    for (const auto& [state, next] : next_)
      builder_.update(state,
                      finite.valid() ? builder_.apply("select", {finite, next, state}) : next);
    for (const std::string& name : unreached_) {
      Var state(builder_, builder_.graph().find(name));
      builder_.update(state, state);
    }
  }

  const Optimizer& optimizer_;
  const OptimizerDef& definition_;
  const TrainingOptions& options_;
  std::vector<std::string> trained_, unreached_;
  std::vector<ValueId> gradients_;
  GraphBuilder builder_;
  Var rate_, steps_, next_steps_, step_;
  Weights initial_;
  std::vector<std::pair<Var, Var>> next_;  // state and its next value
};

// Takes those that have no gradient out of `trained`, and returns them.
std::vector<std::string> take_unreached(std::vector<std::string>& trained, Gradients& gradients,
                                        const std::string& loss) {
  std::vector<std::string> reached, unreached;
  std::vector<ValueId> values;
  for (std::size_t i = 0; i < trained.size(); ++i) {
    if (gradients.reached[i]) values.push_back(gradients.values[i]);
    (gradients.reached[i] ? reached : unreached).push_back(std::move(trained[i]));
  }
  if (reached.empty()) {
    const Graph& graph = gradients.graph;
    throw Error(graph.value(find_output(graph, loss).value).location,
                fmt::format("no path with a derivative leads from a param that is trained to the "
                            "loss {}{}",
                            value_name(loss),
                            gradients.cut.empty()
                                ? std::string(", which is made of none of them")
                                : fmt::format(": the last one ends at {}", gradients.cut)));
  }
  trained = std::move(reached);
  gradients.values = std::move(values);
  return unreached;
}

// "mse" and "mse_loss" are the same.
const OpDef& find_loss(std::string_view name) {
  auto is_loss = [](const OpDef* op) { return op != nullptr && op->is_loss; };
  for (const OpDef* op : {find_op(name), find_op(fmt::format("{}_loss", name))})
    if (is_loss(op)) return *op;
  std::vector<std::string> names;
  for (const auto& known : all_ops())
    if (is_loss(known.get())) names.push_back(known->name.substr(0, known->name.find("_loss")));
  throw Error(fmt::format("there is no loss {}; there are {}", name, fmt::join(names, ", ")));
}

// The value of a loss's attribute from its text.
Attribute attribute_of(const AttributeSpec& spec, std::string_view text) {
  if (spec.kind == AttributeKind::text) return std::string(text);
  double number = number_of_option(spec.name, text);
  if (spec.kind == AttributeKind::real) return number;
  WEIR_CHECK(spec.kind == AttributeKind::integer, spec.name);
  if (number != std::floor(number) || std::abs(number) > 1e9)
    throw Error(fmt::format("{} takes an integer, and {} is given", spec.name, text));
  return static_cast<std::int64_t>(number);
}

}  // namespace

TrainingStep training_step(const Graph& graph, const Optimizer& optimizer,
                           const TrainingOptions& options) {
  check_loss(graph, options.loss);
  checked(optimizer);
  TrainedModel model = training_form(graph);
  std::vector<std::string> trained = trained_params(model, options);
  std::vector<std::string> outputs{options.loss};
  for (const std::string& name : options.outputs)
    if (std::find(outputs.begin(), outputs.end(), name) == outputs.end()) outputs.push_back(name);
  Gradients gradients = differentiate(model.graph, trained, {{options.loss}});
  std::vector<std::string> unreached = take_unreached(trained, gradients, options.loss);
  return StepBuilder(prune(gradients, outputs), optimizer, options, std::move(trained),
                     std::move(unreached), std::move(model.initial))
      .run();
}

Graph on_state(const Graph& graph, const TrainingOptions& options) {
  TrainedModel model = training_form(graph);
  std::vector<std::string> trained = trained_params(model, options);
  std::unordered_set<std::string> state(trained.begin(), trained.end());
  state.insert(model.updated.begin(), model.updated.end());
  GraphRewriter rewriter(graph);
  for (const Node& node : graph.nodes()) rewriter.copy(node);
  Graph& result = rewriter.target();
  for (const Graph::Output& output : graph.outputs())
    if (!output.updates.valid()) result.add_output(rewriter.mapped(output.value), output.name);
  for (ValueId id : graph.params()) {
    const std::string& name = graph.value(id).name;
    if (!state.contains(name)) continue;
    std::string output = name;
    for (const Graph::Output& other : graph.outputs())
      if (other.name == output) output += ".state";
    result.add_update(rewriter.mapped(id), rewriter.mapped(id), output);
  }
  return std::move(result);
}

LossOptions parse_loss(std::string_view text) {
  NamedOptions given = parse_named_options(text);
  LossOptions result;
  const OpDef& op = find_loss(given.name);
  result.op = op.name;
  for (const auto& [key, value] : given.options) {
    std::vector<std::string_view> names;
    const AttributeSpec* found = nullptr;
    for (const AttributeSpec& spec : op.attributes) {
      names.push_back(spec.name);
      if (spec.name == key) found = &spec;
    }
    if (found == nullptr)
      throw Error(
          fmt::format("{} has no option {}; it has {}", op.name, key, fmt::join(names, ", ")));
    result.attributes.set(found->name, attribute_of(*found, value));
  }
  return result;
}

Graph with_loss(const Graph& graph, const LossOptions& options) {
  const OpDef& op = find_loss(options.op);
  if (graph.outputs().empty()) throw Error(fmt::format("{} has no output", graph.name()));
  const Graph::Output& output =
      options.output.empty() ? graph.outputs()[0] : find_output(graph, options.output);
  TensorType type = graph.type(output.value);
  bool takes_labels = !is_float(options.labels) && op.operands[1].types != TypeSet::floats;
  if (takes_labels) {
    Attributes attributes = options.attributes;
    for (const AttributeSpec& spec : op.attributes)
      if (!attributes.find(spec.name) && spec.default_value)
        attributes.set(spec.name, *spec.default_value);
    std::vector<TensorType> types{type};
    if (type.shape.empty())
      throw Error(fmt::format("the output {} is {}, which has no classes", value_name(output.name),
                              to_string(type)));
    type.shape.erase(type.shape.begin() + OpInstance{&op, types, attributes}.axis(type.rank()));
    type.dtype = options.labels;
  }
  GraphBuilder builder(graph);
  builder.set_location(graph.value(output.value).location.derived("loss of"));
  Var target(builder, builder.graph().add_input("target", type, builder.location()));
  builder.output("loss",
                 builder.apply(op, {Var(builder, output.value), target}, options.attributes));
  return std::move(builder.graph());
}

}  // namespace weir
