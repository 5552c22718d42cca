#include "compiler/codegen/size_checks.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "compiler/lowering/memory_plan.h"

namespace weir {
namespace {

using Symbols = std::vector<std::string>;
// The largest coefficient of each product of symbols, over all sizes: a bound of every size, but
// for a factor of the number of its terms.
using Products = std::map<Symbols, double>;

// A bound of a dimension's magnitude: its terms without signs, and a quotient without the floor.
Products magnitude_of(const Dim& size) {
  Products sum;
  for (const Dim::Term& term : size.terms()) {
    Products product{{{}, std::abs(static_cast<double>(term.coefficient))}};
    for (const Dim::Factor& factor : term.factors) {
      Products value{{{factor.text()}, 1.0}};
      double divisor = 1;
      if (const Dim::Quotient* quotient = factor.quotient()) {
        value = magnitude_of(quotient->dividend);
        divisor = static_cast<double>(quotient->divisor);
      }
      Products larger;
      for (const auto& [symbols, coefficient] : product) {
        for (const auto& [others, other] : value) {
          Symbols all = symbols;
          all.insert(all.end(), others.begin(), others.end());
          std::sort(all.begin(), all.end());
          larger[all] += coefficient * other / divisor;
        }
      }
      product = std::move(larger);
    }
    for (const auto& [symbols, coefficient] : product) sum[symbols] += coefficient;
  }
  return sum;
}

// Every dividend is a size of its own: it is larger than its quotient.
void collect(const Dim& size, Products& products) {
  Products magnitude = magnitude_of(size);
  for (const auto& [symbols, coefficient] : magnitude) {
    double& largest = products[symbols];
    largest = std::max(largest, coefficient * static_cast<double>(magnitude.size()));
  }
  for (const Dim::Term& term : size.terms())
    for (const Dim::Factor& factor : term.factors)
      if (const Dim::Quotient* quotient = factor.quotient()) collect(quotient->dividend, products);
}

Products products_of(const Program& program) {
  Products products;
  for (const Buffer& buffer : program.buffers)
    collect(element_count(buffer.type.shape) * Dim(byte_size(buffer.type.dtype)), products);
  for (const SizeCheck& check : program.size_checks) collect(check.need.size, products);
  for (const Buffer& buffer : program.buffers) {
    if (!buffer.scratch) continue;
    collect(buffer.scratch->dividend, products);
    collect(buffer.scratch->extra, products);
  }
  return products;
}

// The largest n with coefficient * n^power <= limit.
std::int64_t largest_base(double coefficient, std::size_t power, std::int64_t limit) {
  std::int64_t low = 0, high = limit;
  while (low < high) {
    std::int64_t middle = low + (high - low + 1) / 2;
    double value = coefficient;
    for (std::size_t i = 0; i < power; ++i) value *= static_cast<double>(middle);
    if (value <= static_cast<double>(limit)) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low;
}

// The sizes that may become negative, each once.
std::vector<Dim> differences(const Program& program) {
  std::vector<Dim> found;
  auto add = [&found](const Dim& size) {
    std::vector<Dim::Term> terms = size.terms();
    auto negative = [](const Dim::Term& term) { return term.coefficient < 0; };
    if (std::any_of(terms.begin(), terms.end(), negative) &&
        std::find(found.begin(), found.end(), size) == found.end())
      found.push_back(size);
  };
  for (const Buffer& buffer : program.buffers)
    for (const Dim& dim : buffer.type.shape) add(dim);
  for (const SizeCheck& check : program.size_checks) add(check.need.size);
  return found;
}

}  // namespace

std::int64_t largest_size(int pointer_bits) {
  return pointer_bits == 64 ? std::int64_t{1} << 47 : INT32_MAX;
}

llvm::Value* emit_size_checks(llvm::IRBuilder<>& b, PrimitiveEmitter& primitives,
                              const Program& program, std::span<llvm::Value* const> dims,
                              int pointer_bits) {
  const std::int64_t limit = largest_size(pointer_bits);
  auto index_of = [&](const std::string& symbol) {
    auto found = std::find(program.symbols.begin(), program.symbols.end(), symbol);
    WEIR_CHECK(found != program.symbols.end(), symbol);
    return static_cast<std::size_t>(found - program.symbols.begin());
  };
  llvm::Value* valid = b.getTrue();
  auto require = [&](llvm::Value* condition) { valid = b.CreateAnd(valid, condition); };
  std::vector<std::int64_t> limits(dims.size(), limit);
  std::vector<llvm::Value*> reals(dims.size());
  for (const auto& [symbols, coefficient] : products_of(program)) {
    if (symbols.empty()) {
      if (coefficient > static_cast<double>(limit)) require(b.getFalse());
      continue;
    }
    if (symbols.front() == symbols.back()) {
      std::int64_t& most = limits[index_of(symbols.front())];
      most = std::min(most, largest_base(coefficient, symbols.size(), limit));
      continue;
    }
    llvm::Value* product = llvm::ConstantFP::get(b.getDoubleTy(), coefficient);
    for (const std::string& symbol : symbols) {
      std::size_t i = index_of(symbol);
      llvm::Value* operands[] = {dims[i]};
      if (!reals[i])
        reals[i] = primitives.emit(scalar::Primitive::cast, DType::i64, DType::f64, operands);
      product = b.CreateFMul(product, reals[i]);
    }
    require(b.CreateFCmpOLE(product,
                            llvm::ConstantFP::get(b.getDoubleTy(), static_cast<double>(limit))));
  }
  for (std::size_t i = 0; i < dims.size(); ++i)
    require(b.CreateICmpULE(dims[i], b.getInt64(static_cast<std::uint64_t>(limits[i]))));
  for (const Dim& dim : differences(program)) {
    llvm::Value* sum = primitives.dimension(
        dim, [&](const std::string& symbol) { return dims[index_of(symbol)]; });
    require(b.CreateICmpSGE(sum, b.getInt64(0)));
  }
  return valid;
}

}  // namespace weir
