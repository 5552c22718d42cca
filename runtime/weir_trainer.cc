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
};

namespace {

constexpr int kFailed = -1;

int run(weir_trainer& trainer, const weir_step_program& program, const void* const* inputs,
        void* const* outputs, const ptrdiff_t* dims, const weir_executor* executor) {
  if (program.run == nullptr) return kFailed;
  weir_call call{inputs, outputs, program.weights, nullptr, dims, executor, trainer.state.data()};
  if (program.workspace_size != nullptr) {
    size_t fixed = 0, per_worker = 0;
    int status = program.workspace_size(dims, &fixed, &per_worker);
    if (status != WEIR_OK) return status;
    size_t workers = executor == nullptr ? 1 : static_cast<size_t>(executor->max_workers);
    try {
      call.workspace = trainer.scratch.reserve(fixed + workers * per_worker);
    } catch (...) {
      return kFailed;
    }
  }
  return program.run(&call);
}

}  // namespace

weir_trainer* weir_trainer_create(const weir_step* step) {
  try {
    return new weir_trainer(*step);
  } catch (...) {
    return nullptr;
  }
}

void weir_trainer_destroy(weir_trainer* trainer) { delete trainer; }

int weir_trainer_step(weir_trainer* trainer, const void* const* inputs, void* const* outputs,
                      const ptrdiff_t* dims, const weir_executor* executor) {
  return run(*trainer, trainer->step.step, inputs, outputs, dims, executor);
}

int weir_trainer_evaluate(weir_trainer* trainer, const void* const* inputs, void* const* outputs,
                          const ptrdiff_t* dims, const weir_executor* executor) {
  return run(*trainer, trainer->step.evaluation, inputs, outputs, dims, executor);
}

void* weir_trainer_state(weir_trainer* trainer, const char* name, size_t* bytes) {
  for (size_t i = 0; i < trainer->step.variable_count; ++i) {
    const weir_variable& variable = trainer->step.variables[i];
    if (std::strcmp(variable.name, name) != 0) continue;
    if (bytes != nullptr) *bytes = variable.bytes;
    return static_cast<char*>(trainer->state.data()) + variable.offset;
  }
  return nullptr;
}

void* weir_trainer_state_block(weir_trainer* trainer) { return trainer->state.data(); }
