#include "compiler/executable.h"

#include <algorithm>
#include <mutex>

#include <fmt/format.h>

#include "compiler/lowering/memory_plan.h"
#include "compiler/make_executable.h"
#include "compiler/weight_block.h"
#include "ir/bind_symbols.h"
#include "ir/index_range_check.h"
#include "runtime/workspace.h"

namespace weir {

namespace {

// A dimension made ready for evaluation: a constant, one symbol, or a polynomial in symbols by
// number and in quotients.
struct DimPlan {
  struct Term {
    std::int64_t coefficient;
    std::vector<std::uint32_t> symbols;
    std::vector<DimPlan> quotients;
  };
  std::int64_t constant = 0;
  std::int32_t symbol = -1;
  std::vector<Term> terms;
  std::int64_t divisor = 1;  // of a quotient, whose dividend the rest is

  bool is_constant() const { return symbol < 0 && terms.empty(); }

  // Negative on overflow, and where the polynomial is.
  std::int64_t evaluate(const std::ptrdiff_t* dims) const {
    if (symbol >= 0) return dims[symbol];
    if (terms.empty()) return constant;
    std::int64_t sum = 0;
    for (const Term& term : terms) {
      std::int64_t product = term.coefficient;
      for (std::uint32_t number : term.symbols)
        if (__builtin_mul_overflow(product, std::int64_t{dims[number]}, &product)) return -1;
      for (const DimPlan& quotient : term.quotients) {
        std::int64_t dividend = quotient.evaluate(dims);
        if (dividend < 0 || __builtin_mul_overflow(product, dividend / quotient.divisor, &product))
          return -1;
      }
      if (__builtin_add_overflow(sum, product, &sum)) return -1;
    }
    return sum;
  }
};

// What a dimension is compared with, or for the first input that has a symbol what it gives that.
struct PlainSize {
  std::int64_t constant;
  std::int32_t symbol;  // negative for a constant
  bool gives;
};
struct PlainTensor {
  DType dtype;
  int rank;
};

}  // namespace

struct Executable::Parts {
  explicit Parts(LoadedCode loaded) : code(std::move(loaded)) {}

  LoadedCode code;
  std::vector<Signature> inputs, outputs;
  std::vector<std::vector<DimPlan>> input_dims, output_dims;
  // The inputs, then the outputs, and the sizes of all of them, where each is a constant or a
  // symbol that an input has, and nothing is updated in place: calls may be shorter than going
  // through the plans.
  std::vector<PlainTensor> plain_tensors;
  std::vector<PlainSize> plain_sizes;
  std::vector<std::string> symbols;
  std::vector<IndexCheck> checks;
  Workspace weights;
  bool has_weights = false;
  std::vector<StateVariable> state;
  Workspace initial_state;
  std::size_t state_bytes = 0;
  // By output of the graph: the number of the state variable that it updates, if it does.
  std::vector<std::optional<std::uint32_t>> updates;
  bool needs_workspace = false;
  // Workspaces that no call is using.
  mutable std::mutex mutex;
  mutable std::vector<std::unique_ptr<Workspace>> idle;
};

namespace {

// A workspace for the time of one call.
class Borrowed {
 public:
  Borrowed(std::mutex& mutex, std::vector<std::unique_ptr<Workspace>>& idle)
      : mutex_(mutex), idle_(idle) {
    std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      workspace_ = std::move(idle_.back());
      idle_.pop_back();
    }
    if (!workspace_) workspace_ = std::make_unique<Workspace>();
  }
  ~Borrowed() {
    std::lock_guard lock(mutex_);
    idle_.push_back(std::move(workspace_));
  }
  Borrowed(const Borrowed&) = delete;
  Borrowed& operator=(const Borrowed&) = delete;
  Workspace& operator*() { return *workspace_; }

 private:
  std::mutex& mutex_;
  std::vector<std::unique_ptr<Workspace>>& idle_;
  std::unique_ptr<Workspace> workspace_;
};

[[noreturn]] void wrong_type(const Signature& wanted, const char* what, const Tensor& given) {
  throw Error(fmt::format("{} {} must be {}, and {} is given", what, wanted.name,
                          to_string(wanted.type), to_string(given.dtype(), given.sizes())));
}

DimPlan plan_of(const Dim& dim, const std::vector<std::string>& symbols) {
  auto number = [&](const std::string& name) {
    return static_cast<std::uint32_t>(std::find(symbols.begin(), symbols.end(), name) -
                                      symbols.begin());
  };
  DimPlan plan;
  if (dim.is_constant()) {
    plan.constant = dim.value();
  } else if (std::optional<std::string> name = dim.as_symbol()) {
    plan.symbol = static_cast<std::int32_t>(number(*name));
  } else {
    for (const Dim::Term& term : dim.terms()) {
      plan.terms.push_back({term.coefficient, {}, {}});
      for (const Dim::Factor& factor : term.factors) {
        if (const Dim::Quotient* quotient = factor.quotient()) {
          plan.terms.back().quotients.push_back(plan_of(quotient->dividend, symbols));
          plan.terms.back().quotients.back().divisor = quotient->divisor;
        } else {
          plan.terms.back().symbols.push_back(number(factor.text()));
        }
      }
    }
  }
  return plan;
}

std::vector<std::vector<DimPlan>> plans_of(const std::vector<Signature>& signatures,
                                           const std::vector<std::string>& symbols) {
  std::vector<std::vector<DimPlan>> plans;
  for (const Signature& signature : signatures) {
    plans.emplace_back();
    for (const Dim& dim : signature.type.shape) plans.back().push_back(plan_of(dim, symbols));
  }
  return plans;
}

// The Error of a program that has ended with WEIR_DATA_FAULT: as the interpreter throws it.
[[noreturn]] void throw_fault(const Executable::Parts& parts, const weir_fault& fault,
                              const std::ptrdiff_t* dims) {
  const IndexCheck& check = parts.checks[static_cast<std::size_t>(fault.check)];
  const Dim& size = check.sizes[static_cast<std::size_t>(fault.position) % check.sizes.size()];
  IndexFault index{fault.position, fault.index, plan_of(size, parts.symbols).evaluate(dims),
                   check.from_end};
  throw Error(check.location, fmt::format("{}: {}", check.op, index.message()));
}

constexpr std::ptrdiff_t kUnbound = -1;

void solve_dims(const Executable::Parts& parts, std::span<const Tensor> tensors,
                std::ptrdiff_t* values) {
  std::vector<GivenTensor> given;
  for (std::size_t i = 0; i < parts.inputs.size(); ++i)
    given.push_back({"input", parts.inputs[i].name, &parts.inputs[i].type, &tensors[i], {}});
  Dim::Bindings bindings = bind_symbols(given);
  for (std::size_t s = 0; s < parts.symbols.size(); ++s)
    values[s] = static_cast<std::ptrdiff_t>(bindings.at(parts.symbols[s]));
}

// Binds symbols that stand alone as a dimension, and checks everything else against them. Calls are
// short, so this does without names and allocations; what it cannot bind is solved as the
// interpreter does it.
void bind_dims(const Executable::Parts& parts, std::span<const Tensor> tensors,
               std::ptrdiff_t* values) {
  std::fill_n(values, parts.symbols.size(), kUnbound);
  bool derived = false;
  for (std::size_t i = 0; i < parts.inputs.size(); ++i) {
    const TensorType& type = parts.inputs[i].type;
    const Tensor& tensor = tensors[i];
    if (tensor.dtype() != type.dtype || tensor.rank() != type.rank())
      wrong_type(parts.inputs[i], "input", tensor);
    for (std::size_t d = 0; d < parts.input_dims[i].size(); ++d) {
      const DimPlan& plan = parts.input_dims[i][d];
      std::int64_t size = tensor.sizes()[d];
      if (plan.symbol < 0) {
        derived = derived || !plan.is_constant();
        if (plan.is_constant() && plan.constant != size)
          wrong_type(parts.inputs[i], "input", tensor);
        continue;
      }
      std::ptrdiff_t& value = values[plan.symbol];
      if (value == kUnbound) value = size;
      if (value != size)
        throw Error(
            fmt::format("input {} is {}, but the symbol {} is already {} by an input before it",
                        parts.inputs[i].name, to_string(tensor.dtype(), tensor.sizes()),
                        parts.symbols[static_cast<std::size_t>(plan.symbol)], value));
    }
  }
  if (std::find(values, values + parts.symbols.size(), kUnbound) != values + parts.symbols.size())
    return solve_dims(parts, tensors, values);
  if (!derived) return;
  for (std::size_t i = 0; i < parts.inputs.size(); ++i)
    for (std::size_t d = 0; d < parts.input_dims[i].size(); ++d)
      if (parts.input_dims[i][d].evaluate(values) != tensors[i].sizes()[d])
        wrong_type(parts.inputs[i], "input", tensors[i]);
}

// Of the outputs that update no state.
void check_outputs(const Executable::Parts& parts, std::span<const Tensor> outputs,
                   const std::ptrdiff_t* dims) {
  std::size_t next = 0;
  for (std::size_t k = 0; k < parts.outputs.size(); ++k) {
    if (parts.updates[k]) continue;
    const Tensor& given = outputs[next++];
    const Signature& wanted = parts.outputs[k];
    bool fits = given.dtype() == wanted.type.dtype && given.rank() == wanted.type.rank();
    for (std::size_t d = 0; fits && d < wanted.type.shape.size(); ++d)
      fits = parts.output_dims[k][d].evaluate(dims) == given.sizes()[d];
    if (!fits) wrong_type(wanted, "output", given);
  }
}

// Leaves the plain tensors and sizes, if the program has no others.
void find_plain(Executable::Parts& parts) {
  std::vector<PlainTensor> tensors;
  std::vector<PlainSize> sizes;
  std::vector<bool> given(parts.symbols.size());
  auto is_plain = [&](const std::vector<Signature>& signatures,
                      const std::vector<std::vector<DimPlan>>& plans, bool gives) {
    for (std::size_t i = 0; i < signatures.size(); ++i) {
      tensors.push_back({signatures[i].type.dtype, signatures[i].type.rank()});
      for (const DimPlan& plan : plans[i]) {
        sizes.push_back({plan.constant, plan.symbol, false});
        if (plan.is_constant()) continue;
        if (plan.symbol < 0) return false;
        auto known = given.begin() + plan.symbol;
        if (!*known && !gives) return false;
        sizes.back().gives = !*known;
        *known = true;
      }
    }
    return true;
  };
  if (!parts.state.empty() || !is_plain(parts.inputs, parts.input_dims, true) ||
      !is_plain(parts.outputs, parts.output_dims, false) ||
      std::find(given.begin(), given.end(), false) != given.end())
    return;
  parts.plain_tensors = std::move(tensors);
  parts.plain_sizes = std::move(sizes);
}

// Binds the symbols, and whether everything fits them: if not, or if the program is not plain, it
// is for the plans to say.
bool fits_plainly(const Executable::Parts& parts, std::span<const Tensor> inputs,
                  std::span<const Tensor> outputs, std::ptrdiff_t* values) {
  if (parts.plain_tensors.empty()) return false;
  const PlainTensor* tensor = parts.plain_tensors.data();
  const PlainSize* size = parts.plain_sizes.data();
  for (std::span<const Tensor> side : {inputs, std::span<const Tensor>(outputs)}) {
    for (const Tensor& given : side) {
      if (given.dtype() != tensor->dtype || given.rank() != tensor->rank) return false;
      ++tensor;
      for (std::int64_t of_dimension : given.sizes()) {
        if (size->gives)
          values[size->symbol] = static_cast<std::ptrdiff_t>(of_dimension);
        else if (of_dimension != (size->symbol < 0 ? size->constant : values[size->symbol]))
          return false;
        ++size;
      }
    }
  }
  return true;
}

// The largest number of inputs, outputs and symbols that a call keeps on the stack. The elements
// are not set.
template <class T>
class SmallArray {
 public:
  explicit SmallArray(std::size_t size) : data_(local_) {
    if (size <= std::size(local_)) return;
    heap_.reset(new T[size]);
    data_ = heap_.get();
  }
  T& operator[](std::size_t i) { return data_[i]; }
  T* data() { return data_; }

 private:
  T local_[8];
  std::unique_ptr<T[]> heap_;
  T* data_;
};

// The outputs of the graph: those of the program, and between them what updates the state.
void add_outputs(Executable::Parts& parts, const Program& program) {
  parts.updates.resize(program.outputs.size() + program.state.size());
  for (std::uint32_t i = 0; i < program.state.size(); ++i) {
    const StateEntry& entry = program.state[i];
    parts.state.push_back({entry.param, entry.type, entry.offset, entry.bytes, entry.order});
    parts.updates[entry.output] = i;
  }
  parts.state_bytes = program.state_bytes;
  auto next = program.outputs.begin();
  for (std::optional<std::uint32_t> variable : parts.updates) {
    if (variable) {
      parts.outputs.push_back({parts.state[*variable].name, parts.state[*variable].type});
    } else {
      parts.outputs.push_back({next->first, next->second});
      ++next;
    }
  }
}

}  // namespace

Tensor read_state(const StateVariable& variable, const void* state) {
  Tensor::Sizes sizes;
  for (const Dim& dim : variable.type.shape) sizes.push_back(dim.value());
  Tensor value(variable.type.dtype, std::move(sizes));
  take_in_order(value, static_cast<const char*>(state) + variable.offset, variable.order);
  return value;
}

void write_state(const StateVariable& variable, const Tensor& value, void* state) {
  put_in_order(static_cast<char*>(state) + variable.offset, value, variable.order);
}

Executable make_executable(const Program& program, LoadedCode code, const Weights& weights) {
  std::vector<WeightEntry> values = program.weights;
  for (const StateEntry& entry : program.state)
    values.push_back({entry.param, nullptr, entry.type, {}, 0, {}});
  check_weights(values, weights);
  auto parts = std::make_unique<Executable::Parts>(std::move(code));
  parts->symbols = program.symbols;
  parts->checks = program.checks;
  // Folds may have panels, if their sizes are right.
  parts->needs_workspace =
      !program.slots.empty() ||
      std::any_of(program.kernels.begin(), program.kernels.end(), [](const Kernel& kernel) {
        return std::any_of(kernel.stages.begin(), kernel.stages.end(), [](const Stage& stage) {
          return stage.fold && stage.fold->order == Reduction::Order::chain;
        });
      });
  parts->has_weights = program.weight_bytes > 0;
  for (const auto& [name, type] : program.inputs) parts->inputs.push_back({name, type});
  add_outputs(*parts, program);
  parts->input_dims = plans_of(parts->inputs, parts->symbols);
  parts->output_dims = plans_of(parts->outputs, parts->symbols);
  find_plain(*parts);
  if (program.weight_bytes > 0) {
    void* block = parts->weights.reserve(program.weight_bytes);
    fill_weight_block(program.weights, weights, {static_cast<char*>(block), program.weight_bytes});
  }
  if (program.state_bytes > 0) {
    char* block = static_cast<char*>(parts->initial_state.reserve(program.state_bytes));
    std::memset(block, 0, program.state_bytes);
    for (const StateVariable& variable : parts->state)
      write_state(variable, weights.find(variable.name)->second, block);
  }
  return Executable(std::move(parts));
}

Executable::Executable(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Executable::~Executable() = default;
Executable::Executable(Executable&&) noexcept = default;
Executable& Executable::operator=(Executable&&) noexcept = default;

std::span<const Signature> Executable::inputs() const { return parts_->inputs; }
std::span<const Signature> Executable::outputs() const { return parts_->outputs; }
std::span<const StateVariable> Executable::state() const { return parts_->state; }
std::size_t Executable::state_bytes() const { return parts_->state_bytes; }
std::span<const std::string> Executable::symbols() const { return parts_->symbols; }
weir_program Executable::program() const { return parts_->code.program(); }
weir_workspace_size Executable::workspace_size() const {
  return parts_->needs_workspace ? parts_->code.workspace_size() : nullptr;
}
const void* Executable::initial_state() const {
  return parts_->state_bytes > 0 ? parts_->initial_state.data() : nullptr;
}
const void* Executable::weights() const {
  return parts_->has_weights ? parts_->weights.data() : nullptr;
}

std::size_t Executable::workspace_bytes(std::span<const std::ptrdiff_t> dims, int workers) const {
  if (dims.size() != parts_->symbols.size())
    throw Error(fmt::format("the program has {} symbols, and {} values are given",
                            parts_->symbols.size(), dims.size()));
  if (!parts_->needs_workspace) return 0;
  std::size_t fixed = 0, per_worker = 0;
  int status = parts_->code.workspace_size()(dims.data(), &fixed, &per_worker);
  if (status != WEIR_OK) throw Error("a dimension is negative or too large");
  return fixed + per_worker * static_cast<std::size_t>(workers);
}

namespace {

enum class Outputs { all, in_place };

// Tensors for the outputs of a call: all of them, or those that update no state.
std::vector<Tensor> make_outputs(const Executable::Parts& parts, std::span<const Tensor> inputs,
                                 Outputs which) {
  if (inputs.size() != parts.inputs.size())
    throw Error(fmt::format("the program takes {} inputs, and {} are given", parts.inputs.size(),
                            inputs.size()));
  SmallArray<std::ptrdiff_t> dims(parts.symbols.size());
  bind_dims(parts, inputs, dims.data());
  std::vector<Tensor> outputs;
  for (std::size_t i = 0; i < parts.outputs.size(); ++i) {
    if (which == Outputs::in_place && parts.updates[i]) continue;
    Tensor::Sizes sizes;
    for (const DimPlan& plan : parts.output_dims[i]) sizes.push_back(plan.evaluate(dims.data()));
    if (std::any_of(sizes.begin(), sizes.end(), [](std::int64_t size) { return size < 0; }))
      throw Error(fmt::format("output {} ({}) has no size for these inputs", parts.outputs[i].name,
                              to_string(parts.outputs[i].type)));
    outputs.emplace_back(parts.outputs[i].type.dtype, std::move(sizes));
  }
  return outputs;
}

}  // namespace

std::vector<Tensor> Executable::run(std::span<const Tensor> inputs,
                                    const weir_executor* executor) const {
  std::vector<Tensor> outputs = make_outputs(*parts_, inputs, Outputs::all);
  run_into(inputs, outputs, executor);
  return outputs;
}

std::vector<Tensor> Executable::outputs_in_place(std::span<const Tensor> inputs) const {
  return make_outputs(*parts_, inputs, Outputs::in_place);
}

std::vector<Tensor> Executable::run(const NamedTensors& inputs,
                                    const weir_executor* executor) const {
  std::vector<Tensor> ordered;
  for (const Signature& input : parts_->inputs) {
    auto found = inputs.find(input.name);
    if (found == inputs.end())
      throw Error(fmt::format("input {} ({}) is missing", input.name, to_string(input.type)));
    ordered.push_back(found->second);
  }
  if (inputs.size() != ordered.size()) {
    for (const auto& [name, tensor] : inputs) {
      auto known = [&n = name](const Signature& input) { return input.name == n; };
      if (std::none_of(parts_->inputs.begin(), parts_->inputs.end(), known))
        throw Error(fmt::format("the program has no input {}", name));
    }
  }
  return run(ordered, executor);
}

void Executable::write_initial_state(void* state) const {
  if (parts_->state_bytes > 0)
    std::memcpy(state, parts_->initial_state.data(), parts_->state_bytes);
}

void Executable::run_into(std::span<const Tensor> inputs, std::span<Tensor> outputs,
                          const weir_executor* executor) const {
  if (parts_->state.empty()) return run_in_place(inputs, outputs, nullptr, executor);
  if (outputs.size() != parts_->outputs.size())
    throw Error(fmt::format("the program has {} outputs, and {} are given", parts_->outputs.size(),
                            outputs.size()));
  Borrowed state(parts_->mutex, parts_->idle);
  auto* block = static_cast<char*>((*state).reserve(parts_->state_bytes));
  write_initial_state(block);
  std::vector<Tensor> plain;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (!parts_->updates[i]) {
      plain.push_back(outputs[i]);
    } else if (!(outputs[i].type() == parts_->outputs[i].type)) {
      wrong_type(parts_->outputs[i], "output", outputs[i]);
    }
  }
  run_in_place(inputs, plain, block, executor);
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (!parts_->updates[i]) continue;
    const StateVariable& variable = parts_->state[*parts_->updates[i]];
    take_in_order(outputs[i], block + variable.offset, variable.order);
  }
}

void Executable::run_in_place(std::span<const Tensor> inputs, std::span<Tensor> outputs,
                              void* state, const weir_executor* executor) const {
  std::size_t count = parts_->outputs.size() - parts_->state.size();
  if (inputs.size() != parts_->inputs.size() || outputs.size() != count)
    throw Error(fmt::format("the program has {} inputs and {} outputs, and {} and {} are given",
                            parts_->inputs.size(), count, inputs.size(), outputs.size()));
  SmallArray<std::ptrdiff_t> dims(parts_->symbols.size());
  if (!fits_plainly(*parts_, inputs, outputs, dims.data())) {
    bind_dims(*parts_, inputs, dims.data());
    check_outputs(*parts_, outputs, dims.data());
  }
  SmallArray<const void*> input_pointers(inputs.size());
  SmallArray<void*> output_pointers(outputs.size());
  for (std::size_t i = 0; i < inputs.size(); ++i) input_pointers[i] = inputs[i].data();
  for (std::size_t i = 0; i < outputs.size(); ++i) output_pointers[i] = outputs[i].mutable_data();
  std::size_t bytes = workspace_bytes({dims.data(), parts_->symbols.size()},
                                      executor != nullptr ? executor->max_workers : 1);
  weir_call call{input_pointers.data(),
                 output_pointers.data(),
                 weights(),
                 nullptr,
                 dims.data(),
                 executor,
                 state};
  int status;
  if (bytes == 0) {
    status = program()(&call);
  } else {
    Borrowed workspace(parts_->mutex, parts_->idle);
    call.workspace = (*workspace).reserve(bytes);
    status = program()(&call);
    if (status == WEIR_DATA_FAULT)
      throw_fault(*parts_, *static_cast<const weir_fault*>(call.workspace), dims.data());
  }
  if (status != WEIR_OK) throw Error(fmt::format("the program ended with status {}", status));
}

}  // namespace weir
