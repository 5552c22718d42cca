#include "compiler/trainer.h"

#include <algorithm>
#include <mutex>
#include <optional>

#include <fmt/format.h>

#include "ir/escape.h"
#include "runtime/workspace.h"

namespace weir {
namespace {

Model with_initial(Graph graph, Weights weights, const Weights& initial) {
  weights.insert(initial.begin(), initial.end());
  return {std::move(graph), std::move(weights)};
}

std::vector<Tensor> in_order(std::span<const Signature> wanted, const NamedTensors& given) {
  std::vector<Tensor> ordered;
  for (const Signature& input : wanted) {
    auto found = given.find(input.name);
    if (found == given.end())
      throw Error(fmt::format("input {} ({}) is missing", input.name, to_string(input.type)));
    ordered.push_back(found->second);
  }
  if (given.size() == ordered.size()) return ordered;
  for (const auto& [name, tensor] : given) {
    auto is_it = [&n = name](const Signature& input) { return input.name == n; };
    if (std::none_of(wanted.begin(), wanted.end(), is_it))
      throw Error(fmt::format("there is no input {}", name));
  }
  return ordered;
}

std::size_t output_number(const Executable& executable, const std::string& name) {
  std::span<const Signature> outputs = executable.outputs();
  auto found = std::find_if(outputs.begin(), outputs.end(),
                            [&](const Signature& output) { return output.name == name; });
  WEIR_CHECK(found != outputs.end(), name);
  return static_cast<std::size_t>(found - outputs.begin());
}

double number(const Tensor& scalar) { return scalar::to_double(scalar.dtype(), scalar.bits(0)); }

}  // namespace

struct Trainer::Parts {
  Parts(Model given, const Optimizer& the_optimizer, TrainingStep step,
        const TrainingOptions& the_options, const CompileOptions& the_compile_options)
      : model(std::move(given)),
        optimizer(the_optimizer),
        options(the_options),
        compile_options(the_compile_options),
        step_graph(std::move(step.graph)),
        unreached(std::move(step.unreached)),
        step_program(
            compile(with_initial(step_graph, model.weights, step.initial), with_own_orders())),
        evaluation(compile({on_state(model.graph, options), model.weights}, with_orders_of_step())),
        loss(output_number(evaluation, options.loss)),
        checks_finite(options.check_finite) {
    // They are the caller's, who need not keep them.
    compile_options.executor = nullptr;
    compile_options.timing = nullptr;
    std::span<const Signature> all = step_program.inputs();
    std::copy_if(all.begin(), all.end(), std::back_inserter(inputs),
                 [](const Signature& input) { return input.name != "learning_rate"; });
    DType rate_type = all.back().type.dtype;
    rate = Tensor(rate_type, {});
    step_program.write_initial_state(state.reserve(step_program.state_bytes()));
    check_layout();
  }

  // What nobody but the trainer sees lies as its programs want it.
  CompileOptions with_own_orders() const {
    CompileOptions result = compile_options;
    result.orders_state = true;
    return result;
  }

  CompileOptions with_orders_of_step() const {
    CompileOptions result = compile_options;
    for (const StateVariable& variable : step_program.state())
      if (!variable.order.empty())
        result.state_orders.emplace(variable.name, MemoryLayout{variable.order, variable.panel});
    return result;
  }

  // C programs see the block of state: theirs lies as it is declared, for which there are programs
  // of their own if this trainer's does not.
  void describe() {
    std::span<const StateVariable> own = step_program.state();
    if (std::any_of(own.begin(), own.end(),
                    [](const StateVariable& variable) { return !variable.order.empty(); })) {
      TrainingStep step = training_step(model.graph, optimizer, options);
      plain_step.emplace(compile(with_initial(std::move(step.graph), model.weights, step.initial),
                                 compile_options));
      plain_evaluation.emplace(
          compile({on_state(model.graph, options), model.weights}, compile_options));
    }
    describe(plain_step ? *plain_step : step_program,
             plain_evaluation ? *plain_evaluation : evaluation);
  }

  void describe(const Executable& c_program, const Executable& c_evaluation) {
    for (const StateVariable& variable : c_program.state())
      texts.push_back(to_string(variable.type));
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const StateVariable& variable = c_program.state()[i];
      variables.push_back(
          {variable.name.c_str(), texts[i].c_str(), variable.offset, variable.bytes});
    }
    auto program_of = [](const Executable& executable) {
      return weir_step_program{executable.program(), executable.workspace_size(),
                               executable.weights()};
    };
    c_step = {program_of(c_program),     program_of(c_evaluation), c_program.state_bytes(),
              c_program.initial_state(), variables.data(),         variables.size()};
  }

  // Evaluation reads the params where the step updates them.
  void check_layout() const {
    std::span<const StateVariable> updated = step_program.state();
    for (const StateVariable& read : evaluation.state()) {
      auto found = std::find_if(updated.begin(), updated.end(),
                                [&](const StateVariable& v) { return v.name == read.name; });
      WEIR_CHECK(found != updated.end() && found->offset == read.offset &&
                     found->order == read.order && found->panel == read.panel,
                 read.name);
    }
  }

  const StateVariable& variable(std::string_view name) const {
    for (const StateVariable& candidate : step_program.state())
      if (candidate.name == name) return candidate;
    throw Error(fmt::format("the training step has no state {}", value_name(std::string(name))));
  }

  static void check_type(const StateVariable& variable, const Tensor& value) {
    if (!(value.type() == variable.type))
      throw Error(fmt::format("{} is {}, and {} is given", value_name(variable.name),
                              to_string(variable.type), to_string(value.type())));
  }

  Model model;
  Optimizer optimizer;
  TrainingOptions options;
  CompileOptions compile_options;
  Graph step_graph;
  std::vector<std::string> unreached;
  Executable step_program;
  Executable evaluation;
  std::size_t loss;
  bool checks_finite;
  std::vector<Signature> inputs;
  Workspace state;
  Tensor rate;
  std::vector<Tensor> all_inputs, outputs;  // of the latest step
  std::vector<Tensor::Sizes> sizes;         // of its inputs
  // For C, made when it is asked for.
  std::once_flag described;
  std::optional<Executable> plain_step, plain_evaluation;
  std::vector<std::string> texts;
  std::vector<weir_variable> variables;
  weir_step c_step{};
};

Trainer::Trainer(Model model, const Optimizer& optimizer, const TrainingOptions& options,
                 const CompileOptions& compile_options) {
  if (options.learning_rate)
    throw Error("a Trainer is told the rate of every step; its options may not fix one");
  TrainingStep step = training_step(model.graph, optimizer, options);
  parts_ = std::make_unique<Parts>(std::move(model), optimizer, std::move(step), options,
                                   compile_options);
}

Trainer::~Trainer() = default;
Trainer::Trainer(Trainer&&) noexcept = default;
Trainer& Trainer::operator=(Trainer&&) noexcept = default;

std::span<const Signature> Trainer::inputs() const { return parts_->inputs; }

double Trainer::step(std::span<const Tensor> inputs, double learning_rate,
                     const weir_executor* executor) {
  Parts& parts = *parts_;
  if (inputs.size() != parts.inputs.size())
    throw Error(fmt::format("a step takes {} input{} and the rate, and {} {} given",
                            parts.inputs.size(), parts.inputs.size() == 1 ? "" : "s", inputs.size(),
                            inputs.size() == 1 ? "is" : "are"));
  bool same_sizes = parts.sizes.size() == inputs.size();
  for (std::size_t i = 0; same_sizes && i < inputs.size(); ++i)
    same_sizes = parts.sizes[i] == inputs[i].sizes();
  parts.all_inputs.assign(inputs.begin(), inputs.end());
  parts.rate.set_bits(0, scalar::bits_of(parts.rate.dtype(), learning_rate));
  parts.all_inputs.push_back(parts.rate);
  if (!same_sizes) {
    parts.outputs = parts.step_program.outputs_in_place(parts.all_inputs);
    parts.sizes.clear();
    for (const Tensor& input : inputs) parts.sizes.push_back(input.sizes());
  }
  parts.step_program.run_in_place(parts.all_inputs, parts.outputs, parts.state.data(), executor);
  return number(parts.outputs[0]);
}

double Trainer::step(const NamedTensors& inputs, double learning_rate,
                     const weir_executor* executor) {
  return step(in_order(parts_->inputs, inputs), learning_rate, executor);
}

std::span<const Tensor> Trainer::results() const {
  std::size_t others = parts_->checks_finite ? 2 : 1;
  if (parts_->outputs.size() < others) return {};
  return std::span(parts_->outputs).subspan(1, parts_->outputs.size() - others);
}

bool Trainer::finite() const {
  return !parts_->checks_finite || parts_->outputs.empty() ||
         parts_->outputs.back().elements<bool>()[0];
}

std::vector<Tensor> Trainer::evaluate(std::span<const Tensor> inputs,
                                      const weir_executor* executor) const {
  std::vector<Tensor> outputs = parts_->evaluation.outputs_in_place(inputs);
  parts_->evaluation.run_in_place(inputs, outputs, parts_->state.data(), executor);
  return outputs;
}

std::vector<Tensor> Trainer::evaluate(const NamedTensors& inputs,
                                      const weir_executor* executor) const {
  return evaluate(in_order(parts_->evaluation.inputs(), inputs), executor);
}

std::size_t Trainer::loss_output() const { return parts_->loss; }

std::span<const std::string> Trainer::unreached() const { return parts_->unreached; }

std::span<const StateVariable> Trainer::state() const { return parts_->step_program.state(); }

Tensor Trainer::read(std::string_view name) const {
  return weir::read_state(parts_->variable(name), parts_->state.data());
}

void Trainer::write(std::string_view name, const Tensor& value) {
  const StateVariable& variable = parts_->variable(name);
  Parts::check_type(variable, value);
  weir::write_state(variable, value, parts_->state.data());
}

Weights Trainer::read_state() const {
  Weights values;
  for (const StateVariable& variable : state()) values.emplace(variable.name, read(variable.name));
  return values;
}

void Trainer::write_state(const Weights& values) {
  for (const StateVariable& variable : state()) {
    auto found = values.find(variable.name);
    if (found == values.end())
      throw Error(fmt::format("there is no value for the state {} ({})", value_name(variable.name),
                              to_string(variable.type)));
    Parts::check_type(variable, found->second);
  }
  for (const StateVariable& variable : state())
    weir::write_state(variable, values.find(variable.name)->second, parts_->state.data());
}

Model Trainer::model() const {
  Model result = parts_->model;
  for (const StateVariable& variable : parts_->evaluation.state())
    result.weights.insert_or_assign(variable.name, read(variable.name));
  return result;
}

const Graph& Trainer::model_graph() const { return parts_->model.graph; }

const weir_step& Trainer::c_step() const {
  std::call_once(parts_->described, [&] { parts_->describe(); });
  return parts_->c_step;
}
const Graph& Trainer::step_graph() const { return parts_->step_graph; }
const Executable& Trainer::step_executable() const { return parts_->step_program; }
const Executable& Trainer::evaluation_executable() const { return parts_->evaluation; }

}  // namespace weir
