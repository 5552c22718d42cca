// Binding of symbols: see ir/interpreter.h.
//
// Plain symbols bind first, wherever they stand; then dimensions with one unknown symbol are solved
// until nothing more is learned; at last every dimension is checked, so the order of inputs does
// not matter.

#include <algorithm>

#include <fmt/format.h>

#include "ir/interpreter.h"

namespace weir {
namespace {

// A declared input or param and the tensor given for it.
struct Given {
  const Value* value;
  const Tensor* tensor;

  std::string name() const {
    return fmt::format("{} {}", value->kind == Value::Kind::param ? "param" : "input", value->name);
  }
  [[noreturn]] void refuse(std::string_view why = {}) const {
    throw Error(
        value->location,
        fmt::format("{} is declared as {} and given as {}{}{}", name(), to_string(value->type),
                    to_string(tensor->dtype(), tensor->sizes()), why.empty() ? "" : ": ", why));
  }
};

// One dimension and the size found there.
struct Site {
  const Given* given;
  std::size_t axis;

  const Dim& dim() const { return given->value->type.shape[axis]; }
  std::int64_t size() const { return given->tensor->sizes()[axis]; }
};

struct Binding {
  std::int64_t size;
  Site site;
};
using Known = std::map<std::string, Binding, std::less<>>;

Dim::Bindings plain(const Known& known) {
  Dim::Bindings result;
  for (const auto& [symbol, binding] : known) result.emplace(symbol, binding.size);
  return result;
}

void collect(const Graph& graph, std::span<const ValueId> ids, std::string_view kind,
             const std::map<std::string, Tensor, std::less<>>& tensors, std::vector<Given>& given) {
  std::vector<std::string> missing, declared;
  for (ValueId id : ids) {
    const Value& value = graph.value(id);
    declared.push_back(value.name);
    auto found = tensors.find(value.name);
    if (found == tensors.end()) {
      missing.push_back(fmt::format("{} ({})", value.name, to_string(value.type)));
    } else {
      given.push_back({&value, &found->second});
    }
  }
  if (!missing.empty())
    throw Error(fmt::format("no value is given for {} {}", kind, fmt::join(missing, ", ")));
  // A weights file may hold more than one graph uses.
  if (kind != "input") return;
  for (const auto& [name, tensor] : tensors)
    if (std::find(declared.begin(), declared.end(), name) == declared.end())
      throw Error(declared.empty() ? fmt::format("there is no input {}; the graph has none", name)
                                   : fmt::format("there is no input {}; the graph has {}", name,
                                                 fmt::join(declared, ", ")));
}

// The size of `symbol` that makes a dimension linear in it come out at `size`, if there is one.
std::optional<std::int64_t> solve(const Dim& dim, const std::string& symbol, std::int64_t size,
                                  Dim::Bindings bindings) {
  for (const Dim::Term& term : dim.terms())
    if (std::count(term.symbols.begin(), term.symbols.end(), symbol) > 1) return std::nullopt;
  bindings[symbol] = 0;
  std::optional<std::int64_t> at_zero = dim.evaluate(bindings);
  bindings[symbol] = 1;
  std::optional<std::int64_t> at_one = dim.evaluate(bindings);
  std::int64_t slope, rise;
  if (!at_zero || !at_one || __builtin_sub_overflow(*at_one, *at_zero, &slope) ||
      __builtin_sub_overflow(size, *at_zero, &rise) || slope == 0)
    return std::nullopt;
  if (slope == -1) {
    slope = 1;
    if (__builtin_sub_overflow(std::int64_t{0}, rise, &rise)) return std::nullopt;
  }
  if (rise % slope != 0 || rise / slope < 0) return std::nullopt;
  return rise / slope;
}

// Binds what this dimension tells; true if something was learned.
bool learn(const Site& site, bool symbols_only, Known& known) {
  std::vector<std::string> unknown;
  site.dim().collect_symbols(unknown);
  std::erase_if(unknown, [&](const std::string& symbol) { return known.contains(symbol); });
  if (unknown.size() != 1 || (symbols_only && !site.dim().as_symbol())) return false;
  std::optional<std::int64_t> size = solve(site.dim(), unknown.front(), site.size(), plain(known));
  if (!size) return false;
  known.emplace(unknown.front(), Binding{*size, site});
  return true;
}

void check(const Site& site, const Known& known) {
  std::vector<std::string> symbols;
  site.dim().collect_symbols(symbols);
  for (const std::string& symbol : symbols) {
    if (known.contains(symbol)) continue;
    throw Error(
        site.given->value->location,
        fmt::format(
            "the size of symbol {} does not follow from the sizes given: {} is {}, declared "
            "as {}",
            symbol, site.given->name(),
            to_string(site.given->tensor->dtype(), site.given->tensor->sizes()),
            to_string(site.given->value->type)));
  }
  std::optional<std::int64_t> expected = site.dim().evaluate(plain(known));
  if (expected == site.size()) return;
  std::vector<std::string> reasons;
  for (const std::string& symbol : symbols) {
    const Binding& binding = known.find(symbol)->second;
    reasons.push_back(fmt::format("{} is {} by dimension {} of {}", symbol, binding.size,
                                  binding.site.axis, binding.site.given->name()));
  }
  site.given->refuse(reasons.empty()
                         ? fmt::format("dimension {} must be {}", site.axis, site.dim().to_string())
                         : fmt::format("dimension {} is {}, and {}", site.axis,
                                       site.dim().to_string(), fmt::join(reasons, ", ")));
}

}  // namespace

Dim::Bindings bind_symbols(const Graph& graph, const Inputs& inputs, const Weights& weights) {
  std::vector<Given> given;
  collect(graph, graph.inputs(), "input", inputs, given);
  collect(graph, graph.params(), "param", weights, given);
  std::vector<Site> sites;
  for (const Given& each : given) {
    if (each.tensor->dtype() != each.value->type.dtype) each.refuse("the element types differ");
    if (each.tensor->rank() != each.value->type.rank()) each.refuse("the ranks differ");
    for (std::size_t axis = 0; axis < each.tensor->sizes().size(); ++axis)
      sites.push_back({&each, axis});
  }
  Known known;
  for (const Site& site : sites) learn(site, true, known);
  for (bool learned = true; learned;) {
    learned = false;
    for (const Site& site : sites) learned = learn(site, false, known) || learned;
  }
  for (const Site& site : sites) check(site, known);
  return plain(known);
}

}  // namespace weir
