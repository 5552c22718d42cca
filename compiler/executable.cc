#include "compiler/executable.h"

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <new>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "compiler/call_signature.h"
#include "compiler/lowering/choose_panel.h"
#include "compiler/make_executable.h"
#include "compiler/weight_block.h"
#include "ir/index_range_check.h"
#include "runtime/workspace.h"

namespace weir {

struct Executable::Parts {
  Parts(const Program& program, LoadedCode loaded) : code(std::move(loaded)), signature(program) {}

  // What every run reads, in one line of the cache: loops have evicted it since the last run.
  struct alignas(64) EachRun {
    weir_program program = nullptr;
    const std::int64_t* plain = nullptr;  // CallSignature::plain_words()
    const void* weights = nullptr;
    std::size_t inputs = 0, outputs = 0, symbols = 0;  // outputs that update nothing
    bool has_state = false;
    bool needs_workspace = false;  // some calls do
    bool keeps_values = false;     // all of them do
  };
  EachRun each_run;
  LoadedCode code;
  CallSignature signature;
  std::vector<IndexCheck> checks;
  std::vector<SizeCheck> size_checks;
  Workspace weights;
  std::vector<StateVariable> state;
  Workspace initial_state;
  std::size_t state_bytes = 0;
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

// Where a tensor lies: nowhere, which overlaps nothing, if it has no elements.
struct Range {
  std::uintptr_t begin, end;
};

Range range_of(const Tensor& tensor, std::size_t bytes) {
  if (tensor.element_count() == 0) return {UINTPTR_MAX, 0};
  auto begin = reinterpret_cast<std::uintptr_t>(tensor.data());
  return {begin, begin + bytes};
}
Range range_of(const Tensor& tensor) { return range_of(tensor, tensor.byte_count()); }

// As if its elements were of the largest type, which is known soonest.
Range widest_range_of(const Tensor& tensor) {
  return range_of(tensor, static_cast<std::size_t>(tensor.element_count()) * 8);
}

// Without branches: this is much of what a short call does.
bool overlap(const Range& a, const Range& b) { return (a.begin < b.end) & (b.begin < a.end); }

// Throws Error unless every tensor has memory, and each output its own.
void check_memory(const CallSignature& signature, std::span<const Tensor> inputs,
                  std::span<const Tensor> outputs) {
  auto tensor = [&](std::size_t i) -> const Tensor& {
    return i < inputs.size() ? inputs[i] : outputs[i - inputs.size()];
  };
  auto name = [&](std::size_t i) {
    if (i < inputs.size()) return fmt::format("input {}", signature.inputs[i].name);
    std::size_t output = 0;
    for (std::size_t before = i - inputs.size();; ++output)
      if (!signature.updates[output] && before-- == 0) break;
    return fmt::format("output {}", signature.outputs[output].name);
  };
  const std::size_t count = inputs.size() + outputs.size();
  for (std::size_t i = 0; i < count; ++i)
    if (range_of(tensor(i)).begin == 0)
      throw Error(fmt::format("{} is a view of a null pointer, and has {} elements", name(i),
                              tensor(i).element_count()));
  for (std::size_t k = inputs.size(); k < count; ++k)
    for (std::size_t i = 0; i < k; ++i)
      if (overlap(range_of(tensor(i)), range_of(tensor(k))))
        throw Error(fmt::format("{} and {} share memory; give each output memory of its own",
                                name(i), name(k)));
}

void check_executor(const weir_executor* executor) {
  if (executor == nullptr) return;
  if (executor->max_workers < 1)
    throw Error(fmt::format("the executor has {} workers (max_workers), and needs one at least",
                            executor->max_workers));
  if (executor->parallel_for == nullptr) throw Error("the executor has no function parallel_for");
}

// A block of so many bytes; Error if there is none.
void* reserve(Workspace& workspace, std::size_t bytes, std::string_view what) try {
  return workspace.reserve(bytes);
} catch (const std::bad_alloc&) {
  throw Error(fmt::format("there is not enough memory for {}, which takes {} bytes", what, bytes));
}

// "1 input", "2 inputs"
std::string counted(std::size_t count, std::string_view what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

// "N = 3, M = 5"
std::string dims_text(const std::vector<std::string>& symbols, const std::ptrdiff_t* dims) {
  std::vector<std::string> parts;
  for (std::size_t i = 0; i < symbols.size(); ++i)
    parts.push_back(fmt::format("{} = {}", symbols[i], dims[i]));
  return fmt::format("{}", fmt::join(parts, ", "));
}

// The Error of a program that has ended with WEIR_DATA_FAULT: as the interpreter throws it.
[[noreturn]] void throw_fault(const Executable::Parts& parts, const weir_fault& fault,
                              const std::ptrdiff_t* dims) {
  const IndexCheck& check = parts.checks[static_cast<std::size_t>(fault.check)];
  const Dim& size = check.sizes[static_cast<std::size_t>(fault.position) % check.sizes.size()];
  IndexFault index{fault.position, fault.index,
                   plan_of(size, parts.signature.symbols).evaluate(dims), check.from_end};
  throw Error(check.location, fmt::format("{}: {}", check.op, index.message()));
}

// Throws Error, as the interpreter does, for the first size of the program that these symbols make
// negative.
void check_sizes(const Executable::Parts& parts, const std::ptrdiff_t* dims) {
  const std::vector<std::string>& symbols = parts.signature.symbols;
  Dim::Bindings sizes;
  for (std::size_t i = 0; i < symbols.size(); ++i) sizes.emplace(symbols[i], dims[i]);
  for (const SizeCheck& check : parts.size_checks)
    if (auto message = check.need.message(sizes))
      throw Error(check.location, fmt::format("{}: {}", check.op, *message));
}

// The largest number of inputs, outputs and symbols that a call keeps on the stack. The elements
// are not set.
template <class T>
class SmallArray {
 public:
  explicit SmallArray(std::size_t size) {
    if (size <= std::size(local_)) return;
    heap_.reset(new T[size]);
    data_ = heap_.get();
  }
  T& operator[](std::size_t i) { return data_[i]; }
  T* data() { return data_; }

 private:
  T* data_ = local_;
  std::unique_ptr<T[]> heap_;
  T local_[8];
};

}  // namespace

Tensor read_state(const StateVariable& variable, const void* state) {
  Tensor::Sizes sizes;
  for (const Dim& dim : variable.type.shape) sizes.push_back(dim.value());
  Tensor value(variable.type.dtype, std::move(sizes));
  take_in_order(value, static_cast<const char*>(state) + variable.offset, variable.order,
                variable.panel);
  return value;
}

void write_state(const StateVariable& variable, const Tensor& value, void* state) {
  put_in_order(static_cast<char*>(state) + variable.offset, value, variable.order, variable.panel);
}

Executable make_executable(const Program& program, LoadedCode code, const Weights& weights,
                           const weir_executor* executor) {
  std::vector<WeightEntry> values = program.weights;
  for (const StateEntry& entry : program.state)
    values.push_back({entry.param, nullptr, entry.type, {}, 0, {}});
  check_weights(values, weights);
  auto parts = std::make_unique<Executable::Parts>(program, std::move(code));
  parts->checks = program.checks;
  parts->size_checks = program.size_checks;
  Executable::Parts::EachRun& each = parts->each_run;
  each.needs_workspace = may_need_workspace(program);
  for (const StateEntry& entry : program.state)
    parts->state.push_back({entry.param, entry.type, entry.offset, entry.bytes, entry.layout.order,
                            entry.layout.panel});
  parts->state_bytes = program.state_bytes;
  if (program.weight_bytes > 0) {
    void* block = parts->weights.reserve(program.weight_bytes);
    fill_weight_block(program.weights, weights, {static_cast<char*>(block), program.weight_bytes},
                      executor);
    each.weights = block;
  }
  if (program.state_bytes > 0) {
    char* block = static_cast<char*>(parts->initial_state.reserve(program.state_bytes));
    std::memset(block, 0, program.state_bytes);
    for (const StateVariable& variable : parts->state)
      write_state(variable, weights.find(variable.name)->second, block);
  }
  each.program = parts->code.program();
  each.plain = parts->signature.plain_words();
  each.inputs = parts->signature.inputs.size();
  each.outputs = parts->signature.plain_outputs;
  each.symbols = parts->signature.symbols.size();
  each.has_state = !parts->state.empty();
  // What depends on no symbol is asked once.
  std::size_t fixed = 0, per_worker = 0;
  if (each.symbols == 0 && each.needs_workspace &&
      parts->code.workspace_size()(nullptr, &fixed, &per_worker) == WEIR_OK)
    each.needs_workspace = fixed + per_worker > 0;
  each.keeps_values = each.needs_workspace && !program.slots.empty();
  return Executable(std::move(parts));
}

Executable::Executable(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Executable::~Executable() = default;
Executable::Executable(Executable&&) noexcept = default;
Executable& Executable::operator=(Executable&&) noexcept = default;

std::span<const Signature> Executable::inputs() const { return parts_->signature.inputs; }
std::span<const Signature> Executable::outputs() const { return parts_->signature.outputs; }
std::span<const StateVariable> Executable::state() const { return parts_->state; }
std::size_t Executable::state_bytes() const { return parts_->state_bytes; }
std::span<const std::string> Executable::symbols() const { return parts_->signature.symbols; }
weir_program Executable::program() const { return parts_->each_run.program; }
weir_workspace_size Executable::workspace_size() const {
  return parts_->each_run.needs_workspace ? parts_->code.workspace_size() : nullptr;
}
const void* Executable::initial_state() const {
  return parts_->state_bytes > 0 ? parts_->initial_state.data() : nullptr;
}
const void* Executable::weights() const { return parts_->each_run.weights; }

std::size_t Executable::workspace_bytes(std::span<const std::ptrdiff_t> dims, int workers) const {
  const std::size_t symbols = parts_->signature.symbols.size();
  if (dims.size() != symbols)
    throw Error(fmt::format("the program has {}, and {} {} given", counted(symbols, "symbol"),
                            counted(dims.size(), "value"), dims.size() == 1 ? "is" : "are"));
  if (workers < 1)
    throw Error(fmt::format("{} workers are given, and a run needs one at least", workers));
  if (!parts_->each_run.needs_workspace) return 0;
  std::size_t fixed = 0, per_worker = 0;
  int status = parts_->code.workspace_size()(dims.data(), &fixed, &per_worker);
  std::size_t all_workers = 0, bytes = 0;
  bool overflows =
      __builtin_mul_overflow(per_worker, static_cast<std::size_t>(workers), &all_workers) ||
      __builtin_add_overflow(fixed, all_workers, &bytes);
  if (status == WEIR_OK && !overflows) return bytes;
  const std::vector<std::string>& names = parts_->signature.symbols;
  for (std::size_t i = 0; i < symbols; ++i)
    if (dims[i] < 0)
      throw Error(fmt::format("the dimension {} is negative: {}", names[i], dims[i]));
  check_sizes(*parts_, dims.data());
  throw Error(fmt::format(
      "{} is too large: it, or the bytes of a tensor that the program keeps, is beyond 2^47",
      names.empty() ? "the program" : dims_text(names, dims.data())));
}

namespace {

enum class Outputs { all, in_place };

// Tensors for the outputs of a call: all of them, or those that update no state.
std::vector<Tensor> make_outputs(const Executable::Parts& parts, std::span<const Tensor> inputs,
                                 Outputs which) {
  const CallSignature& signature = parts.signature;
  if (inputs.size() != signature.inputs.size())
    throw Error(fmt::format("the program takes {}, and {} {} given",
                            counted(signature.inputs.size(), "input"), inputs.size(),
                            inputs.size() == 1 ? "is" : "are"));
  SmallArray<std::ptrdiff_t> dims(signature.symbols.size());
  signature.bind(inputs, dims.data());
  std::vector<Tensor> outputs;
  for (std::size_t i = 0; i < signature.outputs.size(); ++i) {
    if (which == Outputs::in_place && signature.updates[i]) continue;
    const auto& [name, type] = signature.outputs[i];
    Tensor::Sizes sizes = signature.output_sizes(i, dims.data());
    if (std::any_of(sizes.begin(), sizes.end(), [](std::int64_t size) { return size < 0; })) {
      check_sizes(parts, dims.data());
      throw Error(
          fmt::format("output {} ({}) has no size for these inputs", name, to_string(type)));
    }
    outputs.emplace_back(type.dtype, std::move(sizes));
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
  for (const Signature& input : parts_->signature.inputs) {
    auto found = inputs.find(input.name);
    if (found == inputs.end())
      throw Error(fmt::format("input {} ({}) is missing", input.name, to_string(input.type)));
    ordered.push_back(found->second);
  }
  if (inputs.size() != ordered.size()) {
    for (const auto& [name, tensor] : inputs) {
      auto known = [&n = name](const Signature& input) { return input.name == n; };
      if (std::none_of(parts_->signature.inputs.begin(), parts_->signature.inputs.end(), known))
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
  if (!parts_->each_run.has_state) return run_in_place(inputs, outputs, nullptr, executor);
  const CallSignature& signature = parts_->signature;
  if (outputs.size() != signature.outputs.size())
    throw Error(fmt::format("the program has {}, and {} {} given",
                            counted(signature.outputs.size(), "output"), outputs.size(),
                            outputs.size() == 1 ? "is" : "are"));
  Borrowed state(parts_->mutex, parts_->idle);
  auto* block = static_cast<char*>(reserve(*state, parts_->state_bytes, "the state"));
  write_initial_state(block);
  std::vector<Tensor> plain;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (!signature.updates[i]) {
      plain.push_back(outputs[i]);
    } else if (!(outputs[i].type() == signature.outputs[i].type)) {
      wrong_type(signature.outputs[i], "output", outputs[i]);
    }
  }
  run_in_place(inputs, plain, block, executor);
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (!signature.updates[i]) continue;
    const StateVariable& variable = parts_->state[*signature.updates[i]];
    take_in_order(outputs[i], block + variable.offset, variable.order, variable.panel);
  }
}

// Short calls are most of them: each line here costs them.
void Executable::run_in_place(std::span<const Tensor> inputs, std::span<Tensor> outputs,
                              void* state, const weir_executor* executor) const {
  const Parts& parts = *parts_;
  const Parts::EachRun& each = parts.each_run;
  if (inputs.size() != each.inputs || outputs.size() != each.outputs)
    throw Error(fmt::format("the program has {} and {}, and {} and {} are given",
                            counted(each.inputs, "input"), counted(each.outputs, "output"),
                            inputs.size(), outputs.size()));
  check_executor(executor);
  SmallArray<std::ptrdiff_t> dims(each.symbols);
  if (each.plain == nullptr || !CallSignature::fits(each.plain, inputs, outputs, dims.data())) {
    parts.signature.bind(inputs, dims.data());
    parts.signature.check_outputs(outputs, dims.data());
  }
  if (each.has_state &&
      (state == nullptr || reinterpret_cast<std::uintptr_t>(state) % WEIR_ALIGNMENT != 0))
    throw Error(fmt::format("the state is {}; it has to be a block of {} bytes at a multiple of {}",
                            state == nullptr ? "a null pointer" : "at another address",
                            parts.state_bytes, WEIR_ALIGNMENT));
  SmallArray<void*> pointers(inputs.size() + outputs.size());
  bool fits = true;
  std::size_t next = 0;
  Range all{UINTPTR_MAX, 0};  // from the first to the last byte of those so far
  auto add = [&](const Tensor& tensor, const Range& range) {
    fits &= range.begin != 0;
    all = {std::min(all.begin, range.begin), std::max(all.end, range.end)};
    // A program takes no null pointer, even where there is nothing to point at.
    const void* data = tensor.data() != nullptr ? tensor.data() : pointers.data();
    pointers[next++] = const_cast<void*>(data);
  };
  for (const Tensor& input : inputs) add(input, widest_range_of(input));
  for (const Tensor& output : outputs) {
    const Range range = widest_range_of(output);
    // Tensors mostly lie one behind the other, and then each is compared once.
    if (overlap(all, range)) {
      for (const Tensor& input : inputs) fits &= !overlap(widest_range_of(input), range);
      for (const Tensor* before = outputs.data(); before != &output; ++before)
        fits &= !overlap(widest_range_of(*before), range);
    }
    add(output, range);
  }
  if (!fits) check_memory(parts.signature, inputs, outputs);
  weir_call call{pointers.data(),
                 pointers.data() + inputs.size(),
                 each.weights,
                 nullptr,
                 dims.data(),
                 executor,
                 state};
  // Where only large calls need a workspace, the program says which: how much is asked only then.
  int status = WEIR_INVALID_CALL;
  if (!each.keeps_values) status = each.program(&call);
  if (status == WEIR_INVALID_CALL && each.needs_workspace) {
    const std::size_t bytes = workspace_bytes({dims.data(), each.symbols},
                                              executor != nullptr ? executor->max_workers : 1);
    Borrowed workspace(parts.mutex, parts.idle);
    call.workspace = reserve(*workspace, bytes, "the workspace");
    status = each.program(&call);
    if (status == WEIR_DATA_FAULT)
      throw_fault(parts, *static_cast<const weir_fault*>(call.workspace), dims.data());
  }
  if (status == WEIR_INVALID_CALL) check_sizes(parts, dims.data());
  if (status != WEIR_OK) throw Error(fmt::format("the program ended with status {}", status));
}

}  // namespace weir
