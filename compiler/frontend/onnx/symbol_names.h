// Names of the dynamic dimensions of an ONNX model.
//
// A named dimension is the same symbol wherever the name occurs; its name is made an identifier,
// and different names stay different. A name that is a formula, as exporters write for a size that
// follows from others ("4*N + 1", "batch*seq"), is that polynomial, if a call can tell the symbols
// in it: all but one are dimensions of inputs, and it is linear in that one. A dimension without a
// name - no text, or what exporters write for none - is a symbol of its own, called after the input
// and the axis.
//
// A dimension N that is known to be 2 at least is N_minus_2 + 2, as a symbol stands for an integer
// from 0.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "ir/dim.h"

namespace weir::onnx_format {

class SymbolNames {
 public:
  // By symbol, as it would be called without.
  using Minimums = std::map<std::string, std::int64_t, std::less<>>;

  explicit SymbolNames(const Minimums& minimums) : minimums_(minimums) {}

  // To be called first, with the name of every dimension of an input.
  void announce(const std::string& name);
  // The dimension called `name` at one axis of an input.
  Dim symbol(const std::string& name, const std::string& input, int axis);
  // The minimums with that of one symbol of the graph raised.
  void raise(Minimums& minimums, const std::string& symbol, std::int64_t by) const;

 private:
  Dim at_least_minimum(const std::string& symbol);
  std::string unique(const std::string& wanted);
  Dim named(const std::string& name);
  // Nothing where the name is no formula, or one that a call could not solve.
  std::optional<Dim> formula(const std::string& name);

  const Minimums& minimums_;
  std::set<std::string> announced_;
  std::map<std::string, Dim> named_;             // by name in the file
  std::map<std::string, std::string> original_;  // by symbol: N of N_minus_2
  std::set<std::string> taken_;
  std::map<std::string, std::int64_t> next_suffix_;  // to try, by the name that is taken
};

}  // namespace weir::onnx_format
