#include "compiler/executable.h"

#include <algorithm>
#include <cstring>
#include <mutex>

#include <fmt/format.h>

#include "compiler/make_executable.h"
#include "compiler/lowering/memory_plan.h"
#include "runtime/workspace.h"

namespace weir {

struct Executable::Parts {
  explicit Parts(LoadedCode loaded) : code(std::move(loaded)) {}

  LoadedCode code;
  std::vector<Signature> inputs, outputs;
  std::vector<std::string> symbols;
  Workspace weights;
  bool has_weights = false;
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
  throw Error(fmt::format("{} {} must be {}, and {} is given", what, wanted.name, to_string(wanted.type),
                          to_string(given.dtype(), given.sizes())));
}

constexpr std::ptrdiff_t kUnbound = -1;

std::size_t symbol_index(const std::vector<std::string>& symbols, const std::string& name) {
  return static_cast<std::size_t>(std::find(symbols.begin(), symbols.end(), name) - symbols.begin());
}

// Binds symbols that stand alone as a dimension, and checks everything else against them.
std::vector<std::ptrdiff_t> bind_dims(const std::vector<Signature>& inputs,
                                 const std::vector<std::string>& symbols,
                                 std::span<const Tensor> tensors) {
  std::vector<std::ptrdiff_t> values(symbols.size(), kUnbound);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const TensorType& type = inputs[i].type;
    const Tensor& tensor = tensors[i];
    if (tensor.dtype() != type.dtype || tensor.rank() != type.rank())
      wrong_type(inputs[i], "input", tensor);
    for (std::size_t d = 0; d < type.shape.size(); ++d) {
      if (std::optional<std::int64_t> constant = type.shape[d].constant()) {
        if (*constant != tensor.sizes()[d]) wrong_type(inputs[i], "input", tensor);
        continue;
      }
      std::optional<std::string> symbol = type.shape[d].as_symbol();
      if (!symbol) continue;
      std::ptrdiff_t& value = values[symbol_index(symbols, *symbol)];
      if (value == kUnbound) value = tensor.sizes()[d];
      if (value != tensor.sizes()[d])
        throw Error(fmt::format("input {} is {}, but the symbol {} is already {} by an input before it",
                                inputs[i].name, to_string(tensor.dtype(), tensor.sizes()), *symbol,
                                value));
    }
  }
  for (std::size_t s = 0; s < symbols.size(); ++s)
    if (values[s] == kUnbound)
      throw Error(fmt::format("the symbol {} is no input's dimension on its own, so its value cannot be "
                              "told from the inputs",
                              symbols[s]));
  return values;
}

Dim::Bindings bindings_of(const std::vector<std::string>& symbols,
                          std::span<const std::ptrdiff_t> dims) {
  Dim::Bindings bindings;
  for (std::size_t i = 0; i < symbols.size(); ++i) bindings[symbols[i]] = dims[i];
  return bindings;
}

Tensor::Sizes sizes_under(const Signature& signature, const Dim::Bindings& bindings) {
  Tensor::Sizes sizes;
  for (const Dim& dim : signature.type.shape) {
    std::optional<std::int64_t> size = dim.evaluate(bindings);
    if (!size || *size < 0)
      throw Error(fmt::format("{} has no size {} for these inputs", signature.name, dim.to_string()));
    sizes.push_back(*size);
  }
  return sizes;
}

void check_derived_sizes(const std::vector<Signature>& inputs, std::span<const Tensor> tensors,
                         const Dim::Bindings& bindings) {
  for (std::size_t i = 0; i < inputs.size(); ++i)
    if (sizes_under(inputs[i], bindings) != tensors[i].sizes())
      wrong_type(inputs[i], "input", tensors[i]);
}

// The largest number of inputs, outputs and symbols that a call keeps on the stack.
template <class T>
class SmallArray {
 public:
  explicit SmallArray(std::size_t size) : data_(local_) {
    if (size <= std::size(local_)) return;
    heap_.resize(size);
    data_ = heap_.data();
  }
  T& operator[](std::size_t i) { return data_[i]; }
  T* data() { return data_; }

 private:
  T local_[8] = {};
  std::vector<T> heap_;
  T* data_;
};

}  // namespace

Executable make_executable(const Program& program, LoadedCode code, const Weights& weights) {
  std::string missing;
  for (const WeightEntry& entry : program.weights) {
    if (entry.value) continue;
    auto found = weights.find(entry.param);
    if (found == weights.end()) {
      missing += fmt::format("{}%{} ({})", missing.empty() ? "" : ", ", entry.param, to_string(entry.type));
    } else if (!(found->second.type() == entry.type)) {
      wrong_type({"%" + entry.param, entry.type}, "param", found->second);
    }
  }
  if (!missing.empty()) throw Error("these params have no value: " + missing);
  auto parts = std::make_unique<Executable::Parts>(std::move(code));
  parts->symbols = program.symbols;
  parts->has_weights = program.weight_bytes > 0;
  for (const auto& [name, type] : program.inputs) parts->inputs.push_back({name, type});
  for (const auto& [name, type] : program.outputs) parts->outputs.push_back({name, type});
  if (program.weight_bytes > 0) {
    char* block = static_cast<char*>(parts->weights.reserve(program.weight_bytes));
    for (const WeightEntry& entry : program.weights) {
      const Tensor& value = entry.value ? *entry.value : weights.find(entry.param)->second;
      if (value.byte_count() > 0) std::memcpy(block + entry.offset, value.data(), value.byte_count());
    }
  }
  return Executable(std::move(parts));
}

Executable::Executable(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Executable::~Executable() = default;
Executable::Executable(Executable&&) noexcept = default;
Executable& Executable::operator=(Executable&&) noexcept = default;

std::span<const Signature> Executable::inputs() const { return parts_->inputs; }
std::span<const Signature> Executable::outputs() const { return parts_->outputs; }
std::span<const std::string> Executable::symbols() const { return parts_->symbols; }
weir_program Executable::program() const { return parts_->code.program(); }
const void* Executable::weights() const {
  return parts_->has_weights ? parts_->weights.data() : nullptr;
}

std::size_t Executable::workspace_bytes(std::span<const std::ptrdiff_t> dims) const {
  if (dims.size() != parts_->symbols.size())
    throw Error(fmt::format("the program has {} symbols, and {} values are given", parts_->symbols.size(),
                            dims.size()));
  std::size_t fixed = 0, per_worker = 0;
  int status = parts_->code.workspace_size()(dims.data(), &fixed, &per_worker);
  if (status != WEIR_OK) throw Error("a dimension is negative or too large");
  return fixed;
}

std::vector<Tensor> Executable::run(std::span<const Tensor> inputs,
                                    const weir_executor* executor) const {
  if (inputs.size() != parts_->inputs.size())
    throw Error(fmt::format("the program takes {} inputs, and {} are given", parts_->inputs.size(),
                            inputs.size()));
  std::vector<std::ptrdiff_t> dims = bind_dims(parts_->inputs, parts_->symbols, inputs);
  Dim::Bindings bindings = bindings_of(parts_->symbols, dims);
  std::vector<Tensor> outputs;
  for (const Signature& output : parts_->outputs)
    outputs.emplace_back(output.type.dtype, sizes_under(output, bindings));
  run_into(inputs, outputs, executor);
  return outputs;
}

std::vector<Tensor> Executable::run(const NamedTensors& inputs, const weir_executor* executor) const {
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

void Executable::run_into(std::span<const Tensor> inputs, std::span<Tensor> outputs,
                          const weir_executor* executor) const {
  if (inputs.size() != parts_->inputs.size() || outputs.size() != parts_->outputs.size())
    throw Error(fmt::format("the program has {} inputs and {} outputs, and {} and {} are given",
                            parts_->inputs.size(), parts_->outputs.size(), inputs.size(),
                            outputs.size()));
  std::vector<std::ptrdiff_t> dims = bind_dims(parts_->inputs, parts_->symbols, inputs);
  SmallArray<const void*> input_pointers(inputs.size());
  SmallArray<void*> output_pointers(outputs.size());
  bool symbolic = !dims.empty();
  Dim::Bindings bindings;
  if (symbolic) {
    bindings = bindings_of(parts_->symbols, dims);
    check_derived_sizes(parts_->inputs, inputs, bindings);
  }
  for (std::size_t i = 0; i < inputs.size(); ++i) input_pointers[i] = inputs[i].data();
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const Signature& wanted = parts_->outputs[i];
    bool fits = outputs[i].dtype() == wanted.type.dtype &&
                outputs[i].rank() == wanted.type.rank();
    for (std::size_t d = 0; fits && d < wanted.type.shape.size(); ++d)
      fits = wanted.type.shape[d].evaluate(bindings) == outputs[i].sizes()[d];
    if (!fits) wrong_type(wanted, "output", outputs[i]);
    output_pointers[i] = outputs[i].mutable_data();
  }
  std::size_t bytes = workspace_bytes(dims);
  weir_call call{input_pointers.data(), output_pointers.data(), weights(), nullptr, dims.data(),
                 executor};
  int status;
  if (bytes == 0) {
    status = program()(&call);
  } else {
    Borrowed workspace(parts_->mutex, parts_->idle);
    call.workspace = (*workspace).reserve(bytes);
    status = program()(&call);
  }
  if (status != WEIR_OK) throw Error(fmt::format("the program ended with status {}", status));
}

}  // namespace weir
