// What the tensors of a call must be, and the sizes that they give: a program's inputs, outputs and
// symbols, made ready so that checking them costs a short call little.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "compiler/executable.h"
#include "compiler/lowering/program.h"

namespace weir {

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

// The dimension over the given symbols.
DimPlan plan_of(const Dim& dim, const std::vector<std::string>& symbols);

// Throws Error: `what` is "input" or "output".
[[noreturn]] void wrong_type(const Signature& wanted, const char* what, const Tensor& given);

class CallSignature {
 public:
  explicit CallSignature(const Program& program);

  // Those of the graph, in order: of the outputs also those that update state.
  std::vector<Signature> inputs, outputs;
  std::vector<std::string> symbols;
  // By output of the graph: the number in Program::state of what it updates, if it does.
  std::vector<std::optional<std::uint32_t>> updates;
  std::size_t plain_outputs = 0;  // that update nothing

  // Gives the symbols their values. Throws Error where a tensor has another type than the program
  // wants, or two disagree about a symbol. As many tensors as there are inputs.
  void bind(std::span<const Tensor> tensors, std::ptrdiff_t* dims) const;
  // Throws Error unless the tensors fit those outputs that update nothing, as many as there are.
  void check_outputs(std::span<const Tensor> tensors, const std::ptrdiff_t* dims) const;
  // Negative where the dimension has no value.
  Tensor::Sizes output_sizes(std::size_t output, const std::ptrdiff_t* dims) const;

  // Both at once in less time, for a program whose sizes are constants and symbols that inputs
  // have, and which updates nothing: gives the symbols their values, and whether everything fits.
  // If not, it is for the others to say. `plain` is plain_words(), not null.
  static bool fits(const std::int64_t* plain, std::span<const Tensor> inputs,
                   std::span<const Tensor> outputs, std::ptrdiff_t* dims) {
    auto fit = [&](std::span<const Tensor> side) {
      for (const Tensor& given : side) {
        if (type_word(given.dtype(), given.rank()) != *plain++) return false;
        for (std::int64_t size : given.sizes()) {
          const std::int64_t wanted = *plain++;
          if (wanted >= 0) {
            if (size != wanted) return false;
          } else if (const std::int64_t symbol = ~wanted >> 1; (wanted & 1) == 0) {
            dims[symbol] = static_cast<std::ptrdiff_t>(size);
          } else if (size != dims[symbol]) {
            return false;
          }
        }
      }
      return true;
    };
    return fit(inputs) && fit(outputs);
  }
  // Of each input and then each output its type_word(), and of its dimensions the constant, or
  // ~(2 * symbol + 1) where a tensor gives the symbol its value, or ~(2 * symbol) where it has one.
  // Null if the program is none of those, or has no tensors.
  const std::int64_t* plain_words() const { return plain_.empty() ? nullptr : plain_.data(); }

 private:
  void find_plain();
  void solve(std::span<const Tensor> tensors, std::ptrdiff_t* dims) const;

  static std::int64_t type_word(DType dtype, int rank) {
    return static_cast<std::int64_t>(dtype) << 32 | rank;
  }

  std::vector<std::vector<DimPlan>> input_dims_, output_dims_;
  std::vector<std::int64_t> plain_;
};

}  // namespace weir
