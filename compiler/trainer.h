// Training in a process: a compiled training step, and a block of state that it works on.
//
//   Trainer trainer(model, {"adam"}, {.loss = "loss"});
//   for (...) double loss = trainer.step({{"x", x}, {"target", t}}, 0.001);
//   Tensor accuracy = trainer.evaluate({{"x", x}, {"target", t}})[0];
//   save_model("trained.weir", trainer.model());
//
// A step is one call of one program, forward, backward and update, and allocates nothing once it
// has run for sizes of batches as large. Its results are the same bits from run to run, whatever
// the number of threads.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/autodiff/optimizer.h"
#include "compiler/autodiff/training_step.h"
#include "compiler/executable.h"
#include "compiler/pipeline.h"
#include "ir/builder.h"
#include "ir/tensor.h"
#include "runtime/weir_trainer.h"

namespace weir {

class Trainer {
 public:
  // Compiles the training step of the model, and the model as it is for evaluation, and starts from
  // the model's weights. Error for whatever training_step() and compile() refuse.
  Trainer(Model model, const Optimizer& optimizer, const TrainingOptions& options = {},
          const CompileOptions& compile_options = {});
  ~Trainer();
  Trainer(Trainer&&) noexcept;
  Trainer& operator=(Trainer&&) noexcept;

  // What a step takes: the model's inputs in order, without the learning rate.
  std::span<const Signature> inputs() const;
  // One step. Returns the loss of the batch before it. With check_finite, a step that is not finite
  // updates nothing; `finite()` tells afterwards. Error as for Executable::run(), before anything
  // is updated.
  double step(std::span<const Tensor> inputs, double learning_rate,
              const weir_executor* executor = nullptr);
  double step(const NamedTensors& inputs, double learning_rate,
              const weir_executor* executor = nullptr);
  // The outputs that TrainingOptions::outputs asks for, of the latest step, in that order.
  std::span<const Tensor> results() const;
  bool finite() const;

  // The outputs of the model, in order, for the params as they are now.
  std::vector<Tensor> evaluate(std::span<const Tensor> inputs,
                               const weir_executor* executor = nullptr) const;
  std::vector<Tensor> evaluate(const NamedTensors& inputs,
                               const weir_executor* executor = nullptr) const;
  // Which of them is the loss.
  std::size_t loss_output() const;
  // The params that no step changes, for want of a path with a derivative to the loss
  // (TrainingStep::unreached).
  std::span<const std::string> unreached() const;

  // What is updated, by name: the params that are trained, in order, and what the optimizer
  // remembers. Reading copies. Error if there is no such name, or the type is another.
  std::span<const StateVariable> state() const;
  Tensor read(std::string_view name) const;
  void write(std::string_view name, const Tensor& value);
  // All of it, for a checkpoint; and back. Error, and nothing is written, if one is missing.
  Weights read_state() const;
  void write_state(const Weights& values);

  // The model with the params as they are now.
  Model model() const;
  // The graph that it has.
  const Graph& model_graph() const;
  // The step as a graph, and compiled.
  const Graph& step_graph() const;
  const Executable& step_executable() const;
  const Executable& evaluation_executable() const;
  // The compiled programs for C (runtime/weir_trainer.h), whose trainers have states of their own,
  // starting from the model's weights, with each variable as its type says. They are compiled when
  // they are first asked for. Lives as long as this.
  const weir_step& c_step() const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace weir
