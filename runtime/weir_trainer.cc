#include "runtime/weir_trainer.h"

#include <cstring>

#include "runtime/workspace.h"

struct weir_trainer {
  explicit weir_trainer(const weir_step& description) : step(description) {
    if (step.state_bytes == 0) return;
    void* block = state.reserve(step.state_bytes);
    if (step.initial_state != nullptr)
      std::memcpy(block, step.initial_state, step.state_bytes);
    else
      std::memset(block, 0, step.state_bytes);
  }

  weir_step step;
  weir::Workspace state;
  weir::Workspace scratch;
  int (*init)(void* workspace) = nullptr;  // what a new workspace needs, as weir_model_info's
  bool initialized = false;                // whether the workspace has had it
  weir_fault fault{};
  bool has_fault = false;
};

namespace {

constexpr int kFailed = -1;

int run(weir_trainer& trainer, const weir_step_program& program, const void* const* inputs,
        void* const* outputs, const ptrdiff_t* dims, const weir_executor* executor) {
  trainer.has_fault = false;
  if (program.run == nullptr) return kFailed;
  weir_call call{inputs, outputs, program.weights, nullptr, dims, executor, trainer.state.data()};
  if (program.workspace_size != nullptr) {
    size_t fixed = 0, per_worker = 0;
    int status = program.workspace_size(dims, &fixed, &per_worker);
    if (status != WEIR_OK) return status;
    size_t workers = executor == nullptr ? 1 : static_cast<size_t>(executor->max_workers);
    size_t before = trainer.scratch.bytes();
    try {
      call.workspace = trainer.scratch.reserve(fixed + workers * per_worker);
    } catch (...) {
      return kFailed;
    }
    if (trainer.init != nullptr && (!trainer.initialized || trainer.scratch.bytes() != before)) {
      status = trainer.init(call.workspace);
      if (status != WEIR_OK) return status;
      trainer.initialized = true;
    }
  }
  int status = program.run(&call);
  trainer.has_fault = status == WEIR_DATA_FAULT && call.workspace != nullptr;
  if (trainer.has_fault) std::memcpy(&trainer.fault, call.workspace, sizeof trainer.fault);
  return status;
}

weir_step_program program_of(const weir_model_info& model, const char* name) {
  for (int i = 0; i < model.programs; ++i)
    if (std::strcmp(model.program[i].name, name) == 0)
      return {model.program[i].run, model.program[i].workspace_size, model.weights};
  return {nullptr, nullptr, nullptr};
}

}  // namespace

weir_trainer* weir_trainer_create(const weir_step* step) {
  if (step == nullptr) return nullptr;
  try {
    return new weir_trainer(*step);
  } catch (...) {
    return nullptr;
  }
}

weir_trainer* weir_trainer_of_model(const weir_model_info* model) {
  if (model == nullptr) return nullptr;
  weir_step step{program_of(*model, "step"),
                 program_of(*model, "evaluate"),
                 model->state_bytes,
                 nullptr,
                 model->variable,
                 static_cast<size_t>(model->variables)};
  if (step.step.run == nullptr) return nullptr;
  weir_trainer* trainer = weir_trainer_create(&step);
  if (trainer == nullptr) return nullptr;
  trainer->init = model->init;
  if (model->init_state == nullptr ||
      model->init_state(trainer->state.data(), model->weights) == WEIR_OK)
    return trainer;
  delete trainer;
  return nullptr;
}

void weir_trainer_destroy(weir_trainer* trainer) { delete trainer; }

int weir_trainer_step(weir_trainer* trainer, const void* const* inputs, void* const* outputs,
                      const ptrdiff_t* dims, const weir_executor* executor) {
  if (trainer == nullptr) return kFailed;
  return run(*trainer, trainer->step.step, inputs, outputs, dims, executor);
}

int weir_trainer_evaluate(weir_trainer* trainer, const void* const* inputs, void* const* outputs,
                          const ptrdiff_t* dims, const weir_executor* executor) {
  if (trainer == nullptr) return kFailed;
  return run(*trainer, trainer->step.evaluation, inputs, outputs, dims, executor);
}

const weir_fault* weir_trainer_fault(const weir_trainer* trainer) {
  return trainer != nullptr && trainer->has_fault ? &trainer->fault : nullptr;
}

void* weir_trainer_state(weir_trainer* trainer, const char* name, size_t* bytes) {
  if (trainer == nullptr || name == nullptr) return nullptr;
  for (size_t i = 0; i < trainer->step.variable_count; ++i) {
    const weir_variable& variable = trainer->step.variables[i];
    if (std::strcmp(variable.name, name) != 0) continue;
    if (bytes != nullptr) *bytes = variable.bytes;
    return static_cast<char*>(trainer->state.data()) + variable.offset;
  }
  return nullptr;
}

void* weir_trainer_state_block(weir_trainer* trainer) {
  return trainer == nullptr ? nullptr : trainer->state.data();
}
