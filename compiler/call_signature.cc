#include "compiler/call_signature.h"

#include <algorithm>

#include <fmt/format.h>

#include "ir/bind_symbols.h"

namespace weir {
namespace {

constexpr std::ptrdiff_t kUnbound = -1;

std::vector<std::vector<DimPlan>> plans_of(const std::vector<Signature>& signatures,
                                           const std::vector<std::string>& symbols) {
  std::vector<std::vector<DimPlan>> plans;
  for (const Signature& signature : signatures) {
    plans.emplace_back();
    for (const Dim& dim : signature.type.shape) plans.back().push_back(plan_of(dim, symbols));
  }
  return plans;
}

}  // namespace

void wrong_type(const Signature& wanted, const char* what, const Tensor& given) {
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

// The outputs of the graph: those of the program, and between them what updates the state.
CallSignature::CallSignature(const Program& program)
    : symbols(program.symbols), plain_outputs(program.outputs.size()) {
  for (const auto& [name, type] : program.inputs) inputs.push_back({name, type});
  updates.resize(program.outputs.size() + program.state.size());
  for (std::uint32_t i = 0; i < program.state.size(); ++i) updates[program.state[i].output] = i;
  auto next = program.outputs.begin();
  for (std::optional<std::uint32_t> variable : updates) {
    if (variable) {
      const StateEntry& entry = program.state[*variable];
      outputs.push_back({entry.param, entry.type});
    } else {
      outputs.push_back({next->first, next->second});
      ++next;
    }
  }
  input_dims_ = plans_of(inputs, symbols);
  output_dims_ = plans_of(outputs, symbols);
  find_plain();
}

// Leaves the plain words, if the program has no others.
void CallSignature::find_plain() {
  std::vector<std::int64_t> words;
  std::vector<bool> known(symbols.size());
  auto is_plain = [&](const std::vector<Signature>& signatures,
                      const std::vector<std::vector<DimPlan>>& plans, bool gives) {
    for (std::size_t i = 0; i < signatures.size(); ++i) {
      words.push_back(type_word(signatures[i].type.dtype, signatures[i].type.rank()));
      for (const DimPlan& plan : plans[i]) {
        if (plan.is_constant()) {
          words.push_back(plan.constant);
          continue;
        }
        if (plan.symbol < 0) return false;
        auto has_value = known.begin() + plan.symbol;
        if (!*has_value && !gives) return false;
        words.push_back(~(std::int64_t{2} * plan.symbol + (*has_value ? 0 : 1)));
        *has_value = true;
      }
    }
    return true;
  };
  if (plain_outputs < outputs.size() || !is_plain(inputs, input_dims_, true) ||
      !is_plain(outputs, output_dims_, false) ||
      std::find(known.begin(), known.end(), false) != known.end())
    return;
  plain_ = std::move(words);
}

void CallSignature::solve(std::span<const Tensor> tensors, std::ptrdiff_t* dims) const {
  std::vector<GivenTensor> given;
  for (std::size_t i = 0; i < inputs.size(); ++i)
    given.push_back({"input", inputs[i].name, &inputs[i].type, &tensors[i], {}});
  Dim::Bindings bindings = bind_symbols(given);
  for (std::size_t s = 0; s < symbols.size(); ++s)
    dims[s] = static_cast<std::ptrdiff_t>(bindings.at(symbols[s]));
}

// Binds symbols that stand alone as a dimension, and checks everything else against them. Calls are
// short, so this does without names and allocations; what it cannot bind is solved as the
// interpreter does it.
void CallSignature::bind(std::span<const Tensor> tensors, std::ptrdiff_t* dims) const {
  std::fill_n(dims, symbols.size(), kUnbound);
  bool derived = false;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const TensorType& type = inputs[i].type;
    const Tensor& tensor = tensors[i];
    if (tensor.dtype() != type.dtype || tensor.rank() != type.rank())
      wrong_type(inputs[i], "input", tensor);
    for (std::size_t d = 0; d < input_dims_[i].size(); ++d) {
      const DimPlan& plan = input_dims_[i][d];
      std::int64_t size = tensor.sizes()[d];
      if (plan.symbol < 0) {
        derived = derived || !plan.is_constant();
        if (plan.is_constant() && plan.constant != size) wrong_type(inputs[i], "input", tensor);
        continue;
      }
      std::ptrdiff_t& value = dims[plan.symbol];
      if (value == kUnbound) value = size;
      if (value != size)
        throw Error(
            fmt::format("input {} is {}, but the symbol {} is already {} by an input before it",
                        inputs[i].name, to_string(tensor.dtype(), tensor.sizes()),
                        symbols[static_cast<std::size_t>(plan.symbol)], value));
    }
  }
  if (std::find(dims, dims + symbols.size(), kUnbound) != dims + symbols.size())
    return solve(tensors, dims);
  if (!derived) return;
  for (std::size_t i = 0; i < inputs.size(); ++i)
    for (std::size_t d = 0; d < input_dims_[i].size(); ++d)
      if (input_dims_[i][d].evaluate(dims) != tensors[i].sizes()[d])
        wrong_type(inputs[i], "input", tensors[i]);
}

// Of the outputs that update no state.
void CallSignature::check_outputs(std::span<const Tensor> tensors,
                                  const std::ptrdiff_t* dims) const {
  std::size_t next = 0;
  for (std::size_t k = 0; k < outputs.size(); ++k) {
    if (updates[k]) continue;
    const Tensor& given = tensors[next++];
    const Signature& wanted = outputs[k];
    bool fits = given.dtype() == wanted.type.dtype && given.rank() == wanted.type.rank();
    for (std::size_t d = 0; fits && d < wanted.type.shape.size(); ++d)
      fits = output_dims_[k][d].evaluate(dims) == given.sizes()[d];
    if (!fits) wrong_type(wanted, "output", given);
  }
}

Tensor::Sizes CallSignature::output_sizes(std::size_t output, const std::ptrdiff_t* dims) const {
  Tensor::Sizes sizes;
  for (const DimPlan& plan : output_dims_[output]) sizes.push_back(plan.evaluate(dims));
  return sizes;
}

}  // namespace weir
